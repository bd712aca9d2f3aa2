"""How a task was trained: a bounded record of points, as it is kept in task.json and read from there again.

Knows numbers only: no model, no method, no file. `recording` makes one while training goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NoReturn

from narrows.errors import DamagedStoreError
from narrows.training.series import read_series, write_series

QUANTILES = (5, 25, 50, 75, 95)
"""Percent of the weights that lie below; of log alpha."""

VERSION = 1


@dataclass(frozen=True)
class Point:
    """Training at one step.

    Attributes:
        step: optimizer steps taken, from 1.
        epoch: from 0; None where it is not known, as in a loop of one's own.
        loss: mean of the steps since the point before (nats for cross-entropy); None where it is not known.
        lr: learning rate of the step, of the optimizer's first group.
        new, reused: weights of the sub-network after the step / shared weights: with values of the task's own, and of
            earlier tasks.
        log_alpha: the `QUANTILES` of log(sigma^2 / theta^2) over the weights that are in; None at most points, and for
            methods without such gates.
    """

    step: int
    epoch: int | None
    loss: float | None
    lr: float | None
    new: float | None = None
    reused: float | None = None
    log_alpha: tuple[float, ...] | None = None

    @property
    def density(self) -> float | None:
        """Weights of the sub-network / shared weights."""
        return None if self.new is None or self.reused is None else self.new + self.reused


@dataclass(frozen=True)
class Score:
    """What validation data gave after an epoch, from 0; None for NaN."""

    epoch: int
    value: float | None


@dataclass(frozen=True)
class Schedule:
    """What was said of the training before it began; None for what was not said.

    Attributes:
        total_steps: optimizer steps it was to take.
        epochs: passes over the data.
        examples: in one pass.
        batch_size: examples a step.
        optimizer: name of its class.
        lr: learning rate at the start, of the optimizer's first group.
        cosine: whether it falls to 0 on a cosine.
        prune_from, prune_until: steps between which the sub-network shrinks to its size.
    """

    total_steps: int | None = None
    epochs: int | None = None
    examples: int | None = None
    batch_size: int | None = None
    optimizer: str | None = None
    lr: float | None = None
    cosine: bool | None = None
    prune_from: int | None = None
    prune_until: int | None = None

    def epoch_of(self, step: int) -> int | None:
        """The epoch, from 0, of a step, from 1."""
        if not self.epochs or not self.total_steps or self.total_steps % self.epochs:
            return None
        return (step - 1) * self.epochs // self.total_steps


@dataclass(frozen=True)
class History:
    """How a task was trained. Numbers that were read have 4 significant digits.

    Attributes:
        steps: optimizer steps taken, those after the best epoch included.
        points: at steps 1, 1 + k, 1 + 2k, ... for a power of two k; at most `recording.POINTS`.
        scores: on the validation data, of every epoch or of every second, fourth, ...
        best_epoch: whose network was kept, from 0; None without validation data.

    >>> written = History(Schedule(total_steps=9), 9, (Point(1, None, 0.5, 0.1, 1.0, 0.0),)).to_json()
    >>> written["loss"], read_history(written).points[0].density
    ('.5', 1.0)
    """

    schedule: Schedule
    steps: int
    points: tuple[Point, ...] = ()
    scores: tuple[Score, ...] = ()
    best_epoch: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values, as task.json has them: a series is one text, see `narrows.training.series`."""
        values: dict[str, Any] = {"version": VERSION, "steps": self.steps}
        values |= {key: value for key, value in asdict(self.schedule).items() if value is not None}
        if self.points:
            values["every"] = _stride([point.step for point in self.points])
            for key in _KEYS:
                values[_KEYS[key]] = write_series([getattr(point, key) for point in self.points])
            measured = [index for index, point in enumerate(self.points) if point.log_alpha]
            if measured:
                values["log_alpha_every"] = values["every"] * _stride(measured)
                values["log_alpha"] = write_series([part for index in measured for part in self._alpha(index)])
        if self.scores:
            values["scores_every"] = _stride([score.epoch for score in self.scores])
            values["scores"] = write_series([score.value for score in self.scores])
        if self.best_epoch is not None:
            values["best_epoch"] = self.best_epoch
        return values

    def _alpha(self, index: int) -> tuple[float, ...]:
        return self.points[index].log_alpha or ()


