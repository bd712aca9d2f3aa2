"""Read every byte of a store and name every fault, carrying on past each.

Knows the format through its readers; changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from torch import Tensor

from narrows.errors import StoreError
from narrows.store import content, durable, names, snapshot, strict_json
from narrows.store.compose import digest_of, last_overwriting
from narrows.store.durable import DamagedFileError
from narrows.store.header import RESTORE_STORE, VERSION, SnapshotRef, header_to_json, origin_of
from narrows.store.reader import StoreReader
from narrows.store.records import TaskRecord
from narrows.store.unlisted import foreign, unlisted
from narrows.subnet import Composition, SubNetwork, resolved

Progress = Callable[[str, int, int], None]
_CONFLICT = "restore the whole store from a backup: files of different stores were mixed"
_LINK = "put the file or folder itself in its place"
_ORIGIN = "no task needs it, only `narrows recover` where store.json is lost; the next commit writes it anew"
# What is said of what store.json does not list, what can be done, and whether it is harmless.
_UNLISTED = {
    "leftover": ("is not part of the store", "nothing need be done: the next commit removes it", True),
    "foreign": (
        "is not part of the store",
        "narrows did not write it, or cannot tell what it is, and leaves it; remove it if you do not need it",
        True,
    ),
    "newer": (
        "is the whole task {!r}, and newer than store.json, which does not list it",
        "`narrows recover STORE` takes it back; nothing is written until then",
        False,
    ),
    "older": (
        "is the whole task {!r}, which store.json does not list",
        "it was forgotten or left out: remove the folder, or take it back by `narrows recover STORE --also NAME`",
        False,
    ),
}


@dataclass(frozen=True)
class Problem:
    """A fault: the file (from the store), its task if it has one, what is wrong and what can be done."""

    file: str
    task: str | None
    what: str
    remedy: str
    harmless: bool = False  # takes up room, and hurts nothing

    @property
    def spreads(self) -> bool:
        """Whether tasks that reuse this task's weights cannot be had either: they do without its private tensors."""
        return not self.file.endswith(f"/{names.PRIVATE_FILE}")

    def __str__(self) -> str:
        return f"{self.file} {self.what}; {self.remedy}"


