"""No bytes get more out of a reader than a NarrowsError: not another exception, not much memory, not much time."""

from __future__ import annotations

import importlib.util
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fuzz_targets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tally import Tally

SEEDS = fuzz_targets.seeds()
# Values that readers have stumbled over, here or elsewhere.
HOSTILE: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**400, -0.0, 1e308, 0.5, "", " ", "a\0b", "../x",
    "/etc/passwd", "..", "0000-../../x", "é", "\ud800", "x" * 5000, "float32", "load", "nan", "1e999", [], {}, [[]], [{}], {"": {}},
    {"tensor": 0}, {"tensor": -1}, {"float": 10**400}, {"float": []}, {"dict": []}, {"dict": 1, "tensor": 0},
]  # fmt: skip
TOKENS = [
    b"[" * 3000, b"{\"a\":" * 3000, b"NaN", b"1e999", b"\xff\xfe", b"\0", b'"__metadata__":{"a":1},', b"9" * 5000,
    (2**63).to_bytes(8, "little"), (2**64 - 1).to_bytes(8, "little"), b'"version": 1,', b"\\ud800", b"F64", b"-", b"e",
]  # fmt: skip
DEEP = b"[" * 800 + b"]" * 800
FOUND: dict[str, tuple[str, Callable[[bytes], bytes]]] = {  # what broke a reader once
    "an integer beyond every float": ("checkpoint, tree", lambda _: b'{"dict":{"a":{"float":1%b}}}' % (b"0" * 400)),
    "a tree nested too deep": ("checkpoint, tree", lambda _: b'{"dict":' * 500 + b"{}" + b"}" * 500),
    "a model nested too deep": ("store.json, sealed", lambda seed: b'{"model":{"x":%b},' % DEEP + seed.lstrip()[1:]),
    "metrics nested too deep": (
        "task.json",
        lambda seed: seed.replace(b'"metrics": {', b'"metrics": {"x": %b, ' % DEEP, 1),
    ),
}
MEMORY = 256 << 10  # KiB that a fuzzed reader may add to the largest size of this process
SECONDS = 5  # for one input of at most some kilobytes


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


@pytest.mark.parametrize("target", fuzz_targets.TARGETS)
def test_the_seeds_are_sound(target: str):
    assert any(fuzz_targets.run(target, seed) for seed in SEEDS[target])


@pytest.mark.parametrize("what", FOUND)
def test_what_broke_a_reader_once(what: str, tally: Tally):
    target, make = FOUND[what]
    with tally.fault(f"fuzz: {target}", "found before"):
        assert not fuzz_targets.run(target, make(SEEDS[target][0]))


@pytest.mark.parametrize("target", fuzz_targets.TARGETS)
def test_mutated_inputs(target: str, tally: Tally, long: bool):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @settings(
        max_examples=5_000 if long else 200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(mutated(SEEDS[target]))
    def fuzz(data: bytes) -> None:
        started = time.perf_counter()
        with tally.fault(f"fuzz: {target}", "mutated"):
            fuzz_targets.run(target, data)
            assert time.perf_counter() - started < SECONDS

    fuzz()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY


@pytest.mark.parametrize("target", fuzz_targets.TARGETS if importlib.util.find_spec("atheris") else [])
def test_guided_by_coverage(target: str, tally: Tally, long: bool, tmp_path: Path):
    script = Path(__file__).with_name("fuzz_readers.py")
    limit = "-max_total_time=60" if long else "-runs=300"
    command = [sys.executable, str(script), target, str(tmp_path / "corpus"), limit, f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-4000:]
    (runs,) = re.findall(r"number_of_executed_units: (\d+)", done.stderr)
    with tally.fault(f"fuzz: {target}", "atheris", int(runs)):
        assert int(runs) > 100
