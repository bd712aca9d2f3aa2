"""What lies in a store's directory beside what store.json lists, and whether narrows itself had it under way.

Only what is known to be left by a change that never ended may be swept: a whole task that nothing lists may be the
only copy of it. Knows names and records, no tensors; changes nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from narrows.errors import DamagedStoreError, StoreVersionError
from narrows.store import durable, names, strict_json
from narrows.store.durable import DamagedFileError
from narrows.store.header import StoreHeader, header_from_json
from narrows.store.records import TaskRecord, task_from_json


@dataclass(frozen=True)
class Unlisted:
    """Something that store.json does not list.

    Attributes:
        file: its path from the store.
        kind: "leftover": of a change that never ended; the next one removes it. "newer": a whole task of an index that
            this store.json has not given yet, so that it is an older one. "older": a whole task of an index that it has
            given, and not recorded as taken out. "foreign": what narrows did not write, or cannot tell what it is.
        record: of the whole tasks.
        sha256: of their task.json.
    """

    file: str
    kind: Literal["leftover", "newer", "older", "foreign"]
    record: TaskRecord | None = None
    sha256: str = ""


def unlisted(root: Path, header: StoreHeader) -> list[Unlisted]:
    """All of it. Does not look into the directories of tasks that are listed; see `foreign`.

    StoreError, OSError where it cannot be told.
    """
    known = listed(header)
    found = [
        Unlisted(name, "leftover" if _temporary(name) in _FILES else "foreign")
        for name in entries(root)
        if name not in names.PARTS
    ]
    files = [f"{directory}/{name}" for directory in names.DIRECTORIES for name in entries(root / directory)]
    files = [file for file in files if file not in known and not names.is_progress_file(file)]
    begun = (
        _begun(root) if files else set()
    )  # after the listing: what was listed while a change went on is in it, or in a new store.json
    return found + [_judge(root, header, file, begun) for file in files]


def refuse_newer(root: Path, header: StoreHeader) -> None:
    """Raise DamagedStoreError where `header` is that of an older store.json than the tasks that are there."""
    newer = [item for item in unlisted(root, header) if item.kind == "newer"]
    if newer:
        listing = ", ".join(f"{item.record.name!r} ({item.file})" for item in newer if item.record)
        raise DamagedFileError(
            names.STORE_FILE,
            f"is older than the store: it does not list {listing}",
            "nothing is written until `narrows recover STORE` takes them back, or the newest store.json is restored",
        )


def free_index(root: Path, header: StoreHeader) -> int:
    """The index for the next task: above every one that was given, also to what lies there unlisted and stays."""
    kept = (item.file for item in unlisted(root, header) if item.kind != "leftover")
    taken = (names.directory_index(file.removeprefix(f"{names.TASKS_DIR}/")) for file in kept)
    return max([header.next_index, *(index + 1 for index in taken if index is not None)])


def listed(header: StoreHeader) -> set[str]:
    """What store.json lists besides the base: directories of tasks, and files; paths from the store."""
    files = {ref.file for ref in (header.carry, header.snapshot) if ref}
    return files | {f"{names.TASKS_DIR}/{task.directory}" for task in header.tasks}


def foreign(root: Path, header: StoreHeader) -> list[str]:
    """Files that are not narrows' own in the directories of tasks, as paths from the store."""
    return [
        f"{names.TASKS_DIR}/{task.directory}/{name}"
        for task in sorted(header.tasks, key=lambda task: task.directory)
        for name in entries(root / names.TASKS_DIR / task.directory)
        if name != names.TASK_FILE and name not in names.BLOB_FILES
    ]


def half_made(root: Path) -> bool:
    """Whether the directory `root` holds nothing but what a killed creation of a store leaves."""
    may_be = (set(names.PARTS) | {name + names.TEMPORARY_SUFFIX for name in _FILES}) - {names.STORE_FILE}
    empty = not any(entries(root / directory) for directory in names.DIRECTORIES)
    return empty and set(entries(root)) <= may_be


def entries(path: Path) -> list[str]:
    """The names in a directory, sorted; none where there is no such directory."""
    return sorted(os.listdir(path)) if path.is_dir() else []


def whole_task(root: Path, directory: str) -> tuple[TaskRecord, str] | None:
    """The record in the task directory of that name under tasks/ and its SHA-256; None where it is not sound."""
    label = f"{names.TASKS_DIR}/{directory}/{names.TASK_FILE}"
    try:
        data = durable.read(root / label, label, strict_json.MAX_JSON)
        record = task_from_json(data, label)
    except (DamagedStoreError, StoreVersionError):
        return None
    return (record, durable.sha256(data)) if record.directory == directory else None


_FILES = {names.STORE_FILE, names.BASE_FILE, names.ORIGIN_FILE}


def _judge(root: Path, header: StoreHeader, file: str, begun: set[str]) -> Unlisted:
    directory, _, name = file.partition("/")
    if directory == names.PROGRESS_DIR:
        return Unlisted(file, "leftover" if names.is_progress_file(_temporary(file) or "") else "foreign")
    if directory != names.TASKS_DIR:  # no task needs them
        ours = names.carry_index(file) is not None or names.snapshot_index(file) is not None
        return Unlisted(file, "leftover" if ours else "foreign")
    if names.directory_index(name.removeprefix(names.NEW_PREFIX)) is None:
        return Unlisted(file, "foreign")
    if name.startswith(names.NEW_PREFIX) or file in begun:
        return Unlisted(file, "leftover")
    if (root / file).is_symlink() or not (root / file).is_dir():
        return Unlisted(file, "foreign")
    found = whole_task(root, name)
    if found is None:
        return Unlisted(file, "foreign" if entries(root / file) else "leftover")
    record, digest = found
    if digest in header.removing:
        return Unlisted(file, "leftover", record, digest)
    return Unlisted(file, "newer" if record.index >= header.next_index else "older", record, digest)


def _begun(root: Path) -> set[str]:
    """What the change that was begun on the store.json of now was to list, whether it goes on or was killed."""
    try:
        staged = header_from_json(durable.read(root / names.STAGED_FILE, names.STAGED_FILE, strict_json.MAX_JSON))
        now = durable.read(root / names.STORE_FILE, names.STORE_FILE, strict_json.MAX_JSON)
    except (DamagedStoreError, StoreVersionError):
        return set()
    return listed(staged) if staged.replaces == durable.sha256(now) else set()


def _temporary(name: str) -> str | None:
    """What the file of this name would have become, or None where it is none under way."""
    return name.removesuffix(names.TEMPORARY_SUFFIX) if name.endswith(names.TEMPORARY_SUFFIX) else None
