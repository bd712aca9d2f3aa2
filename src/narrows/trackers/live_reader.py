"""Reads a live file: what it tells of the tasks, and how many of its lines could not be read.

The file is written by another process, and may be damaged or anybody's. What is taken from a line has the type, the
range and the finiteness it should have, so that who shows it need not ask again; a line that does not is passed over
and counted. Knows no writer, and nothing of how it is shown.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from narrows.store import bounded, strict_json
from narrows.training.history import Score

MAX_BYTES: Final = 4 << 20
"""A live file beyond this is read from its end only; a task takes some 10 kB."""
MAX_POINTS: Final = 1000
"""Points, and scores, that are kept of a task: the last ones. Training tells of 64 points, and a score each epoch."""
_MAX_SECONDS: Final = 1e12

State = Literal["running", "done", "stopped"]


@dataclass(frozen=True)
class LiveTask:
    """A task as a live file tells of it.

    Attributes:
        name: the task's.
        about: what it was begun with: "time", "method", "schedule", "resumed".
        points: what is known of each: "step", "loss", "lr", ... and "seconds" since it began, or last went on.
        scores: on the validation data.
        state: "running" where it has not ended (or was killed), "done" where it was committed.
        figures: of the commit.
        seconds: since it began, or last went on, at its last line.
    """

    name: str
    about: Mapping[str, Any]
    points: tuple[Mapping[str, Any], ...]
    scores: tuple[Score, ...]
    state: State
    figures: Mapping[str, float] | None
    seconds: float

    @property
    def remaining(self) -> float | None:
        """Seconds it will still take, at the pace so far; None where that is not known, or it has ended."""
        total, before = (self.about.get("schedule") or {}).get("total_steps"), self.about.get("resumed") or 0
        if self.state != "running" or not self.points or total is None:
            return None
        last = self.points[-1]
        taken = last["step"] - before
        return max(0.0, (total - last["step"]) * last["seconds"] / taken) if taken > 0 else None


@dataclass(frozen=True)
class Heard:
    """What was read of a live file.

    Attributes:
        tasks: in the order they began.
        unread: lines that could not be read, and were passed over. A last line that is being written is not counted.
    """

    tasks: tuple[LiveTask, ...] = ()
    unread: int = 0


def read_live(path: str | os.PathLike[str]) -> tuple[LiveTask, ...]:
    """What a live file tells, task by task in the order they began; () where there is no file.

    A task that went on after an interruption is one task, without the points that were taken again. Lines that cannot
    be read are passed over.

    Raises:
        OSError: there is a file, and it cannot be read.
    """
    return hear(path).tasks


def hear(path: str | os.PathLike[str]) -> Heard:
    """As `read_live`, and how many lines could not be read.

    Raises:
        OSError: there is a file, and it cannot be read.
    """
    tasks: dict[str, _Task] = {}
    now: _Task | None = None
    unread = 0
    for text in _lines(Path(path)):
        try:
            line = _line(text)
            if line["event"] == "begin":
                now = None  # whose the lines to come are is not known where this one cannot be read
                now = _begun(line, tasks)
                tasks[now.name] = now
            elif now is None or now.state != "running":
                raise ValueError("it is not known which task it is of")
            else:
                _EVENTS[line["event"]](now, line)
                now.seconds = line["seconds"]
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            unread += 1
    return Heard(tuple(task.told() for task in tasks.values()), unread)


@dataclass
class _Task:
    """A task while it is read of."""

    name: str
    about: dict[str, Any]
    seconds: float
    points: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MAX_POINTS))
    scores: deque[Score] = field(default_factory=lambda: deque(maxlen=MAX_POINTS))
    state: State = "running"
    figures: dict[str, float] | None = None

    def told(self) -> LiveTask:
        points, scores = tuple(self.points), tuple(self.scores)
        return LiveTask(self.name, self.about, points, scores, self.state, self.figures, self.seconds)


def _begun(line: Mapping[str, Any], tasks: Mapping[str, _Task]) -> _Task:
    about = {
        "time": _of(str, line.get("time")),
        "method": _of(dict, line.get("method")),
        "schedule": _of(dict, line.get("schedule")),
        "resumed": None if line.get("resumed") is None else _count(line["resumed"]),
    }
    for key in ("total_steps", "epochs"):
        if about["schedule"] and about["schedule"].get(key) is not None:
            _count(about["schedule"][key])
    if not isinstance(line["task"], str) or not line["task"]:
        raise ValueError("it names no task")
    task, before = _Task(line["task"], about, line["seconds"]), tasks.get(line["task"])
    if before is not None and about["resumed"]:
        task.points.extend(point for point in before.points if point["step"] <= about["resumed"])
        task.scores.extend(before.scores)
    return task


def _point(task: _Task, line: Mapping[str, Any]) -> None:
    point = {"step": _count(line["step"]), "seconds": line["seconds"]}
    known = {
        key: line[key] for key in ("epoch", "loss", "lr", "new", "reused", "log_alpha") if line.get(key) is not None
    }
    for key, value in known.items():
        point[key] = _READ[key](value)
    task.points.append({key: value for key, value in point.items() if value is not None})


def _score(task: _Task, line: Mapping[str, Any]) -> None:
    epoch, value = _count(line["epoch"]), line.get("value")
    fresh = Score(epoch, None if value is None else _number(value))
    while task.scores and task.scores[-1].epoch >= epoch:  # it was measured again
        task.scores.pop()
    task.scores.append(fresh)


def _end(task: _Task, line: Mapping[str, Any]) -> None:
    figures = _of(dict, line.get("figures"))
    if figures is not None:
        measured = {key: _number(value) for key, value in figures.items()}
        task.figures = {key: value for key, value in measured.items() if value is not None}
    task.state = "stopped" if figures is None else "done"


_EVENTS: Final[Mapping[str, Callable[[_Task, Mapping[str, Any]], None]]] = {
    "point": _point,
    "score": _score,
    "end": _end,
}


def _line(text: bytes) -> dict[str, Any]:
    line = strict_json.loads(text, finite=False)
    if not isinstance(line, dict) or not isinstance(line["event"], str):
        raise ValueError("it is not an event")
    seconds = _number(line["seconds"])
    if seconds is None or not 0 <= seconds < _MAX_SECONDS:
        raise ValueError("its seconds are none")
    return {**line, "seconds": seconds}


def _lines(path: Path) -> Iterator[bytes]:
    """The whole lines of a file, and its last one, where that is whole but for its end; no empty ones."""
    try:
        data = bounded.read_end(path, MAX_BYTES)
    except FileNotFoundError:
        return
    *lines, last = data.split(b"\n")
    yield from filter(None, lines[1:] if len(data) == MAX_BYTES else lines)
    try:
        _line(last)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return  # it is being written
    yield last


def _of(kind: type, value: Any) -> Any:
    if value is not None and not isinstance(value, kind):
        raise ValueError(f"{kind.__name__} was expected")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError("a count was expected")
    return value


def _number(value: Any) -> float | None:
    """None for one that is NaN or infinite, as a loss may be."""
    if type(value) not in (int, float):
        raise ValueError("a number was expected")
    number = float(value)
    return number if math.isfinite(number) else None


def _fraction(value: Any) -> float:
    number = _number(value)
    if number is None or not 0 <= number <= 1:
        raise ValueError("a fraction was expected")
    return number


def _numbers(value: Any) -> list[float | None]:
    return [_number(part) for part in _of(list, value)]


_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "epoch": _count,
    "loss": _number,
    "lr": _number,
    "new": _fraction,
    "reused": _fraction,
    "log_alpha": _numbers,
}
