"""Choosing weights: exact counts, the best ones, nothing outside the candidates."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narrows.errors import NonFiniteError
from narrows.masks import Layout, above, best, best_each, host, magnitudes, top

# few values, so that ties are the rule
value = st.one_of(st.integers(-3, 3).map(float), st.floats(allow_nan=False, width=32))
rows = st.lists(st.tuples(value, st.booleans()), max_size=40)
shapes = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple), min_size=1, max_size=5)


@given(rows=rows, count=st.integers(-1, 45))
def test_best_takes_exactly_the_best_candidates(rows: list[tuple[float, bool]], count: int) -> None:
    scores = torch.tensor([score for score, _ in rows])
    candidates = torch.tensor([candidate for _, candidate in rows], dtype=torch.bool)
    chosen = best(scores, candidates, count)
    assert chosen.dtype == torch.bool
    assert chosen.shape == candidates.shape
    assert not (chosen & ~candidates).any()
    assert int(chosen.sum()) == min(max(count, 0), int(candidates.sum()))
    left = candidates & ~chosen
    if chosen.any() and left.any():
        lowest = scores[chosen].min()
        assert lowest >= scores[left].max()
        ties = (candidates & (scores == lowest)).nonzero().flatten()
        taken = int((chosen & (scores == lowest)).sum())
        assert chosen[ties[:taken]].all(), "ties go by position"
    assert torch.equal(chosen, best(scores, candidates, count))


@given(rows=st.lists(st.tuples(value, value, st.booleans()), max_size=40), count=st.integers(-1, 45))
def test_of_equal_scores_the_larger_weights_stay(rows: list[tuple[float, float, bool]], count: int) -> None:
    scores, sizes = torch.tensor([row[0] for row in rows]), torch.tensor([row[1] for row in rows])
    candidates = torch.tensor([row[2] for row in rows], dtype=torch.bool)
    order = [at for at, row in enumerate(rows) if row[2]]
    order.sort(key=lambda at: (-rows[at][0], -abs(rows[at][1]), at))
    expected = torch.zeros(len(rows), dtype=torch.bool)
    expected[order[: max(count, 0)]] = True
    assert torch.equal(best(scores, candidates, count, magnitudes([sizes])), expected)
    assert torch.equal(
        best_each([scores], 0.5, [magnitudes([sizes])])[0],
        top(scores, max(1, len(rows) // 2), magnitudes([sizes])),
    )


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has few scores be chosen from as many are: by a sample, in pieces."""
    monkeypatch.setattr(host, "FEW", 0)
    monkeypatch.setattr(host, "_PIECE", 7)
    monkeypatch.setattr(host, "_SAMPLE", 5)


@pytest.mark.usefixtures("many")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(value, value, st.booleans()), max_size=200), count=st.integers(-1, 205))
def test_of_many_scores_the_same_are_chosen(rows: list[tuple[float, float, bool]], count: int) -> None:
    scores, sizes = torch.tensor([row[0] for row in rows]), torch.tensor([row[1] for row in rows])
    candidates = torch.tensor([row[2] for row in rows], dtype=torch.bool)
    order = [at for at, row in enumerate(rows) if row[2]]
    for ties_by_size in (False, True):
        order.sort(key=lambda at: (-rows[at][0], -abs(rows[at][1]) if ties_by_size else 0, at))
        expected = torch.zeros(len(rows), dtype=torch.bool)
        expected[order[: max(count, 0)]] = True
        by = magnitudes([sizes[:3], sizes[3:]]) if ties_by_size else None
        assert torch.equal(best(scores, candidates, count, by), expected)


