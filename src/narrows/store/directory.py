"""A store on disk: create it, add a task, forget one, compact, verify. Reading is in `reading`.

Knows tensors by name only: no module, method or training. What it reads is checked against its SHA-256.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from narrows.errors import StoreError
from narrows.memory import enough_memory
from narrows.store import change, commit, durable, names, snapshot, tensors_file, unlisted, verify
from narrows.store.checkpoint_file import CheckpointFile
from narrows.store.compose import composed
from narrows.store.content import TaskContent
from narrows.store.forget import Forgetting, Revise, forget
from narrows.store.header import FileRef, StoreHeader
from narrows.store.listing import T, read_header
from narrows.store.lock import StoreLock
from narrows.store.reader import StoreReader
from narrows.store.records import TaskRecord
from narrows.subnet import TensorSpec


class StoreDirectory(StoreReader):
    """A store on disk, read and written; get one from `create` or `open`.

    Readers see a whole store at any time, whoever writes. Writers hold the lock.
    """

    def __init__(self, path: Path, header: StoreHeader) -> None:
        super().__init__(path, header)
        self._lock: StoreLock | None = None

    @classmethod
    @enough_memory("make the store")
    def create(
        cls,
        path: str | os.PathLike[str],
        base: Mapping[str, Tensor],
        shared: Sequence[TensorSpec],
        private: Sequence[str] = (),
        model: Mapping[str, Any] | None = None,
        head: str | None = None,
    ) -> StoreDirectory:
        """Make a store at `path`, which must be missing, empty or left by a creation that was killed.

        `model`, plain JSON, and `head` are kept in store.json without meaning here. StoreError if the place is taken,
        if `shared` does not fit `base`, or if the disk fails.
        """
        root = Path(path)
        header = change.new_header(base, shared, private, model, head)
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
                commit.write_origin(root, header)
                commit.write_header(root, header)
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"no store could be made at {root}: {error}; create it again") from error
        return cls(root, header)

    def steadily(self, read: Callable[[Self], T]) -> T:
        """What `read` makes of the store as it is committed now, by whomever; see `StoreReader.steadily`.

        `header` stays as it is: a writer in another thread works by it.
        """
        newest = type(self).open(self.path)
        return super(StoreDirectory, newest).steadily(read)

    def checkpoint(self, name: str) -> CheckpointFile:
        """The checkpoint of the task `name` while it is learned. ConfigError: no task can have that name."""
        # The model, gradients, an optimizer's state, the method's and the best so far.
        return CheckpointFile(self.path, name, 8 * self.header.most_bytes)

    @enough_memory("verify the store")
    def verify(self, progress: verify.Progress | None = None, *, deep: bool = False) -> list[verify.Problem]:
        """Every fault of the store; an empty list if it is sound. Reads and decodes every file.

        `progress(file, done, total)` is called before each file. `deep`: puts every task's weights together and
        compares their digests with those that were committed.
        """
        reader = StoreReader(self.path, self.header)
        while True:
            problems = verify.verify(reader, progress, deep=deep)
            before = reader.header
            if not problems:
                return problems
            with suppress(StoreError):
                reader.reload()
            if reader.header == before:  # otherwise a writer changed the store meanwhile: look again
                return problems

    @enough_memory("lock the store")
    def lock(self) -> StoreLock:
        """Take the store for writing; release it after. StoreLockedError, at once, if anyone holds it.

        DamagedStoreError where store.json is older than the tasks that are there: see `narrows.store.recovering`.
        """
        lock = StoreLock(self.path)
        try:
            unlisted.refuse_newer(self.path, read_header(self.path))
        except BaseException:
            lock.release()
            raise
        self._lock = lock
        return lock

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

    @enough_memory("add a task to the store")
    def append(
        self,
        record: TaskRecord,
        content: TaskContent,
        *,
        carry: Mapping[str, Tensor] | None = None,
        after: tuple[str, ...] | None = None,
        layout: tuple[Sequence[TensorSpec], Sequence[str]] | None = None,
    ) -> TaskRecord:
        """Commit a task, all or nothing, and return its record as it lies on disk. Caller holds the lock.

        `record` comes with index -1, directory "" and no blobs; these and `created` are filled in here.
        `layout`: (shared, private) to have from this first task on, as `reshape_shared` chooses them; None: as it is.
        `after`: the tasks the caller believes are there. TaskExistsError; StoreError if the content does
        not fit, if others wrote meanwhile, or if the disk fails (the message says what became of the store).
        Without `carry`, training state of another method stays, that of the same method goes.
        """
        self._require_lock("append")
        self._reload_to_write()
        header = self.header
        if layout is not None and (self.shared, self.private) != layout:
            header = change.reshape(header, self.base(), *layout).header
        stored, changed = change.add_task(header, record, content, carry)
        if after is not None and tuple(after) != self.task_names():
            raise StoreError(
                f"the store {self.path} holds {list(self.task_names())} and should hold {list(after)}: "
                "someone wrote meanwhile; begin the task again"
            )
        self._apply(self._with_snapshot(changed, stored, content))
        return stored

    @enough_memory("forget the task")
    def forget(self, name: str, revise: Revise = lambda record, _: record, *, dry_run: bool = False) -> Forgetting:
        """Take the task `name` out of the store, all or nothing; see `narrows.store.forget`. Caller holds the lock.

        `revise` brings the records of rewritten tasks up to date. With `dry_run` nothing is changed, and no lock
        needed. UnknownNameError; DamagedStoreError; StoreError if the disk fails, with what became of the store.
        """
        if dry_run:
            return self.steadily(lambda reader: forget(reader, name, revise)[0])
        self._require_lock("forget")
        self._reload_to_write()
        forgetting, changed = forget(self, name, revise)
        left = self._apply(changed)
        with suppress(StoreError):  # what stays of it is removed by compact
            self.checkpoint(name).drop()
        return replace(forgetting, leftovers=left)

    @enough_memory("compact the store")
    def compact(self) -> int:
        """Remove what killed writers left, and checkpoints of tasks that were committed since; bytes reclaimed.

        Makes the snapshot anew where it is missing or does not fit the tasks. Caller holds the lock.
        """
        self._require_lock("compact")
        self._reload_to_write()
        before = self.bytes_total()
        for name in self.task_names():
            self.checkpoint(name).drop()
        bare = replace(self.header, snapshot=None, next_index=self.header.next_index + 1)
        if snapshot.due(bare):
            self._apply(change.with_snapshot(change.StoreChange(bare), composed(self, anew=True).held()))
        else:
            self._apply(change.StoreChange(bare))
        return before - self.bytes_total()

    def _with_snapshot(
        self, changed: change.StoreChange, stored: TaskRecord, content: TaskContent
    ) -> change.StoreChange:
        """The change with a snapshot where one is due, from what the tasks before it and itself hold."""
        if not snapshot.due(changed.header):
            return changed
        try:
            composition = composed(self)
        except StoreError:
            return changed  # damage elsewhere must not keep a task out of the store
        composition.add(stored.name, stored.isolation, content.subnet)
        return change.with_snapshot(changed, composition.held())

    def _require_lock(self, what: str) -> None:
        if not (self._lock and self._lock.held):
            raise StoreError(f"{what} needs the store's lock: use `with store.lock():`")

    def _reload_to_write(self) -> None:
        self.reload()
        unlisted.refuse_newer(self.path, self.header)
        self.header = replace(self.header, next_index=unlisted.free_index(self.path, self.header))

    def _apply(self, changed: change.StoreChange) -> tuple[str, ...]:
        changed = commit.chained(self.path, self.header, changed)
        try:
            left = commit.apply(self.path, self.header, changed)
        except commit.UnconfirmedCommitError:
            self.header = changed.header
            raise
        self.header = changed.header
        return left


def _check_vacant(root: Path) -> None:
    if (root / names.STORE_FILE).exists():
        raise StoreError(f"there is a store at {root} already; open it")
    if root.exists() and not (root.is_dir() and unlisted.half_made(root)):
        raise StoreError(f"{root} is not an empty directory; choose another place for the store")
