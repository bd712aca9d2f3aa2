"""The algebra of sub-networks: composing, putting into tensors, switching, going through bytes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.subnet import (
    Composition,
    Held,
    Part,
    SubNetwork,
    TensorSpec,
    apply_,
    dense,
    digest,
    digest_kept,
    resolved,
    switch_,
)
from narrows.subnet.codec import RunError, decode_run, encode_run

SPECS = (TensorSpec("w", (4, 6), "float32"), TensorSpec("v", (2, 3, 2), "bfloat16"), TensorSpec("u", (0, 3), "float64"))


@st.composite
def subnets(draw: st.DrawFn) -> SubNetwork:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    share = draw(st.sampled_from([0.0, 0.5, 1.0]))
    kept = {spec.name: torch.from_numpy(np.asarray(random.random(spec.shape) < density)) for spec in SPECS}
    claimed = {
        name: mask & torch.from_numpy(np.asarray(random.random(mask.shape) < share)) for name, mask in kept.items()
    }
    values = {
        spec.name: torch.from_numpy(np.asarray(random.standard_normal(spec.shape))).to(spec.torch_dtype())
        for spec in SPECS
    }
    return SubNetwork.of(SPECS, kept, claimed, values)


def composed(*chain: SubNetwork, after: Composition | None = None) -> Composition:
    composition = Composition(SPECS, after.held() if after else None)
    for subnet in chain:
        composition.add(f"task {len(composition.tasks)}", "shared", subnet)
    return composition


def same(one: Composition, other: Composition) -> bool:
    tensors = (
        torch.equal(getattr(one, part)[spec.name], getattr(other, part)[spec.name])
        for spec in SPECS
        for part in ("values", "owners")
    )
    return all(tensors) and (one.tasks, one.kept) == (other.tasks, other.kept)


def identical(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return digest(one, {}) == digest(other, {})


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(subnets(), max_size=5), st.integers(0, 5))
def test_composing_is_associative(chain: list[SubNetwork], cut: int) -> None:
    assert same(composed(*chain), composed(*chain[cut:], after=composed(*chain[:cut])))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(subnets(), max_size=4), subnets())
def test_a_weight_has_the_value_of_the_latest_that_claimed_it(chain: list[SubNetwork], last: SubNetwork) -> None:
    expected = {spec.name: torch.zeros(spec.shape, dtype=spec.torch_dtype()) for spec in SPECS}
    held = {spec.name: torch.zeros(spec.shape, dtype=torch.bool) for spec in SPECS}
    for subnet in (*chain, last):
        for name, mask in subnet.claimed_masks().items():
            expected[name][mask] = subnet.parts[name].values
            held[name] |= mask & (subnet is not last)
    expected = {name: torch.where(last.kept_masks()[name], value, 0) for name, value in expected.items()}
    before = composed(*chain)
    assert identical(dense(before.resolve(last)), expected)
    for sparse in (before.held().resolve(last), resolved(last, chain)):
        assert digest_kept(sparse, {}) == digest_kept(before.resolve(last), {})
        assert identical(dense(sparse), expected)
    assert before.held().parents(last) == before.parents(last)
    assert identical(Held.nothing(SPECS).tensors(), composed().held().tensors())
    assert all(torch.equal(mask, held[name]) for name, mask in before.masks().items())
    orphans = {name: int((last.kept_masks()[name] & ~last.claimed_masks()[name] & ~held[name]).sum()) for name in held}
    assert before.orphans(last) == {name: count for name, count in orphans.items() if count}


@settings(max_examples=50, deadline=None, derandomize=True)
@given(subnets(), subnets(), st.booleans())
def test_switching_there_and_back_changes_no_bit(one: SubNetwork, other: SubNetwork, turned: bool) -> None:
    one, other = (Composition(SPECS).resolve(subnet) for subnet in (one, other))
    tensors = {
        spec.name: torch.full(spec.shape, torch.nan, dtype=spec.torch_dtype()).movedim(0, -1 if turned else 0)
        for spec in SPECS
    }
    tensors = {spec.name: tensors[spec.name].movedim(-1 if turned else 0, 0) for spec in SPECS}
    apply_(one, tensors)
    assert identical(tensors, dense(one))
    switch_(one, other, tensors)
    assert identical(tensors, dense(other))
    switch_(other, one, tensors)
    assert identical(tensors, dense(one))


def test_the_digest_of_what_is_kept_is_of_these_bytes() -> None:
    whole = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    specs = (TensorSpec("w", (2, 2), "float64"), TensorSpec("a", (2,), "bfloat16"))
    masks = {"w": torch.tensor([[True, False], [False, True]]), "a": torch.ones(2).bool()}
    subnet = SubNetwork.of(specs, masks, masks, {"w": whole, "a": torch.ones(2).bfloat16()})
    expected = (
        b"a|torch.bfloat16|(2,)|2|" + bytes.fromhex("803f803f")  # all of it: no positions
        + b"w|torch.float64|(2, 2)|2|" + np.array([0, 3], "<i4").tobytes() + np.array([1, 4], "<f8").tobytes()
        + b"b|torch.int64|(1,)|" + np.array([7], "<i8").tobytes()
    )  # fmt: skip
    assert digest_kept(subnet, {"b": torch.tensor([7])}) == hashlib.sha256(expected).hexdigest()


@settings(max_examples=50, deadline=None, derandomize=True)
@given(subnets(), st.data())
def test_the_digest_of_what_is_kept_shows_every_change(subnet: SubNetwork, data: st.DataObject) -> None:
    subnet = resolved(subnet, ())
    before = digest_kept(subnet, {"b": torch.zeros(2)})
    assert digest_kept(subnet, {"b": torch.tensor([0.0, -0.0])}) != before
    name = data.draw(st.sampled_from([spec.name for spec in SPECS]))
    part = subnet.parts[name]
    if len(part.claimed):
        at = data.draw(st.integers(0, len(part.claimed) - 1))
        flipped, moved = part.values.clone(), torch.arange(len(part.claimed))
        flipped.view(torch.uint8)[at] ^= 1
        moved = torch.where(moved < at, part.claimed, part.claimed + 1)
        fewer = torch.arange(len(part.claimed)) != at
        for other in (
            Part(part.claimed, flipped, part.reused),
            Part(moved, part.values, part.reused) if len(moved) < subnet.kept_masks()[name].numel() else None,
            Part(part.claimed[fewer], part.values[fewer], part.reused),
        ):
            if other is not None:
                assert digest_kept(SubNetwork(SPECS, {**subnet.parts, name: other}), {"b": torch.zeros(2)}) != before


def test_parents_are_the_latest_owners() -> None:
    spec = TensorSpec("w", (4,), "float32")

    def claiming(*positions: int, reusing: tuple[int, ...] = ()) -> SubNetwork:
        claimed, kept = (torch.isin(torch.arange(4), torch.tensor(some)) for some in (positions, positions + reusing))
        return SubNetwork.of([spec], {"w": kept}, {"w": claimed}, {"w": torch.ones(4)})

    before = Composition([spec])
    for name, subnet in (("a", claiming(0, 1)), ("b", claiming(1)), ("c", claiming(2))):
        before.add(name, "shared", subnet)
    before.add("apart", "own", claiming(3))
    assert before.parents(claiming(3, reusing=(0, 1))) == ("a", "b")
    assert before.parents(claiming(0, 1, 2)) == ()
    assert (before.kept, before.own, before.held().values_kept()) == (4, 1, 4 / 4 + 1)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(0, 3000), st.sampled_from([0.0, 0.001, 0.01, 0.2, 0.5, 0.99, 1.0]), st.integers(0, 2**32 - 1))
def test_runs_come_back(elements: int, density: float, seed: int) -> None:
    positions = np.flatnonzero(np.random.default_rng(seed).random(elements) < density)
    data = encode_run(positions, elements)
    found, read = decode_run(memoryview(data + b"rest"), elements)
    assert read == len(data)
    assert np.array_equal(found, positions)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=40), st.integers(0, 300))
def test_a_run_is_read_in_one_way_only(data: bytes, elements: int) -> None:
    """Whatever is accepted is ascending and within bounds."""
    try:
        found, read = decode_run(memoryview(data), elements)
    except RunError:
        return
    assert read <= len(data)
    assert (np.diff(found) > 0).all()
    assert not len(found) or (found[0] >= 0 and found[-1] < elements)


def test_positions_of_a_huge_parameter_are_of_64_bits() -> None:
    from narrows.subnet.value import position_dtype

    assert position_dtype(2**31 - 1) == torch.int32
    assert position_dtype(2**31) == torch.int64


def test_what_does_not_fit_is_named() -> None:
    spec = TensorSpec("w", (2,), "float32")
    subnet = SubNetwork.of([spec], {"w": torch.ones(2).bool()}, {}, {})
    with pytest.raises(Exception, match="says nothing of the shared parameter v"):
        subnet.require_fit([spec, TensorSpec("v", (2,), "float32")])