@pytest.mark.parametrize("kind", ["spread", "zeros", "two values", "sorted", "columns", "infinite"])
@pytest.mark.parametrize("fraction", [1e-5, 0.03, 0.5, 0.97])
def test_of_a_vector_beyond_the_caches_the_same_are_chosen(kind: str, fraction: float) -> None:
    size = host.FEW + 70_001
    scores = torch.randn(size, generator=torch.Generator().manual_seed(1))
    candidates = torch.arange(size) % 3 > 0
    if kind == "zeros":
        scores *= torch.arange(size) % 10 == 4
    elif kind == "two values":
        scores = (scores > 0).float()
    elif kind == "sorted":
        scores = scores.sort().values
    elif kind == "columns":
        scores[::3] += 100
    elif kind == "infinite":
        scores[::2] = -torch.inf
        scores[1::4] = torch.inf
    count = int(fraction * size)
    for among in (torch.ones_like(candidates), candidates):
        order = torch.where(among, scores, -torch.inf).sort(descending=True, stable=True).indices
        order = order[among[order]]
        expected = torch.zeros(size, dtype=torch.bool).index_fill(0, order[:count], True)
        assert torch.equal(best(scores, among, count), expected)
    scores[4] = torch.nan
    best(scores, candidates & (torch.arange(size) != 4), count)
    with pytest.raises(NonFiniteError):
        best(scores, candidates, count)


def test_best_does_not_hand_out_its_argument() -> None:
    candidates = torch.tensor([True, False])
    best(torch.zeros(2), candidates, 5)[1] = True
    assert not candidates[1]


def test_best_of_a_matrix_and_of_nan() -> None:
    scores = torch.tensor([[1.0, 5.0], [float("nan"), 3.0]])
    candidates = torch.tensor([[True, True], [False, True]])
    assert torch.equal(best(scores, candidates, 2), torch.tensor([[False, True], [False, True]]))
    with pytest.raises(NonFiniteError, match="learning rate"):
        best(scores, torch.ones_like(candidates), 2)


@pytest.mark.parametrize("kind", ["spread", "zeros", "sorted", "columns"])
@pytest.mark.parametrize("fraction", [1e-4, 0.03, 0.5, 0.97, 0.9999])
def test_best_of_a_long_vector_is_exact_whatever_its_order(kind: str, fraction: float) -> None:
    """A sample only says where to look: sorted values, or one column apart from the rest, must not mislead it."""
    scores = torch.randn(20_000)
    if kind == "zeros":
        scores *= torch.rand(20_000) < 0.1
    elif kind == "sorted":
        scores = scores.sort().values
    elif kind == "columns":
        scores[::17] += 100
    count = int(fraction * 20_000)
    order = scores.sort(descending=True, stable=True).indices
    expected = torch.zeros(20_000, dtype=torch.bool).index_fill(0, order[:count], True)
    assert torch.equal(best_each([scores], fraction)[0], expected)
    assert torch.equal(best(scores, torch.ones_like(expected), count), expected)


@given(rows=rows, threshold=value)
def test_above_is_strict(rows: list[tuple[float, bool]], threshold: float) -> None:
    scores = torch.tensor([score for score, _ in rows])
    candidates = torch.tensor([candidate for _, candidate in rows], dtype=torch.bool)
    expected = [candidate and score > threshold for score, candidate in rows]
    assert above(scores, candidates, threshold).tolist() == expected


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4), fraction=st.floats(0.001, 1))
def test_best_each_keeps_a_fraction_of_every_tensor(sizes: list[int], fraction: float) -> None:
    scores = [torch.randn(size) for size in sizes]
    for score, mask in zip(scores, best_each(scores, fraction), strict=True):
        count = max(1, int(fraction * score.numel()))
        assert int(mask.sum()) == count
        assert torch.equal(score[mask].sort().values, score.sort().values[-count:])


@given(shapes=shapes)
def test_layout_joins_and_splits(shapes: list[tuple[int, ...]]) -> None:
    layout = Layout(shapes)
    tensors = [torch.randn(shape) for shape in shapes]
    flat = layout.join(tensors)
    assert flat.shape == (layout.total,)
    for part, tensor in zip(layout.split(flat), tensors, strict=True):
        assert torch.equal(part, tensor)
    assert torch.equal(layout.join(layout.split(flat)), flat)


def test_layout_splits_into_views_and_joins_a_copy() -> None:
    layout, tensors = Layout([(2, 2), (3,)]), [torch.zeros(2, 2), torch.zeros(3)]
    flat = layout.join(tensors)
    layout.split(flat)[1].fill_(1)
    assert flat.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert not tensors[1].any()
    assert layout.join([torch.zeros(2, 2).T, torch.ones(3)]).dtype == torch.float32
