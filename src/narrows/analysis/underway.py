"""What is being learned at this moment: of a run, of a store, and of every job of a grid.

From what those at work leave for others: live.jsonl, result.json, compare.json and the jobs' logs. Whether a process
is alive cannot be known from files; how long it has been silent can.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from narrows.analysis.live_files import LiveFiles, Unread
from narrows.analysis.subject import COMPARISON_FILE, RESULT_FILE, STORE_FOLDER, Kind
from narrows.trackers import LiveTask

LIVE_FILE: Final = "live.jsonl"
JOB_FOLDERS: Final = ("tuning", "runs")


@dataclass(frozen=True)
class LiveJob:
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


@dataclass(frozen=True)
class UnderWay:
    """What is going on below a path.

    Attributes:
        jobs: those at work, or cut off; the one heard of last comes first.
        done, left, failed: jobs of a grid (compare.json); None otherwise, and before its first is done. `left` counts
            those at work, too.
        complete: whether all is done; None where that cannot be known, as of a store.
        unread: files, and lines of them, that could not be read.
    """

    jobs: tuple[LiveJob, ...] = ()
    done: int | None = None
    left: int | None = None
    failed: int | None = None
    complete: bool | None = None
    unread: tuple[Unread, ...] = ()


def under_way(kind: Kind, path: Path, now: float | None = None) -> UnderWay:
    """What is going on in a folder. Raises nothing: what cannot be read is passed over and named.

    Args:
        kind: what the folder holds.
        now: seconds since the epoch; default: by the clock.
    """
    now, files = time.time() if now is None else now, LiveFiles(path)
    if kind == "comparison":
        found = _grid(files, path, now)
    elif kind == "store":
        found = UnderWay(_latest_first(_learning(files, path, now)))
    else:
        found = _of_run(files, path, now)
    return replace(found, unread=tuple(files.unread))


def _of_run(files: LiveFiles, path: Path, now: float) -> UnderWay:
    complete, learned, of = _standing(files, path)
    if complete:
        return UnderWay(complete=True)
    jobs = [*_run(files, path, "", now, learned, of), *_learning(files, path / STORE_FOLDER, now)]
    dense = path / "reference"
    if files.is_folder(dense):
        done, learned, of = _standing(files, dense)
        jobs += [] if done else _run(files, dense, "reference", now, learned, of)
    return UnderWay(_latest_first(jobs), complete=False)


def _grid(files: LiveFiles, path: Path, now: float) -> UnderWay:
    jobs: list[LiveJob] = []
    for folder in JOB_FOLDERS:
        for child in files.inside(path / folder, ""):
            if files.is_folder(child):
                complete, learned, of = _standing(files, child)
                if not complete:
                    jobs += _run(files, child, f"{folder}/{child.name}", now, learned, of)
    found = files.json(path / COMPARISON_FILE)
    try:
        done, left, failed = _counts(found)
    except (TypeError, AttributeError, KeyError):  # of another form; the rest of the page says more of it
        if found:
            files.misfit(path / COMPARISON_FILE, "rows, failures and left are not those of a comparison")
        return UnderWay(_latest_first(jobs), complete=False)
    return UnderWay(_latest_first(jobs), done, left, failed, not left)


def _counts(found: dict[str, Any]) -> tuple[int, int, int]:
    """Jobs of a grid that are done, left and failed, by its compare.json; TypeError and the like where it is none."""
    rows, left = found["rows"], found["left"]
    if type(left) is not int or left < 0:
        raise TypeError("left is no count")
    tried = {(row["label"], row.get("epochs")): len(row.get("tried") or ()) for row in rows}
    done = sum(len(row.get("seeds") or ()) for row in rows) + sum(tried.values())
    return done, left, len({failure.get("job") for failure in found["failures"]})


def _run(files: LiveFiles, path: Path, name: str, now: float, learned: int, of: int | None) -> list[LiveJob]:
    """The job in a folder of `narrows run`; none where nothing was written that tells of it."""
    file = path / LIVE_FILE
    tasks = files.live(file)
    written = max(map(files.written, (file, path / RESULT_FILE)))
    if not written or (tasks and tasks[-1].state == "done" and of is not None and learned >= of):
        return []
    task = tasks[-1] if tasks else None
    spent = [other.seconds for other in tasks if other.state == "done"]
    remaining = task.remaining if task else None
    if remaining is not None and of is not None:
        pace = sum(spent) / len(spent) if spent else task.seconds + remaining if task else 0.0
        remaining += pace * max(0, of - learned - 1)
    line = ""
    if name:  # beside it
        log = path.with_name(f"{path.name}.log")
        line, written = files.last_line(log), max(written, files.written(log))
    return [LiveJob(name, task, learned, of, remaining, max(0.0, now - written), line, files.label(file))]


def _learning(files: LiveFiles, store: Path, now: float) -> Iterator[LiveJob]:
    """Tasks that `narrows learn` is at, each with a file of its own beside its checkpoint."""
    for file in files.inside(store / "progress", ".live.jsonl"):
        for task in files.live(file)[-1:]:
            if task.state != "done":
                silent = max(0.0, now - files.written(file))
                yield LiveJob("", task, 0, None, task.remaining, silent, "", files.label(file))


def _standing(files: LiveFiles, path: Path) -> tuple[bool, int, int | None]:
    """Of a run: whether it is complete, tasks learned, tasks in all."""
    found = files.json(path / RESULT_FILE)
    tasks, described = found.get("tasks"), found.get("stream_description")
    names = described.get("tasks") if isinstance(described, dict) else None
    return (
        found.get("complete") is True,
        len(tasks) if isinstance(tasks, list) else 0,
        len(names) if isinstance(names, list) else None,
    )


def _latest_first(jobs: Iterable[LiveJob]) -> tuple[LiveJob, ...]:
    return tuple(sorted(jobs, key=lambda job: job.silent))
