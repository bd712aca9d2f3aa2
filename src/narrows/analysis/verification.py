"""What is known to be unchanged, and how: a store verified now, and accuracies that a run measured again and again.

The first reads every byte of a store; the second reads result.json and says what was measured then.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from narrows.benchmarks.results import Result
from narrows.errors import StoreError
from narrows.store import StoreDirectory
from narrows.store.compose import last_overwriting
from narrows.store.names import ORIGIN_FILE, STORE_FILE
from narrows.store.reader import StoreReader
from narrows.store.records import utc_now

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class StoreCheck:
    """What `verify --deep` found just now. Source: every file of the store.

    Attributes:
        checked: when it was begun, ISO 8601, UTC.
        seconds: it took.
        tasks: in the store.
        rebuilt: tasks whose network was put together, its SHA-256 being that of `weights_sha256` in task.json.
        overwritten: tasks that cannot be rebuilt, since a later one overwrote them by design (finetune, ewc, joint).
        files: read and compared with their SHA-256.
        bytes: of these files.
        problems: what is wrong, in words; a store is sound where there is none.
        harmless: what only takes up room, in words.
    """

    checked: str
    seconds: float
    tasks: int
    rebuilt: int
    overwritten: tuple[str, ...]
    files: int
    bytes: int
    problems: tuple[str, ...]
    harmless: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"sound": self.sound}


@dataclass(frozen=True)
class Changed:
    """An entry of R that is not what it was: task, after which task it was measured, accuracy learned and then."""

    task: str
    after: str
    learned: float
    then: float


@dataclass(frozen=True)
class Remeasured:
    """What a run measured again after each task. Source: result.json `R`, `metrics`.

    Attributes:
        tasks: learned.
        measurements: entries of R measured after the task was learned, each on the network loaded from the store.
        BWT, forgetting: as docs/result.md defines them; None with one task.
        largest_change: largest |R[i][j] - R[j][j]|, i > j; a fraction. None with one task.
        changed: the entries that differ, however little; none where nothing was forgotten.
    """

    tasks: int
    measurements: int
    BWT: float | None
    forgetting: float | None
    largest_change: float | None
    changed: tuple[Changed, ...]

    @property
    def exact(self) -> bool | None:
        """Whether every accuracy is exactly what it was; None where nothing was measured twice."""
        return None if self.largest_change is None else not self.changed

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"exact": self.exact}


def check_store(reader: StoreReader, progress: Progress | None = None) -> StoreCheck:
    """Verifies the store, every task rebuilt; what is damaged is told and not raised.

    Args:
        progress: called with (file, files done, files in all).

    >>> import tempfile, torch, narrows
    >>> from narrows.analysis.subject import open_subject
    >>> path = tempfile.mkdtemp() + "/store"
    >>> store = narrows.TaskStore.create(path, torch.nn.Linear(4, 2))
    >>> check_store(open_subject(path).reader).sound
    True
    """
    begun, started = utc_now(), time.perf_counter()
    files = 0

    def count(file: str, done: int, total: int) -> None:
        nonlocal files
        files = total
        if progress:
            progress(file, done, total)

    store = StoreDirectory.open(reader.path)
    problems = store.verify(count, deep=True)
    seconds = time.perf_counter() - started
    wrong = [problem for problem in problems if not problem.harmless]
    damaged = {problem.task for problem in wrong}
    spreading = {problem.task for problem in wrong if problem.spreads}
    overwritten, rebuilt, size = [], 0, 0
    last = None if wrong else last_overwriting(store)
    for name in store.task_names():
        try:
            record = store.record(name)
        except StoreError:
            continue
        size += record.bytes
        if record.isolation == "none" and last not in (None, name):
            overwritten.append(name)
        elif name not in damaged and not spreading & set(record.parents) and (None not in damaged):
            rebuilt += 1
    return StoreCheck(
        checked=begun,
        seconds=round(seconds, 3),
        tasks=len(store.task_names()),
        rebuilt=rebuilt,
        overwritten=tuple(overwritten),
        files=files,
        bytes=size + _beside(store),
        problems=tuple(map(str, wrong)),
        harmless=tuple(str(problem) for problem in problems if problem.harmless),
    )


def remeasured(result: Result | None) -> Remeasured | None:
    """What the run's accuracies say; None without a result, without tasks, or for tasks learned all at once."""
    if result is None or not result.tasks or any(row[task] is None for task, row in enumerate(result.rows)):
        return None
    changed, largest, count = [], 0.0, 0
    for i, row in enumerate(result.rows):
        for j in range(i):
            learned, then = result.rows[j][j], row[j]
            if learned is None or then is None:
                continue
            count += 1
            largest = max(largest, abs(then - learned))
            if then != learned:
                changed.append(Changed(result.tasks[j].name, result.tasks[i].name, learned, then))
    metrics = result.metrics()
    return Remeasured(
        tasks=len(result.tasks),
        measurements=count,
        BWT=metrics["BWT"],
        forgetting=metrics["forgetting"],
        largest_change=largest if count else None,
        changed=tuple(changed),
    )


def _beside(store: StoreDirectory) -> int:
    """Bytes of what is read beside the tasks."""
    header = store.header
    refs = (header.base, header.carry, header.snapshot)
    own = (store.path / name for name in (STORE_FILE, ORIGIN_FILE))
    return sum(file.stat().st_size for file in own if file.is_file()) + sum(ref.bytes for ref in refs if ref)
