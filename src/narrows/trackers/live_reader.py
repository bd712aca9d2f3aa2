"""Reads a live file: what it tells of the tasks, and how many of its lines could not be read.

The file is written by another process, and may be damaged or anybody's. What is taken from a line has the type, the
range and the finiteness it should have, so that who shows it need not ask again; a line that does not is passed over
and counted. Knows no writer, and nothing of how it is shown.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from narrows.store import bounded, strict_json
from narrows.training.history import Score

MAX_BYTES: Final = 4 << 20
"""A live file beyond this is read from its end only; a task takes some 10 kB."""
MAX_POINTS: Final = 1000
"""Points, and scores, that are kept of a task: the last ones. Training tells of 64 points, and a score each epoch."""
_MAX_SECONDS: Final = 1e12
_UNREADABLE: Final = (ValueError, TypeError, KeyError, OverflowError, RecursionError)

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
    points: tuple[Mapping[str, Any], ...] = ()
    scores: tuple[Score, ...] = ()
    state: State = "running"
    figures: Mapping[str, float] | None = None
    seconds: float = 0.0

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
    tasks: dict[str, LiveTask] = {}
    now: str | None = None
    unread = 0
    for text in _lines(Path(path)):
        try:
            line = _line(text)
            if line["event"] == "begin":
                now = None  # whose the lines to come are is not known where this one cannot be read
                task = _begun(line, tasks)
                now = task.name
            elif now is None or tasks[now].state != "running":
                raise ValueError("it is not known which task it is of")
            else:
                task = replace(_EVENTS[line["event"]](tasks[now], line), seconds=line["seconds"])
            tasks[now] = task
        except _UNREADABLE:
            unread += 1
    return Heard(tuple(tasks.values()), unread)


def _begun(line: Mapping[str, Any], tasks: Mapping[str, LiveTask]) -> LiveTask:
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
    before = tasks.get(line["task"])
    task = LiveTask(line["task"], about, seconds=line["seconds"])
    if before is None or not about["resumed"]:
        return task
    points = tuple(point for point in before.points if point["step"] <= about["resumed"])
    return replace(task, points=points, scores=before.scores)


def _point(task: LiveTask, line: Mapping[str, Any]) -> LiveTask:
    read = {key: take(line[key]) for key, take in _READ.items() if line.get(key) is not None}
    known = {key: value for key, value in read.items() if value is not None}
    point = {"step": _count(line["step"]), "seconds": line["seconds"], **known}
    return replace(task, points=(*task.points[1 - MAX_POINTS :], point))


def _score(task: LiveTask, line: Mapping[str, Any]) -> LiveTask:
    epoch, value = _count(line["epoch"]), line.get("value")
    fresh = Score(epoch, None if value is None else _number(value))
    kept = list(task.scores[1 - MAX_POINTS :])
    while kept and kept[-1].epoch >= epoch:  # it was measured again
        kept.pop()
    return replace(task, scores=(*kept, fresh))


def _end(task: LiveTask, line: Mapping[str, Any]) -> LiveTask:
    figures = _of(dict, line.get("figures"))
    if figures is None:
        return replace(task, state="stopped")
    measured = {key: _number(value) for key, value in figures.items()}
    return replace(task, state="done", figures={key: value for key, value in measured.items() if value is not None})


_EVENTS: Final[Mapping[str, Callable[[LiveTask, Mapping[str, Any]], LiveTask]]] = {
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
    except _UNREADABLE:
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
