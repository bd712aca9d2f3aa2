"""The order of writes that makes a change to a store all or nothing. Caller holds the lock.

The next store.json is written first, beside the old one. Until it takes its place, whatever was written is unlisted, so
no reader sees it; from then on it is listed, and was flushed to disk before. Knows no tensors.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from narrows.errors import StoreError
from narrows.store import bounded, durable, names, strict_json
from narrows.store.header import RESTORE_STORE, VERSION, StoreHeader, header_from_json, header_to_json, origin_of
from narrows.store.unlisted import listed, refuse_newer, unlisted

if TYPE_CHECKING:
    from narrows.store.change import StoreChange


class UnconfirmedCommitError(StoreError):
    """store.json was replaced, or may have been, but the disk failed before it could be confirmed."""


def chained(root: Path, old: StoreHeader, change: StoreChange) -> StoreChange:
    """The change with a store.json that says which one it replaces, and which directories it takes out.

    By the first the next writer knows what a killed change had begun, by the second what is left of what it removed.
    StoreError if store.json cannot be read.
    """
    now = durable.read(root / names.STORE_FILE, names.STORE_FILE, strict_json.MAX_JSON, RESTORE_STORE)
    kept = {task.directory for task in change.header.tasks}
    removing = tuple(task.sha256 for task in old.tasks if task.directory not in kept)
    header = replace(change.header, version=VERSION, replaces=durable.sha256(now), removing=removing)
    return replace(change, header=header)


def apply(root: Path, old: StoreHeader, change: StoreChange) -> tuple[str, ...]:
    """Turn the store whose header is `old` into the changed one (as `chained` gives it), on disk, all or nothing.

    Returns what is no longer listed and could not be removed, as paths from the store; the next change tries again.
    StoreError if the disk fails: nothing was committed, and what was written is removed as far as it goes.
    UnconfirmedCommitError if it fails so late that the change stands, or may. DamagedStoreError if `old` is older than
    the tasks that are there.
    """
    header = change.header
    data = header_to_json(header)
    header_from_json(data)  # what the reader would refuse must not be written
    written: list[Path] = []
    try:
        sweep(root, old)
        write_origin(root, header)
        stage(root, data)
        for directory, files in change.directories.items():
            write_task(root, directory, files, written)
        for file, blob in change.files.items():
            write_file(root, file, blob, written)
    except (OSError, MemoryError) as error:
        discard(written)
        if not any(os.path.lexists(path) for path in written):  # else it says whose they are
            discard([root / names.STAGED_FILE])
        raise StoreError(
            f"nothing was committed to {root}, which is as it was: {str(error) or 'no memory'}; "
            "make room or mend the disk, then commit again"
        ) from error
    put(root, data)
    gone = sorted(listed(old) - listed(header))
    discard(root / file for file in gone)
    return tuple(file for file in gone if os.path.lexists(root / file))


def write_task(root: Path, directory: str, files: Mapping[str, bytes], written: list[Path]) -> None:
    """Write a task's files into tasks/`directory`, flushed and read back. OSError if the disk fails.

    Adds to `written` what is to be removed if the change fails: nothing that was there before.
    """
    tasks = root / names.TASKS_DIR
    new = tasks / (names.NEW_PREFIX + directory)
    durable.make_directory(tasks)
    _require_new(tasks / directory, new)
    written.append(new)
    os.mkdir(new)
    for name, data in files.items():
        durable.write_new(new / name, data)
    for name, data in files.items():
        read_back(new / name, data)
    durable.sync_directory(new)
    written.append(tasks / directory)
    os.rename(new, tasks / directory)
    durable.sync_directory(tasks)


def write_file(root: Path, file: str, data: bytes, written: list[Path]) -> None:
    """Write `file` (its path from the store), flushed and read back; `written` as above. OSError if the disk fails."""
    path = root / file
    durable.make_directory(path.parent)
    _require_new(path)
    written.append(path)
    durable.write_new(path, data)
    read_back(path, data)
    durable.sync_directory(path.parent)


def write_origin(root: Path, header: StoreHeader) -> None:
    """Have origin.json say what `header` says but for the tasks; by it a store.json that is lost is written anew."""
    data = header_to_json(origin_of(header))
    path = root / names.ORIGIN_FILE
    if not _holds(path, data):
        durable.replace(path, data)


def write_header(root: Path, header: StoreHeader) -> None:
    """Replace store.json alone. OSError before the commit point; then as `put`."""
    data = header_to_json(header)
    header_from_json(data)
    stage(root, data)
    put(root, data)


def stage(root: Path, data: bytes) -> None:
    """Write the next store.json beside the old one. OSError.

    It comes before all that it lists, so that what a killed change had begun is known from what was ever committed.
    """
    path = root / names.STAGED_FILE
    remove(path)
    durable.write_new(path, data)
    read_back(path, data)
    durable.sync_directory(root)


def put(root: Path, data: bytes) -> None:
    """Have the staged store.json take the place of the old one: the commit point.

    Where that fails nothing is removed, whatever can be seen of it: the new store.json may yet turn out to be there.
    StoreError if the old one is in place, whole; UnconfirmedCommitError if the new one is, or if it cannot be told.
    """
    path = root / names.STORE_FILE
    try:
        os.replace(root / names.STAGED_FILE, path)
        durable.sync_directory(root)
    except (OSError, MemoryError) as error:
        why = getattr(error, "strerror", None) or str(error) or "no memory"
        try:
            replaced = _holds(path, data)
        except (OSError, MemoryError):
            replaced = not os.path.lexists(root / names.STAGED_FILE)
        if not replaced:
            raise StoreError(
                f"nothing was committed to {root}: store.json could not be replaced ({why}); what was written stays "
                "beside it and is removed by the next commit; mend the disk, then commit again"
            ) from error
        raise UnconfirmedCommitError(
            f"store.json of {root} was replaced, but the disk failed before confirming it "
            f"({why}); check the disk, open the store again and verify it"
        ) from error


def read_back(path: Path, data: bytes) -> None:
    """OSError unless the file holds `data`."""
    if not _holds(path, data):
        raise OSError(f"{path} reads back other bytes than were written")


def _holds(path: Path, data: bytes) -> bool:
    """Whether that is a file of these bytes, read to the last. OSError where it cannot be told."""
    try:
        return bounded.read_bytes(path, len(data)) == data
    except (FileNotFoundError, bounded.UnfitFileError):
        return False


def discard(paths: Iterable[Path]) -> None:
    """Remove files and directories as far as it goes; what remains is swept by the next commit."""
    for path in paths:
        with suppress(OSError):
            remove(path)


def remove(path: Path) -> None:
    """Remove a file, or a task's directory with its files; a symbolic link only itself.

    A directory stays where the user has put something into it. Its record goes last: by it the rest is known as ours.
    """
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for name in (*names.BLOB_FILES, names.TASK_FILE):
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
    """Remove what a killed change left, and nothing else. OSError if it cannot be removed.

    DamagedStoreError where there are tasks that are newer than `header`: then nothing is removed.
    """
    refuse_newer(root, header)
    left = [item.file for item in unlisted(root, header) if item.kind == "leftover"]
    # The staged store.json goes last: by it the rest is known as ours.
    for file in sorted(left, key=names.STAGED_FILE.__eq__):
        remove(root / file)


def _require_new(*paths: Path) -> None:
    for path in paths:
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "it is there already, and not from this change", str(path))
