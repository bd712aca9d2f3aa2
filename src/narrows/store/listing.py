"""What a store says of itself and of its tasks: JSON only, so that listing them needs no torch.

Whole at any time, whoever writes, and every byte checked against its SHA-256. Knows no tensor.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Self, TypeVar

from narrows.errors import StoreError, StoreMissingError, UnknownNameError, nearest
from narrows.store import durable, names, records, strict_json
from narrows.store.durable import DamagedFileError
from narrows.store.header import RESTORE_STORE, StoreHeader, TaskRef, header_from_json, require_size
from narrows.store.records import TaskRecord
from narrows.store.unlisted import half_made
from narrows.subnet import TensorSpec

T = TypeVar("T")


class StoreListing:
    """A store at `path`, as it was when store.json was last read; `StoreDirectory` sees what is committed since."""

    def __init__(self, path: Path, header: StoreHeader) -> None:
        self.path, self.header = path, header

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """The store at `path`; reads store.json only, so damage elsewhere does not keep it shut.

        StoreMissingError, StoreVersionError, or DamagedStoreError if store.json itself is damaged.
        """
        root = Path(path)
        return cls(root, read_header(root))

    def reload(self) -> None:
        """Read store.json again: what others have committed meanwhile."""
        self.header = read_header(self.path)

    def steadily(self, read: Callable[[Self], T]) -> T:
        """What `read` makes of the store, again from the newest store.json where it failed because a writer changed it.

        A task that another process forgets, or rewrites, is gone from where the store.json read before says it is.
        `read` gets a reader of its own: other threads may reload this one meanwhile, and two store.json never mix.
        """
        while True:
            reader = type(self)(self.path, self.header)
            try:
                return read(reader)
            except (StoreError, UnknownNameError):
                self.reload()
                if self.header == reader.header:
                    raise

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """The parameters that tasks share, in order."""
        return self.header.shared

    @property
    def private(self) -> tuple[str, ...]:
        """The name patterns of what each task keeps for itself; without meaning here."""
        return self.header.private

    def task_names(self) -> tuple[str, ...]:
        """The tasks' names, in the order they were learned."""
        return self.header.task_names

    def record(self, name: str) -> TaskRecord:
        """What task.json says of the task `name`. UnknownNameError or DamagedStoreError."""
        ref = self._ref(name)
        label = f"{place_of(ref)}{names.TASK_FILE}"
        data = durable.read(self.path / label, label, strict_json.MAX_JSON)
        if durable.sha256(data) != ref.sha256:
            raise DamagedFileError(label, f"was altered ({len(data)} bytes): its SHA-256 is not the recorded one")
        record = records.task_from_json(data, label)
        if (record.name, record.directory) != (ref.name, ref.directory):
            raise DamagedFileError(label, "is the record of another task")
        order = [self.header.positions.get(task, -1) for task in (*record.parents, name)]
        if order[0] < 0 or any(following <= before for before, following in pairwise(order)):
            raise DamagedFileError(label, "names parents that are not tasks before it, each once and in their order")
        for file, blob in record.blobs.items():
            require_size(self.header, f"{place_of(ref)}{file}", blob["bytes"], label)
        return record

    def records(self) -> tuple[TaskRecord, ...]:
        """The record of every task, in order."""
        return tuple(self.record(name) for name in self.task_names())

    def bytes_of(self, name: str) -> int:
        """Bytes on disk of the task `name`, measured now. UnknownNameError or DamagedStoreError."""
        directory = place_of(self._ref(name))
        try:
            return _measure(self.path / directory)
        except OSError as error:
            raise DamagedFileError(directory, f"cannot be measured ({error.strerror})") from error

    def bytes_total(self) -> int:
        """Bytes on disk of the whole store, the lock aside, measured now."""
        try:
            return _measure(self.path)
        except OSError as error:
            raise StoreError(f"the store {self.path} cannot be measured: {error}") from error

    def _ref(self, name: str) -> TaskRef:
        if name in self.header.positions:
            return self.header.tasks[self.header.positions[name]]
        raise UnknownNameError(f"the store {self.path} holds no task {name!r}: {nearest(name, self.task_names())}")


def read_header(root: Path) -> StoreHeader:
    """What store.json says. Errors as `StoreListing.open`."""
    whole = (root / names.BASE_FILE).exists() and not half_made(root)  # so that its store.json was lost
    if not (root / names.STORE_FILE).exists() and not whole:
        unfinished = root.is_dir() and bool(os.listdir(root)) and half_made(root)
        hint = (
            "its creation was interrupted: create it again"
            if unfinished
            else "create one first (narrows init, or TaskStore.create)"
        )
        raise StoreMissingError(f"there is no store at {root}; {hint}")
    data = durable.read(root / names.STORE_FILE, names.STORE_FILE, strict_json.MAX_JSON, RESTORE_STORE)
    return header_from_json(data)


def place_of(ref: TaskRef) -> str:
    """The task's directory, as a path from the store."""
    return f"{names.TASKS_DIR}/{ref.directory}/"


def _measure(path: Path) -> int:
    if not path.is_dir():
        raise FileNotFoundError(2, "it is missing")
    lock = {names.LOCK_FILE, names.HOLDER_FILE}
    files = (Path(at) / name for at, _, found in os.walk(path) for name in found if name not in lock)
    return sum(file.lstat().st_size for file in files)