_KEYS = {"loss": "loss", "lr": "rate", "new": "new", "reused": "reused"}
"""Of a point's figures in task.json, where `lr` is that of the schedule."""


def read_history(values: Mapping[str, Any] | None) -> History | None:
    """The history in a task's record (`TaskRecord.history`); None where there is none. Keys it does not know are passed
    over.

    Raises:
        DamagedStoreError: it is not as narrows writes it; says where.
    """
    if values is None:
        return None
    if _integer(values, "version") != VERSION:
        _fail("version", f"is not {VERSION}")
    schedule = Schedule(**{field.name: _READ[field.name](values, field.name) for field in fields(Schedule)})
    steps = _required(values, "steps")
    points = _points(values, schedule)
    if points and points[-1].step > steps:
        _fail("every", f"puts points behind the {steps} steps that were taken")
    every = _required(values, "scores_every") if "scores" in values else 1
    scores = tuple(Score(every * index, value) for index, value in enumerate(_series(values, "scores")))
    return History(schedule, steps, points, scores, _integer(values, "best_epoch"))


def _points(values: Mapping[str, Any], schedule: Schedule) -> tuple[Point, ...]:
    if "every" not in values:
        return ()
    every = _required(values, "every")
    series = [_series(values, key) for key in _KEYS.values()]
    count = len(series[0])
    if every < 1 or any(len(found) != count for found in series):
        _fail("every", "is below 1, or the series differ in length")
    alphas = _alphas(values, every, count)
    steps = [1 + every * index for index in range(count)]
    rows = zip(steps, *series, alphas, strict=True)
    return tuple(Point(step, schedule.epoch_of(step), *figures) for step, *figures in rows)


def _alphas(values: Mapping[str, Any], every: int, count: int) -> list[tuple[float, ...] | None]:
    """For each of the points, its quantiles or None."""
    flat = _series(values, "log_alpha")
    found: list[tuple[float, ...] | None] = [None] * count
    if not flat:
        return found
    each, width = _required(values, "log_alpha_every"), len(QUANTILES)
    known = [value for value in flat if value is not None]
    if each < 1 or each % every or len(flat) % width or len(known) < len(flat):
        _fail("log_alpha", "is not as many numbers as its steps need")
    for at in range(len(flat) // width):
        if at * (each // every) >= count:
            _fail("log_alpha", "has more quantiles than there are points")
        found[at * (each // every)] = tuple(known[at * width : (at + 1) * width])
    return found


def _series(values: Mapping[str, Any], key: str) -> list[float | None]:
    text = values.get(key, "")
    try:
        return read_series(text)
    except ValueError as error:
        _fail(key, str(error))


def _required(values: Mapping[str, Any], key: str) -> int:
    found = _integer(values, key)
    return _fail(key, "is missing") if found is None else found


def _integer(values: Mapping[str, Any], key: str) -> int | None:
    value = values.get(key)
    if value is not None and (type(value) is not int or not 0 <= value < 1 << 63):
        _fail(key, "should be an integer, zero or more")
    return value


def _number(values: Mapping[str, Any], key: str) -> float | None:
    value = values.get(key)
    if value is not None and (type(value) not in (int, float) or not abs(value) < 1e300):
        _fail(key, "should be a number")
    return None if value is None else float(value)


def _text(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    return value if value is None or isinstance(value, str) else _fail(key, "should be a text")


def _flag(values: Mapping[str, Any], key: str) -> bool | None:
    value = values.get(key)
    return value if value is None or isinstance(value, bool) else _fail(key, "should be true or false")


_READ: dict[str, Callable[[Mapping[str, Any], str], Any]] = {
    **dict.fromkeys(("total_steps", "epochs", "examples", "batch_size", "prune_from", "prune_until"), _integer),
    "optimizer": _text,
    "lr": _number,
    "cosine": _flag,
}


def _stride(positions: list[int]) -> int:
    return positions[1] - positions[0] if len(positions) > 1 else 1


def _fail(key: str, what: str) -> NoReturn:
    raise DamagedStoreError(f"the history in the task's record is not as narrows writes it: {key} {what}")
