"""A file of JSON lines that grows while tasks are trained, for another process to read; `narrows watch` does.

A line is appended whole and never changed. It has "event" and "seconds" (wall-clock, since the last "begin"), and:

    begin   task, time (ISO 8601, UTC), method, schedule, resumed (steps taken before)
    point   step, epoch, loss, lr, new, reused, log_alpha: what is known of a `Point`
    score   epoch (from 0), value
    end     figures; null where the task was not committed

A reader may find the last line half written, after a kill another one too; it passes over what it cannot read.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from narrows.store import bounded, outside, strict_json
from narrows.training.history import Point, Score
from narrows.training.series import DIGITS

MAX_BYTES = 64 << 20
"""A live file beyond this is read from its end only."""


class LiveFile:
    """A `Tracker` that appends lines to a file.

    Args:
        path: of the file; its folder is made where it is missing. OSError where it is a link, or has several names.
        anew: whether to empty it first. It is left where training goes on.
    """

    def __init__(self, path: str | os.PathLike[str], *, anew: bool = False) -> None:
        self._path, self._anew = Path(path), anew
        self._started = time.monotonic()

    def begin(self, task: str, about: Mapping[str, Any], /) -> None:
        """See `Tracker.begin`."""
        self._started = time.monotonic()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        schedule = about.get("schedule")
        said = asdict(schedule) if is_dataclass(schedule) and not isinstance(schedule, type) else schedule
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._write("begin", {"task": task, "time": now, **about, "schedule": said})

    def log(self, point: Point, /) -> None:
        """See `Tracker.log`."""
        known = {key: _rounded(value) for key, value in asdict(point).items() if value is not None}
        self._write("point", known)

    def score(self, epoch: int, value: float, /) -> None:
        """See `Tracker.score`."""
        self._write("score", {"epoch": epoch, "value": value if value - value == 0 else None})

    def end(self, figures: Mapping[str, float] | None, /) -> None:
        """See `Tracker.end`."""
        finite = {key: value for key, value in (figures or {}).items() if value - value == 0}
        self._write("end", {"figures": None if figures is None else finite})

    def _write(self, event: str, values: Mapping[str, Any]) -> None:
        line = {"event": event, "seconds": round(time.monotonic() - self._started, 2), **values}
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str).encode() + b"\n"
        file = outside.open_to_append(self._path, anew=self._anew)
        self._anew = False
        try:
            size = os.fstat(file).st_size
            if size and os.pread(file, 1, size - 1) != b"\n":  # a kill in the middle of a line
                data = b"\n" + data
            os.write(file, data)
        finally:
            os.close(file)


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
    state: Literal["running", "done", "stopped"]
    figures: Mapping[str, float] | None
    seconds: float

    @property
    def remaining(self) -> float | None:
        """Seconds it will still take, at the pace so far; None where that is not known, or it has ended."""
        total = _schedule(self.about).get("total_steps")
        before = self.about.get("resumed", 0)
        if self.state != "running" or not self.points or not _count(total) or not _count(before):
            return None
        last = self.points[-1]
        taken = last["step"] - before
        return max(0.0, (total - last["step"]) * last["seconds"] / taken) if taken > 0 else None


def read_live(path: str | os.PathLike[str]) -> tuple[LiveTask, ...]:
    """What a live file tells, task by task in the order they began; () where there is no file.

    A task that went on after an interruption is one task, without the points that were taken again. Lines that cannot
    be read are passed over.

    Raises:
        OSError: there is a file, and it cannot be read.
    """
    tasks: dict[str, LiveTask] = {}
    now: LiveTask | None = None
    for line in _lines(Path(path)):
        if line["event"] == "begin" and isinstance(line.get("task"), str):
            now = _begun(line, tasks.get(line["task"]))
        elif now is not None:
            now = _after(now, line)
        if now is not None:
            tasks[now.name] = now
    return tuple(tasks.values())


def _begun(line: Mapping[str, Any], before: LiveTask | None) -> LiveTask:
    about = {key: line.get(key) for key in ("time", "method", "schedule", "resumed")}
    resumed = about["resumed"] if _count(about["resumed"]) else 0
    points: tuple[Mapping[str, Any], ...] = ()
    scores: tuple[Score, ...] = ()
    if before is not None and resumed:
        points = tuple(point for point in before.points if point["step"] <= resumed)
        scores = before.scores
    return LiveTask(line["task"], about, points, scores, "running", None, line["seconds"])


def _after(now: LiveTask, line: Mapping[str, Any]) -> LiveTask:
    points, scores, state, figures = now.points, now.scores, now.state, now.figures
    if line["event"] == "point" and _count(line.get("step")):
        points = (*points, {key: value for key, value in line.items() if key != "event"})
    elif line["event"] == "score" and _count(line.get("epoch")):
        value = line.get("value")
        fresh = Score(line["epoch"], float(value) if isinstance(value, int | float) else None)
        scores = (*(score for score in scores if score.epoch < fresh.epoch), fresh)
    elif line["event"] == "end":
        found = line.get("figures")
        state, figures = ("done", found) if isinstance(found, dict) else ("stopped", None)
    return LiveTask(now.name, now.about, points, scores, state, figures, line["seconds"])


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        data = bounded.read_end(path, MAX_BYTES)
    except FileNotFoundError:
        return
    for text in data.split(b"\n"):
        try:
            line = strict_json.loads(text)
        except ValueError:
            continue
        if not isinstance(line, dict) or not isinstance(line.get("event"), str):
            continue
        if type(line.get("seconds")) in (int, float) and 0 <= line["seconds"] < 1e12:
            yield line


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _schedule(about: Mapping[str, Any]) -> Mapping[str, Any]:
    found = about.get("schedule")
    return found if isinstance(found, Mapping) else {}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return [_rounded(part) for part in value] if isinstance(value, tuple) else value
