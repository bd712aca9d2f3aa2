"""A store on disk: create, open, read tasks, append one.

Knows tensors by name only: no module, method or training. What it reads is checked against its SHA-256.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from narrows.errors import StoreError, StoreMissingError, UnknownNameError, nearest
from narrows.store import change, commit, content, durable, names, records, snapshot, strict_json, tensors_file, verify
from narrows.store.compose import Frozen, frozen_weights
from narrows.store.content import TaskContent
from narrows.store.durable import DamagedFileError
from narrows.store.forget import Forgetting, Revise, forget
from narrows.store.lock import StoreLock
from narrows.store.progress import ProgressFile
from narrows.store.records import FileRef, StoreHeader, TaskRecord, TaskRef, TensorSpec

_BASE_REMEDY = "restore this file from a backup; no task can be loaded without it"
T = TypeVar("T")
_CARRY_REMEDY = "restore this file from a backup; it only helps the next task, every task can be loaded"


class StoreDirectory:
    """A store at `path`, as it was when last read; get one from `create` or `open`.

    Readers see a whole store at any time, whoever writes. Writers hold the lock.
    """

    def __init__(self, path: Path, header: StoreHeader) -> None:
        self.path, self.header = path, header
        self._lock: StoreLock | None = None

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        base: Mapping[str, Tensor],
        shared: Sequence[TensorSpec],
        private: Sequence[str] = (),
        model: Mapping[str, Any] | None = None,
    ) -> StoreDirectory:
        """Make a store at `path`, which must be missing, empty or left by a creation that was killed.

        `model` is plain JSON, kept in store.json without meaning here. StoreError if the place is taken, if
        `shared` does not fit `base`, or if the disk fails.
        """
        root = Path(path)
        header = change.new_header(base, shared, private, model)
        data = tensors_file.encode(base, names.BASE_FILE)
        header = replace(header, base=FileRef(names.BASE_FILE, durable.sha256(data), len(data)))
        try:
            _check_vacant(root)
            durable.make_directory(root)
            with StoreLock(root):
                _check_vacant(root)  # again: another creator may have been faster
                durable.replace(root / names.BASE_FILE, data)
                commit.read_back(root / names.BASE_FILE, data)
                durable.make_directory(root / names.TASKS_DIR)
                commit.write_header(root, header)
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"no store could be made at {root}: {error}; create it again") from error
        return cls(root, header)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> StoreDirectory:
        """The store at `path`; reads store.json only, so damage elsewhere does not keep it shut.

        StoreMissingError, StoreVersionError, or DamagedStoreError if store.json itself is damaged.
        """
        root = Path(path)
        return cls(root, _read_header(root))

    def reload(self) -> None:
        """Read store.json again: what others have committed meanwhile."""
        self.header = _read_header(self.path)

    def steadily(self, read: Callable[[], T]) -> T:
        """`read()`, and again from the newest store.json where it failed because a writer changed the store.

        A task that another process forgets, or rewrites, is gone from where the store.json read before says it is.
        """
        while True:
            try:
                return read()
            except (StoreError, UnknownNameError):
                before = self.header
                self.reload()
                if self.header == before:
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
        return tuple(task.name for task in self.header.tasks)

    def record(self, name: str) -> TaskRecord:
        """What task.json says of the task `name`. UnknownNameError or DamagedStoreError."""
        ref = self._ref(name)
        label = f"{_where(ref)}{names.TASK_FILE}"
        data = durable.read(self.path / label, label, strict_json.MAX_JSON)
        if durable.sha256(data) != ref.sha256:
            raise DamagedFileError(label, f"was altered ({len(data)} bytes): its SHA-256 is not the recorded one")
        record = records.task_from_json(data, label)
        if (record.name, record.directory) != (ref.name, ref.directory):
            raise DamagedFileError(label, "is the record of another task")
        return record

    def records(self) -> tuple[TaskRecord, ...]:
        """The record of every task, in order."""
        return tuple(self.record(name) for name in self.task_names())

    def content(self, name: str) -> TaskContent:
        """The tensors of the task `name`. UnknownNameError or DamagedStoreError."""
        record, where = self.record(name), _where(self._ref(name))

        def read(file: str) -> bytes:
            blob = record.blobs[file]
            return durable.read_checked(self.path / where / file, where + file, blob["sha256"], blob["bytes"])

        return content.decode(read, self.shared, where)

    def base(self) -> dict[str, Tensor]:
        """Every tensor of the network the store began from. DamagedStoreError."""
        tensors = self._tensors(self.header.base, _BASE_REMEDY)
        if records.fingerprint(self.shared, tensors) != self.header.fingerprint:
            what = "does not fit base.safetensors: the fingerprint is another"
            raise DamagedFileError(names.STORE_FILE, what, records.RESTORE_STORE)
        return tensors

    def carry(self, method: str) -> dict[str, Tensor] | None:
        """The training state that the newest task with any left, if it was of this method; else None."""
        ref = self.header.carry
        return self._tensors(ref, _CARRY_REMEDY) if ref and ref.method == method else None

    def snapshot(self) -> Frozen | None:
        """What the first tasks hold, gathered by a commit; None where there is none that can be read."""
        ref = self.header.snapshot
        if ref is None:
            return None
        try:
            data = durable.read_checked(self.path / ref.file, ref.file, ref.sha256, ref.bytes, snapshot.REMEDY)
            return snapshot.decode(data, self.shared, self.task_names()[: ref.tasks], ref.file)
        except StoreError:
            return None  # the tasks say it all; verify names the damage

    def progress(self, name: str) -> ProgressFile:
        """The checkpoint of the task `name` while it is learned. ConfigError: no task can have that name."""
        return ProgressFile(self.path, name)

    def bytes_of(self, name: str) -> int:
        """Bytes on disk of the task `name`, measured now. UnknownNameError or DamagedStoreError."""
        directory = _where(self._ref(name))
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

    def verify(self, progress: verify.Progress | None = None, *, deep: bool = False) -> list[verify.Problem]:
        """Every fault of the store; an empty list if it is sound. Reads and decodes every file.

        `progress(file, done, total)` is called before each file. `deep`: puts every task's weights together and
        compares their digests with those that were committed.
        """
        while True:
            problems = verify.verify(self, progress, deep=deep)
            before = self.header
            if not problems:
                return problems
            with suppress(StoreError):
                self.reload()
            if self.header == before:  # otherwise a writer changed the store meanwhile: look again
                return problems

    def lock(self) -> StoreLock:
        """Take the store for writing; release it after. StoreLockedError, at once, if anyone holds it."""
        self._lock = StoreLock(self.path)
        return self._lock

    def reshape_shared(self, shared: Sequence[TensorSpec], private: Sequence[str]) -> None:
        """Choose anew which base tensors are shared. StoreError once there are tasks.

        Takes the lock for itself unless it is held through this object.
        """
        if not (self._lock and self._lock.held):
            with self.lock():
                self.reshape_shared(shared, private)
            return
        self.reload()
        self._apply(change.reshape(self.header, self.base(), shared, private))

    def append(
        self,
        record: TaskRecord,
        content: TaskContent,
        *,
        carry: Mapping[str, Tensor] | None = None,
        after: tuple[str, ...] | None = None,
    ) -> TaskRecord:
        """Commit a task, all or nothing, and return its record as it lies on disk. Caller holds the lock.

        `record` comes with index -1, directory "" and no blobs; these and `created` are filled in here.
        `after`: the tasks the caller believes are there. TaskExistsError; StoreError if the content does
        not fit, if others wrote meanwhile, or if the disk fails (the message says what became of the store).
        Without `carry`, training state of another method stays, that of the same method goes.
        """
        self._require_lock("append")
        self.reload()
        stored, changed = change.add_task(self.header, record, content, carry)
        if after is not None and tuple(after) != self.task_names():
            raise StoreError(
                f"the store {self.path} holds {list(self.task_names())} and should hold {list(after)}: "
                "someone wrote meanwhile; begin the task again"
            )
        self._apply(self._with_snapshot(changed, stored, content))
        return stored

    def forget(self, name: str, revise: Revise = lambda record, _: record, *, dry_run: bool = False) -> Forgetting:
        """Take the task `name` out of the store, all or nothing; see `narrows.store.forget`. Caller holds the lock.

        `revise` brings the records of rewritten tasks up to date. With `dry_run` nothing is changed, and no lock
        needed. UnknownNameError; DamagedStoreError; StoreError if the disk fails, with what became of the store.
        """
        if dry_run:
            return self.steadily(lambda: forget(self, self.header, self._ref(name).name, revise)[0])
        self._require_lock("forget")
        self.reload()
        forgetting, changed = forget(self, self.header, self._ref(name).name, revise)
        self._apply(changed)
        return forgetting

    def compact(self) -> int:
        """Remove what killed writers left, and checkpoints of tasks that were committed since; bytes reclaimed.

        Makes the snapshot anew where it is missing or does not fit the tasks. Caller holds the lock.
        """
        self._require_lock("compact")
        self.reload()
        before = self.bytes_total()
        for name in self.task_names():
            self.progress(name).drop()
        bare = replace(self.header, snapshot=None, next_index=self.header.next_index + 1)
        if snapshot.due(bare):
            self._apply(change.with_snapshot(change.Change(bare), frozen_weights(self, anew=True)))
        else:
            self._apply(change.Change(bare))
        return before - self.bytes_total()

    def _with_snapshot(self, changed: change.Change, stored: TaskRecord, content: TaskContent) -> change.Change:
        """The change with a snapshot where one is due, from what the tasks before it and itself hold."""
        if not snapshot.due(changed.header):
            return changed
        try:
            frozen = frozen_weights(self)
        except StoreError:
            return changed  # damage elsewhere must not keep a task out of the store
        frozen.add(stored.name, stored.isolation, content)
        return change.with_snapshot(changed, frozen)

    def _require_lock(self, what: str) -> None:
        if not (self._lock and self._lock.held):
            raise StoreError(f"{what} needs the store's lock: use `with store.lock():`")

    def _apply(self, changed: change.Change) -> None:
        try:
            commit.apply(self.path, self.header, changed)
        except commit.UnconfirmedCommitError:
            self.header = changed.header
            raise
        self.header = changed.header

    def _ref(self, name: str) -> TaskRef:
        for ref in self.header.tasks:
            if ref.name == name:
                return ref
        raise UnknownNameError(f"the store {self.path} holds no task {name!r}: {nearest(name, self.task_names())}")

    def _tensors(self, ref: FileRef, remedy: str) -> dict[str, Tensor]:
        data = durable.read_checked(self.path / ref.file, ref.file, ref.sha256, ref.bytes, remedy)
        return tensors_file.decode(data, ref.file, remedy)


def _read_header(root: Path) -> StoreHeader:
    if not (root / names.STORE_FILE).exists():
        unfinished = root.is_dir() and bool(os.listdir(root)) and commit.half_made(root)
        hint = "its creation was interrupted: create it again" if unfinished else "create one first"
        raise StoreMissingError(f"there is no store at {root}; {hint}")
    data = durable.read(root / names.STORE_FILE, names.STORE_FILE, strict_json.MAX_JSON, records.RESTORE_STORE)
    return records.header_from_json(data)


def _check_vacant(root: Path) -> None:
    if (root / names.STORE_FILE).exists():
        raise StoreError(f"there is a store at {root} already; open it")
    if root.exists() and not (root.is_dir() and commit.half_made(root)):
        raise StoreError(f"{root} is not an empty directory; choose another place for the store")


def _where(ref: TaskRef) -> str:
    return f"{names.TASKS_DIR}/{ref.directory}/"


def _measure(path: Path) -> int:
    if not path.is_dir():
        raise FileNotFoundError(2, "it is missing")
    lock = {names.LOCK_FILE, names.HOLDER_FILE}
    files = (Path(at) / name for at, _, found in os.walk(path) for name in found if name not in lock)
    return sum(file.stat().st_size for file in files)