class _Verification:
    def __init__(self, store: StoreReader, progress: Progress | None, deep: bool) -> None:
        self.store, self.progress, self.deep = store, progress, deep
        self.problems: list[Problem] = []
        self.before = Composition(store.shared)
        self.done, self.total = 0, 0

    def run(self) -> list[Problem]:
        store = self.store
        with self.noting(names.STORE_FILE, None):
            store.reload()  # if it is damaged now, go on with what was read when it was opened
        self.before = Composition(store.shared)
        carry = store.header.carry
        files_per_task = 1 + len(names.BLOB_FILES)
        origin = os.path.lexists(store.path / names.ORIGIN_FILE)
        beside = 2 + bool(carry) + bool(store.header.snapshot) + origin
        self.total = beside + files_per_task * len(store.header.tasks)
        self.step(names.STORE_FILE)
        self.step(names.BASE_FILE)
        with self.noting(names.BASE_FILE, None):
            store.base()
        for position, ref in enumerate(store.header.tasks, 1):
            self.task(ref.name, f"{names.TASKS_DIR}/{ref.directory}/")
            if store.header.snapshot and store.header.snapshot.tasks == position:
                self.snapshot(store.header.snapshot)
        if carry:
            self.step(carry.file)
            with self.noting(carry.file, None):
                store.carry(carry.method)
        self.leftovers()
        self.parts()
        return self.problems

    def leftovers(self) -> None:
        """What lies beside that which store.json lists."""
        store = self.store
        try:
            for item in unlisted(store.path, store.header):
                what, remedy, harmless = _UNLISTED[item.kind]
                task = item.record.name if item.record and not harmless else None
                self.problems.append(Problem(item.file, task, what.format(task), remedy, harmless))
            for file in foreign(store.path, store.header):
                self.problems.append(Problem(file, None, *_UNLISTED["foreign"]))
        except (StoreError, OSError) as error:
            self.problems.append(Problem(".", None, f"cannot be listed ({error})", "check the disk"))

    def parts(self) -> None:
        """What writers refuse, and what they write anew."""
        store = self.store
        for part in names.PARTS:
            if (store.path / part).is_symlink():
                self.problems.append(Problem(part, None, "is a symbolic link, so nothing can be written", _LINK))
        with self.noting(names.ORIGIN_FILE, None):
            if os.path.lexists(store.path / names.ORIGIN_FILE):
                self.step(names.ORIGIN_FILE)
                found = durable.read(store.path / names.ORIGIN_FILE, names.ORIGIN_FILE, strict_json.MAX_JSON, _ORIGIN)
                origin = origin_of(store.header)
                # A change of a store of version 1 that was killed may have left it at 2, before store.json.
                if all(found != header_to_json(replace(origin, version=known)) for known in range(1, VERSION + 1)):
                    raise DamagedFileError(names.ORIGIN_FILE, "does not say what store.json says", _ORIGIN)

    def snapshot(self, ref: SnapshotRef) -> None:
        """It must say what the tasks themselves say."""
        self.step(ref.file)
        with self.noting(ref.file, None):
            data = durable.read_checked(self.store.path / ref.file, ref.file, ref.sha256, ref.bytes, snapshot.REMEDY)
            snapshot.decode(data, self.store.shared, self.before.tasks, ref.file)
            if not self.problems and data != snapshot.encode(self.before.held(), ref.file):
                raise DamagedFileError(ref.file, "does not hold what the tasks hold", snapshot.REMEDY)

    def task(self, name: str, where: str) -> None:
        self.step(where + names.TASK_FILE)
        record: TaskRecord | None = None
        with self.noting(where + names.TASK_FILE, name):
            record = self.store.record(name)
        if record is None:
            # Without its record nothing says what the blobs should be: they cannot be judged.
            self.done += len(names.BLOB_FILES)
            return
        blobs: dict[str, bytes] = {}
        for file, blob in record.blobs.items():
            self.step(where + file)
            with self.noting(where + file, name):
                path = self.store.path / where / file
                blobs[file] = durable.read_checked(path, where + file, blob["sha256"], blob["bytes"])
        if not {names.MASK_FILE, names.CLAIMED_FILE} <= blobs.keys():
            return
        with self.noting(where + names.MASK_FILE, name):
            subnet = content.decode_subnet(blobs.__getitem__, self.store.shared, where)
            if record.isolation == "shared":
                self.sources(name, where, subnet)
            with self.noting(where + names.PRIVATE_FILE, name):  # later tasks do without it
                if names.PRIVATE_FILE in blobs:
                    private = content.decode_private(blobs.__getitem__, where)
                    if self.deep:
                        self.weights(record, subnet, private)
            self.before.add(name, record.isolation, subnet)

    def sources(self, name: str, where: str, subnet: SubNetwork) -> None:
        """Each weight that a task reuses must be one that a task before it claimed."""
        for parameter, orphans in self.before.orphans(subnet).items():
            if not self.problems:  # a damaged task before it would be the cause, and is named already
                what = f"reuses {orphans} weights of {parameter} that no task before it claimed"
                self.problems.append(Problem(where + names.MASK_FILE, name, what, _CONFLICT))

    def weights(self, record: TaskRecord, subnet: SubNetwork, private: dict[str, Tensor]) -> None:
        """A task's weights, put together, must be those that were committed.

        Not where the claims of a task before it are damaged, the cause, nor where it was overwritten by design.
        """
        shared = record.isolation == "shared"
        if shared and not set(record.parents) <= set(self.before.tasks):
            return
        if record.isolation == "none" and record.name != last_overwriting(self.store):
            return
        whole = self.before.resolve(subnet) if shared else resolved(subnet, ())
        if digest_of(record, whole, private) != record.weights_sha256:
            what = "does not give the weights that were committed, though each file is what it should be"
            file = f"{names.TASKS_DIR}/{record.directory}"
            self.problems.append(Problem(file, record.name, what, _CONFLICT))
        elif shared and record.parents != self.before.parents(subnet):
            what = "names other parents than the tasks whose weights it reuses"
            file = f"{names.TASKS_DIR}/{record.directory}/{names.TASK_FILE}"
            self.problems.append(Problem(file, record.name, what, _CONFLICT))

    def step(self, file: str) -> None:
        if self.progress:
            self.progress(file, self.done, self.total)
        self.done += 1

    @contextmanager
    def noting(self, file: str, task: str | None) -> Iterator[None]:
        """Turn an error within into a problem; `file` if the error itself names none."""
        try:
            yield
        except DamagedFileError as error:
            self.problems.append(Problem(error.file, task, error.what, error.remedy))
        except (StoreError, OSError) as error:
            remedy = RESTORE_STORE if file == names.STORE_FILE else durable.RESTORE
            self.problems.append(Problem(file, task, f"cannot be read: {error}", remedy))


def verify(store: StoreReader, progress: Progress | None = None, *, deep: bool = False) -> list[Problem]:
    """Every fault of `store`; `progress(file, done, total)` is called before each file.

    `deep`: also puts every task's weights together and compares their digests.
    """
    return _Verification(store, progress, deep).run()
