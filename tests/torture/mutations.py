"""Sound bytes and JSON made unsound, for Hypothesis."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

# Values that readers have stumbled over, here or elsewhere.
HOSTILE: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**400, -0.0, 1e308, 0.5, "", " ", "a\0b", "../x",
    "/etc/passwd", "..", "0000-../../x", "é", "\ud800", "x" * 5000, "float32", "load", "nan", "1e999",
    [], {}, [[]], [{}], {"": {}},
    {"tensor": 0}, {"tensor": -1}, {"float": 10**400}, {"float": []}, {"dict": []}, {"dict": 1, "tensor": 0},
]  # fmt: skip
TOKENS = [
    b"[" * 3000, b"{\"a\":" * 3000, b"NaN", b"1e999", b"\xff\xfe", b"\0", b'"__metadata__":{"a":1},', b"9" * 5000,
    (2**63).to_bytes(8, "little"), (2**64 - 1).to_bytes(8, "little"), b'"version": 1,', b"\\ud800", b"F64", b"-", b"e",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A sound input after some edits of its bytes or, where it is JSON, of its values."""
    data = draw(st.sampled_from(seeds))
    if data[:1] in b"{[" and draw(st.booleans()):
        data = json.dumps(draw(edited(json.loads(data)))).encode()
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        gone = draw(st.sampled_from([0, 0, 1, 8, 50]))
        new = draw(st.sampled_from(TOKENS) | st.binary(max_size=9) | st.just(data[at : at + 30]))
        data = data[:at] + new + data[at + gone :]
    return data


@st.composite
def edited(draw: st.DrawFn, value: Any) -> Any:
    """JSON with one value, somewhere within, that is another, or gone."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(value)))
        return value | {key: draw(edited(value[key]))} if draw(st.integers(0, 9)) else without(value, key)
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        at = draw(st.integers(0, len(value) - 1))
        more = [value[at]] * draw(st.sampled_from([0, 1, 1, 1, 2]))
        return [*value[:at], *(draw(edited(part)) for part in more), *value[at + 1 :]]
    return draw(st.sampled_from(HOSTILE))


def without(values: dict[str, Any], key: str) -> dict[str, Any]:
    return {other: value for other, value in values.items() if other != key}
