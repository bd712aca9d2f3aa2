"""A file of JSON lines that grows while tasks are trained, for another process to read; `narrows watch` does.

A line is appended whole and never changed. It has "event" and "seconds" (wall-clock, since the last "begin"), and:

    begin   task, time (ISO 8601, UTC), method, schedule, resumed (steps taken before)
    point   step, epoch, loss, lr, new, reused, log_alpha: what is known of a `Point`
    score   epoch (from 0), value
    end     figures; null where the task was not committed

A reader (`live_reader`) may find the last line half written, after a kill another one too; it passes over what it
cannot read.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from narrows.store import outside
from narrows.trackers.extras import plain
from narrows.training.history import Point
from narrows.training.series import DIGITS


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
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._write("begin", {"task": task, "time": now, **about, "schedule": plain(about.get("schedule"))})

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


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return [_rounded(part) for part in value] if isinstance(value, tuple) else value
