"""The record of a training: bounded, regular, exact after an interruption, and read back as it was written."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.errors import DamagedStoreError
from narrows.training import History, Point, Recorder, Schedule, Score, read_history
from narrows.training.losses import Losses
from narrows.training.recording import POINTS, quantiles
from narrows.training.series import read_series, write_series

STEPS = st.integers(min_value=1, max_value=700)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def take(recorder: Recorder, steps: int) -> None:
    """Steps whose figures follow from their number alone."""
    for _ in range(steps):
        if recorder.step():
            at = recorder.steps
            alpha = tuple(-at / (k + 1) for k in range(5)) if recorder.wants_alpha else None
            recorder.add(lr=1 / at, new=1 / (1 + at), reused=0.25, log_alpha=alpha)
            recorder.complete(lambda at=at: math.log(at + 1))
        if recorder.steps % 7 == 0:
            recorder.score(recorder.steps / 1000)


@given(STEPS)
def test_points_are_regular_and_few(steps: int) -> None:
    recorder = Recorder(Schedule(total_steps=steps))
    take(recorder, steps)
    history = recorder.history()
    found = [point.step for point in history.points]
    assert found == list(range(1, steps + 1, recorder.every))
    assert min(steps, POINTS // 2) <= len(found) <= POINTS
    alphas = [index for index, point in enumerate(history.points) if point.log_alpha]
    assert alphas == list(range(0, len(found), 4))
    assert len(history.scores) <= POINTS


@given(STEPS)
def test_it_is_the_same_where_the_length_was_not_known(steps: int) -> None:
    known, unknown = Recorder(Schedule(total_steps=steps)), Recorder(Schedule())
    take(known, steps)
    take(unknown, steps)
    assert known.history().points == unknown.history().points
    assert known.every == unknown.every


@given(STEPS, st.data(), st.booleans())
def test_an_interruption_leaves_no_trace(steps: int, data: st.DataObject, known: bool) -> None:
    schedule = Schedule(total_steps=steps if known else None)
    plain, first, second = Recorder(schedule), Recorder(schedule), Recorder(schedule)
    take(plain, steps)
    stop = data.draw(st.integers(0, steps))
    take(first, stop)
    second.load_state(json.loads(json.dumps(first.state())))
    take(second, steps - stop)
    assert second.history() == plain.history()
    assert second.state() == plain.state()


def test_what_is_written_is_read_to_four_digits() -> None:
    schedule = Schedule(300, 10, 1900, 64, "Adam", 0.006, True, 15, 180)
    recorder = Recorder(schedule)
    take(recorder, 300)
    recorder.best_epoch = 7
    written = json.loads(json.dumps(recorder.history().to_json(), allow_nan=False))
    found = read_history(written)
    assert found is not None
    assert found.to_json() == written
    assert (found.schedule, found.steps, found.best_epoch) == (schedule, 300, 7)
    for read, kept in zip(found.points, recorder.history().points, strict=True):
        assert (read.step, read.epoch) == (kept.step, (kept.step - 1) // 30)
        assert read.loss == float(f"{kept.loss:.4g}")
        assert read.log_alpha == (kept.log_alpha and tuple(float(f"{part:.4g}") for part in kept.log_alpha))
    assert len(json.dumps(written)) < 2600  # every series as long as it gets


def test_a_training_of_ones_own_has_no_losses_and_no_epochs() -> None:
    points = (Point(1, None, None, 0.1, 1.0, 0.0), Point(2, None, None, 0.1, 0.5, 0.25))
    history = History(Schedule(optimizer="SGD", lr=0.1), 2, points)
    assert read_history(history.to_json()) == history
    assert read_history(None) is None


def test_keys_of_a_later_narrows_are_passed_over() -> None:
    history = History(Schedule(), 3, (Point(1, None, 0.5, 0.1, 1.0, 0.0),), (Score(0, 0.5),), 0)
    assert read_history(history.to_json() | {"colour": ["blue"]}) == history


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"version": 2}, "version"),
        ({"version": "1"}, "version"),
        ({"steps": None}, "steps is missing"),
        ({"steps": 3}, "behind the 3 steps"),
        ({"every": 0}, "every"),
        ({"loss": ".5"}, "differ in length"),
        ({"loss": ["x"]}, "loss"),
        ({"loss": "nan,1"}, "'nan'"),
        ({"loss": "1e999,1"}, "'1e999'"),
        ({"rate": ",1"}, "rate"),
        ({"lr": "fast"}, "lr"),
        ({"lr": math.inf}, "lr"),
        ({"optimizer": 3}, "optimizer"),
        ({"cosine": 1}, "cosine"),
        ({"epochs": -1}, "epochs"),
        ({"log_alpha": "1,2,3"}, "log_alpha"),
        ({"log_alpha": "1,2,3,4,-"}, "log_alpha"),
        ({"log_alpha_every": 0}, "log_alpha"),
        ({"log_alpha_every": 4, "log_alpha": "1,,,,,,,,,"}, "more quantiles"),
        ({"scores": "1", "scores_every": "2"}, "scores_every"),
        ({"best_epoch": 0.5}, "best_epoch"),
    ],
)
def test_nonsense_is_refused(change: dict[str, Any], where: str) -> None:
    recorder = Recorder(Schedule())
    take(recorder, 4)
    with pytest.raises(DamagedStoreError, match=where):
        read_history(recorder.history().to_json() | change)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("0123456789.,e-+x", max_size=12),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)
WRITTEN = History(Schedule(8, 2, lr=0.1), 8, (Point(1, 0, 0.5, 0.1, 1.0, 0.0, (1.0,) * 5),), (Score(0, 0.5),)).to_json()


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from([*WRITTEN, "best_epoch", "other"]), VALUES, max_size=4), st.booleans())
def test_any_object_is_read_or_refused(change: dict[str, Any], alone: bool) -> None:
    values = {"version": 1, "steps": 8} | change if alone else WRITTEN | change
    try:
        found = read_history(values)
    except DamagedStoreError:
        return
    assert found is not None
    again = read_history(found.to_json())
    assert again is not None
    assert again.to_json() == found.to_json()


@given(st.lists(st.none() | NUMBERS, max_size=20))
def test_a_series_comes_back_to_four_digits(values: list[float | None]) -> None:
    text = write_series(values)
    rounded = [math.nan if value is None else float(f"{value:.4g}") for value in values]
    assert read_series(text) == [value if math.isfinite(value) else None for value in rounded]
    assert write_series(read_series(text)) == text


def test_losses_are_told_once_each_whatever_the_epochs_and_the_looks() -> None:
    losses, told, values = Losses(), [], [float(k) for k in range(1, 60)]
    for at, value in enumerate(values, 1):
        losses.add(torch.tensor(value))
        if at % 7 == 1:
            told.append(losses.recent())
        if at % 23 == 0:
            losses.mean()
            losses = Losses.of(losses.next_epoch().state(), torch.device("cpu"))
    spans = [values[max(0, end - 7) : end] for end in range(1, 60, 7)]
    assert told == [sum(span) / len(span) for span in spans]


def test_quantiles_of_nothing_and_of_what_is_not_finite() -> None:
    assert quantiles(None) is None
    assert quantiles(torch.zeros(0)) is None
    assert quantiles(torch.tensor([1.0, float("nan")])) is None
    assert quantiles(torch.tensor([3.0])) == (3.0,) * 5
    assert quantiles(torch.arange(1_000_001.0)) == pytest.approx((5e4, 25e4, 5e5, 75e4, 95e4), abs=1500)
