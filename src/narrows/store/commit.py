"""The order of writes that makes a change to a store all or nothing. Caller holds the lock.

Until store.json is renamed, whatever was written is unlisted, so no reader sees it; from then on it is
listed, and was flushed to disk before. Knows no tensors.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from narrows.errors import StoreError
from narrows.store import durable, names
from narrows.store.records import StoreHeader, header_from_json, header_to_json

if TYPE_CHECKING:
    from narrows.store.change import Change


class UnconfirmedCommitError(StoreError):
    """store.json was replaced, or may have been, but the disk failed before it could be confirmed."""


def apply(root: Path, old: StoreHeader, change: Change) -> tuple[str, ...]:
    """Turn the store whose header is `old` into the changed one, on disk, all or nothing.

    Returns what is no longer listed and could not be removed, as paths from the store; the next change tries again.
    StoreError if the disk fails: nothing was committed, and what was written is removed as far as it goes.
    UnconfirmedCommitError if it fails so late that the change stands, or may.
    """
    header = change.header
    written: list[Path] = []
    try:
        sweep(root, old)
        tasks = root / names.TASKS_DIR
        for directory, files in change.directories.items():
            written += [tasks / (names.NEW_PREFIX + directory), tasks / directory]
            write_task(root, directory, files)
        for file, data in change.files.items():
            written.append(root / file)
            write_file(root, file, data)
        write_header(root, header)
    except OSError as error:
        discard(written)
        raise StoreError(
            f"nothing was committed to {root}, which is as it was: {error}; "
            "make room or mend the disk, then commit again"
        ) from error
    gone = sorted(listed(old) - listed(header))
    discard(root / file for file in gone)
    return tuple(file for file in gone if os.path.lexists(root / file))


def listed(header: StoreHeader) -> set[str]:
    """What store.json lists besides the base: directories of tasks, and files; paths from the store."""
    files = {ref.file for ref in (header.carry, header.snapshot) if ref}
    return files | {f"{names.TASKS_DIR}/{task.directory}" for task in header.tasks}


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


def write_file(root: Path, file: str, data: bytes) -> None:
    """Write `file` (its path from the store), flushed and read back. OSError if the disk fails."""
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
    """Remove a file, or a task's directory with its files; a symbolic link only itself.

    A directory stays where the user has put something into it.
    """
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for name in (names.TASK_FILE, *names.BLOB_FILES):
        if (path / name).is_dir() and not (path / name).is_symlink():
            shutil.rmtree(path / name)
        else:
            (path / name).unlink(missing_ok=True)
    try:
        os.rmdir(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def sweep(root: Path, header: StoreHeader) -> None:
    """Remove what a killed change left. OSError if it cannot be removed."""
    for file, ours in unlisted(root, header):
        if ours:
            remove(root / file)


def unlisted(root: Path, header: StoreHeader) -> list[tuple[str, bool]]:
    """Paths under the store that `header` does not list, and whether narrows itself wrote them (leftovers).

    What the user put there, under names that narrows never gives, is not ours to remove. Does not look into the
    directories of tasks; see `foreign`.
    """
    known = listed(header)
    found = [(name, _temporary(name) in _FILES) for name in _entries(root) if name not in _KNOWN]
    for directory in names.DIRECTORIES:
        for name in _entries(root / directory):
            file = f"{directory}/{name}"
            if file not in known and not names.is_progress_file(file):
                found.append((file, _is_ours(file)))
    return found


def foreign(root: Path, header: StoreHeader) -> list[str]:
    """Files that are not narrows' own in the directories of tasks, as paths from the store."""
    return [
        f"{names.TASKS_DIR}/{task.directory}/{name}"
        for task in sorted(header.tasks, key=lambda task: task.directory)
        for name in _entries(root / names.TASKS_DIR / task.directory)
        if name != names.TASK_FILE and name not in names.BLOB_FILES
    ]


def _is_ours(file: str) -> bool:
    """Whether that is a path, in one of the store's directories, that narrows gives."""
    directory, _, name = file.partition("/")
    if directory == names.TASKS_DIR:
        return names.directory_index(name.removeprefix(names.NEW_PREFIX)) is not None
    if directory == names.PROGRESS_DIR:
        return names.is_progress_file(_temporary(file) or "")
    return names.carry_index(file) is not None or names.snapshot_index(file) is not None


def _temporary(name: str) -> str | None:
    """What the file of this name would have become, or None where it is none under way."""
    return name.removesuffix(names.TEMPORARY_SUFFIX) if name.endswith(names.TEMPORARY_SUFFIX) else None


_FILES = {names.STORE_FILE, names.BASE_FILE}
_KNOWN = set(names.PARTS)


def half_made(root: Path) -> bool:
    """Whether the directory `root` holds nothing but what a killed creation of a store leaves."""
    may_be = (_KNOWN | {name + names.TEMPORARY_SUFFIX for name in _FILES}) - {names.STORE_FILE}
    empty = not any(_entries(root / directory) for directory in names.DIRECTORIES)
    return empty and set(_entries(root)) <= may_be


def _entries(path: Path) -> list[str]:
    return sorted(os.listdir(path)) if path.is_dir() else []
