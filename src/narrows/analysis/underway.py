"""What is being learned at this moment: of a run, of a store, and of every job of a grid.

Reads what those at work leave for others: live.jsonl, result.json, compare.json and the jobs' logs. Whether a process
is alive cannot be known from files; how long it has been silent can.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from narrows.analysis.subject import COMPARISON_FILE, RESULT_FILE, STORE_FOLDER, Kind
from narrows.store import bounded, strict_json
from narrows.trackers import LiveTask, read_live

LIVE_FILE: Final = "live.jsonl"
JOB_FOLDERS: Final = ("tuning", "runs")
_TAIL = 4096  # bytes of a log


@dataclass(frozen=True)
class Job:
    """A run or a `narrows learn` that is not finished. From live.jsonl, result.json (stream_description) and the log.

    Attributes:
        name: of the job in its grid, "reference" for a run's dense networks, else "".
        task: the task that was begun last; None before the first.
        learned: tasks that are done.
        of: tasks in all; None where that is not known.
        remaining: seconds to the end, at the pace so far; None where that is not known.
        silent: seconds since anything was written.
        line: the last line that it said, in a grid.
        file: where that stands, relative to what is watched.
    """

    name: str
    task: LiveTask | None
    learned: int
    of: int | None
    remaining: float | None
    silent: float
    line: str
    file: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class UnderWay:
    """What is going on below a path.

    Attributes:
        jobs: those at work, or cut off; the one heard of last comes first.
        done, left, failed: jobs of a grid (compare.json); None otherwise, and before its first is done. `left` counts
            those at work, too.
        complete: whether all is done; None where that cannot be known, as of a store.
    """

    jobs: tuple[Job, ...] = ()
    done: int | None = None
    left: int | None = None
    failed: int | None = None
    complete: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def under_way(kind: Kind, path: Path, now: float | None = None) -> UnderWay:
    """What is going on in a folder; what cannot be read is passed over, as it is being written.

    Args:
        kind: what the folder holds.
        now: seconds since the epoch; default: by the clock.
    """
    now = time.time() if now is None else now
    if kind == "comparison":
        return _grid(path, now)
    if kind == "store":
        return UnderWay(_latest_first(_learning(path, path, now)))
    complete, learned, of = _standing(path)
    if complete:
        return UnderWay(complete=True)
    jobs = [*_run(path, path, "", now, learned, of), *_learning(path / STORE_FOLDER, path, now)]
    dense = path / "reference"
    if dense.is_dir():
        done, learned, of = _standing(dense)
        jobs += [] if done else _run(dense, path, "reference", now, learned, of)
    return UnderWay(_latest_first(jobs), complete=False)


def _grid(path: Path, now: float) -> UnderWay:
    found = _read(path / COMPARISON_FILE)
    jobs: list[Job] = []
    for folder in JOB_FOLDERS:
        for child in _folders(path / folder):
            complete, learned, of = _standing(child)
            if not complete:
                jobs += _run(child, path, f"{folder}/{child.name}", now, learned, of)
    rows, failures, left = found.get("rows"), found.get("failures"), found.get("left")
    if not isinstance(rows, list) or not isinstance(failures, list) or not isinstance(left, int):
        return UnderWay(_latest_first(jobs), complete=False)
    tried = {(row.get("label"), row.get("epochs")): len(row.get("tried") or ()) for row in rows}
    done = sum(len(row.get("seeds") or ()) for row in rows) + sum(tried.values())
    failed = {failure.get("job") for failure in failures}
    return UnderWay(_latest_first(jobs), done, left, len(failed), not left)


def _run(path: Path, root: Path, name: str, now: float, learned: int, of: int | None) -> list[Job]:
    """The job in a folder of `narrows run`; none where nothing was written that tells of it."""
    file = path / LIVE_FILE
    tasks = _live(file)
    written = max(map(_written, (file, path / RESULT_FILE)))
    if not written or (tasks and tasks[-1].state == "done" and of is not None and learned >= of):
        return []
    task = tasks[-1] if tasks else None
    spent = [other.seconds for other in tasks if other.state == "done"]
    remaining = task.remaining if task else None
    if remaining is not None and of is not None:
        pace = sum(spent) / len(spent) if spent else task.seconds + remaining if task else 0.0
        remaining += pace * max(0, of - learned - 1)
    log = path.with_name(f"{path.name}.log")
    silent = max(0.0, now - max(written, _written(log)))
    return [Job(name, task, learned, of, remaining, silent, _last_line(log), _label(file, root))]


def _learning(store: Path, root: Path, now: float) -> Iterator[Job]:
    """Tasks that `narrows learn` is at, each with a file of its own beside its checkpoint."""
    folder = store / "progress"
    for file in sorted(folder.glob("*.live.jsonl")) if folder.is_dir() else ():
        for task in _live(file)[-1:]:
            if task.state != "done":
                yield Job("", task, 0, None, task.remaining, max(0.0, now - _written(file)), "", _label(file, root))


def _standing(path: Path) -> tuple[bool, int, int | None]:
    """Of a run: whether it is complete, tasks learned, tasks in all."""
    found = _read(path / RESULT_FILE)
    tasks, described = found.get("tasks"), found.get("stream_description")
    names = described.get("tasks") if isinstance(described, dict) else None
    return (
        found.get("complete") is True,
        len(tasks) if isinstance(tasks, list) else 0,
        len(names) if isinstance(names, list) else None,
    )


def _latest_first(jobs: Iterator[Job] | list[Job]) -> tuple[Job, ...]:
    return tuple(sorted(jobs, key=lambda job: job.silent))


def _live(file: Path) -> tuple[LiveTask, ...]:
    try:
        return read_live(file)
    except OSError:
        return ()


def _read(file: Path) -> dict[str, Any]:
    """The JSON object in a file, {} where there is none."""
    try:
        return strict_json.read_object(file)
    except (OSError, ValueError):
        return {}


def _folders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir()) if path.is_dir() else []


def _written(file: Path) -> float:
    """When, in seconds since the epoch; 0 for a file that is not there."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _last_line(log: Path) -> str:
    try:
        lines = bounded.read_end(log, _TAIL).decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _label(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()
