"""The order of writes that makes a change to a store all or nothing. Caller holds the lock.

Until store.json is renamed, whatever was written is unlisted, so no reader sees it; from then on it is
listed, and was flushed to disk before. Knows no tensors.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from narrows.errors import StoreError
from narrows.store import durable, names
from narrows.store.change import Change
from narrows.store.records import StoreHeader, header_from_json, header_to_json


class UnconfirmedCommitError(StoreError):
    """store.json was replaced, or may have been, but the disk failed before it could be confirmed."""


def apply(root: Path, old: StoreHeader, change: Change) -> None:
    """Turn the store whose header is `old` into the changed one, on disk, all or nothing.

    StoreError if the disk fails: nothing was committed, and what was written is removed as far as it goes.
    UnconfirmedCommitError if it fails so late that the change stands, or may.
    """
    header = change.header
    written: list[Path] = []
    try:
        sweep(root, old)
        if change.directory:
            tasks = root / names.TASKS_DIR
            written += [tasks / (names.NEW_PREFIX + change.directory), tasks / change.directory]
            write_task(root, change.directory, change.files)
        if change.state is not None and header.carry:
            written.append(root / header.carry.file)
            write_carry(root, header.carry.file, change.state)
        write_header(root, header)
    except OSError as error:
        discard(written)
        raise StoreError(
            f"nothing was committed to {root}, which is as it was: {error}; "
            "make room or mend the disk, then commit again"
        ) from error
    if old.carry and old.carry != header.carry:
        discard([root / old.carry.file])


def write_task(root: Path, directory: str, files: Mapping[str, bytes]) -> None:
    """Write a task's files into tasks/`directory`, flushed and read back. OSError if the disk fails."""
    tasks = root / names.TASKS_DIR
    new = tasks / (names.NEW_PREFIX + directory)
    durable.make_directory(tasks)
    os.mkdir(new)
    for name, data in files.items():
        durable.write_new(new / name, data)
    for name, data in files.items():
        read_back(new / name, data)
    durable.sync_directory(new)
    os.rename(new, tasks / directory)
    durable.sync_directory(tasks)


def write_carry(root: Path, file: str, data: bytes) -> None:
    """Write training state to `file` under the store, flushed and read back. OSError if the disk fails."""
    path = root / file
    durable.make_directory(path.parent)
    durable.write_new(path, data)
    read_back(path, data)
    durable.sync_directory(path.parent)


def write_header(root: Path, header: StoreHeader) -> None:
    """Replace store.json: the commit point. OSError means the old one is in place, whole.

    UnconfirmedCommitError if the disk failed after the rename, or so that it cannot be told: then nothing
    that the new store.json may list must be removed.
    """
    data = header_to_json(header)
    header_from_json(data)  # what the reader would refuse must not be written
    path = root / names.STORE_FILE
    try:
        durable.replace(path, data)
    except OSError as error:
        try:
            found = path.read_bytes() if path.exists() else b""
        except OSError:
            found = data
        if found != data:
            raise
        raise UnconfirmedCommitError(
            f"store.json of {root} was replaced, but the disk failed before confirming it "
            f"({error.strerror or error}); check the disk, open the store again and verify it"
        ) from error


def read_back(path: Path, data: bytes) -> None:
    """OSError unless the file holds `data`."""
    with open(path, "rb") as file:
        if file.read(len(data) + 1) != data:
            raise OSError(f"{path} reads back other bytes than were written")


def discard(paths: Iterable[Path]) -> None:
    """Remove files and directories as far as it goes; what remains is swept by the next commit."""
    for path in paths:
        with suppress(OSError):
            remove(path)


def remove(path: Path) -> None:
    """Remove a file or a whole directory; a symbolic link only itself."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sweep(root: Path, header: StoreHeader) -> None:
    """Remove what a killed commit left. OSError if it cannot be removed."""
    for file, ours in unlisted(root, header):
        if ours:
            remove(root / file)


def unlisted(root: Path, header: StoreHeader) -> list[tuple[str, bool]]:
    """Paths under the store that `header` does not list, and whether narrows itself wrote them (leftovers).

    What the user put there, under names that narrows never gives, is not ours to remove.
    """
    tasks = {task.directory for task in header.tasks}
    found = [
        (name, name.endswith(names.TEMPORARY_SUFFIX) and name[: -len(names.TEMPORARY_SUFFIX)] in _FILES)
        for name in _entries(root)
        if name not in _KNOWN
    ]
    for name in _entries(root / names.TASKS_DIR):
        if name not in tasks:
            ours = names.directory_index(name.removeprefix(names.NEW_PREFIX)) is not None
            found.append((f"{names.TASKS_DIR}/{name}", ours))
    for directory in sorted(tasks):
        for name in _entries(root / names.TASKS_DIR / directory):
            if name != names.TASK_FILE and name not in names.BLOB_FILES:
                found.append((f"{names.TASKS_DIR}/{directory}/{name}", False))
    for name in _entries(root / names.CARRY_DIR):
        file = f"{names.CARRY_DIR}/{name}"
        if header.carry is None or file != header.carry.file:
            found.append((file, names.carry_index(file) is not None))
    return found


_FILES = {names.STORE_FILE, names.BASE_FILE}
_KNOWN = _FILES | {names.TASKS_DIR, names.CARRY_DIR, names.LOCK_FILE, names.HOLDER_FILE}


def half_made(root: Path) -> bool:
    """Whether the directory `root` holds nothing but what a killed creation of a store leaves."""
    may_be = (_KNOWN | {name + names.TEMPORARY_SUFFIX for name in _FILES}) - {names.STORE_FILE}
    empty = not _entries(root / names.TASKS_DIR) and not _entries(root / names.CARRY_DIR)
    return empty and set(_entries(root)) <= may_be


def _entries(path: Path) -> list[str]:
    return sorted(os.listdir(path)) if path.is_dir() else []
