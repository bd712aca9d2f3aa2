"""The folder of a grid: whose it is, one command at a time, and the files written there.

Knows no figures but those it is handed.
"""

from __future__ import annotations

import json
import re
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from narrows.errors import ConfigError, StorageError
from narrows.store import outside, strict_json

_VERSION = 1


class Folder:
    """An opened folder of a grid.

    Attributes:
        path: the folder.
        worker: name of the worker whose folder it is, the same after an interruption: the host, and a random part.
        storage: where the board is: a URL or a file.
    """

    def __init__(self, path: Path, worker: str, storage: str) -> None:
        self.path, self.worker, self.storage = path, worker, storage

    def write(self, name: str, text: str) -> None:
        """Writes a file whole or not at all."""
        outside.replace_text(self.path / name, text)


@contextmanager
def open_folder(path: Path, identity: Mapping[str, Any], storage: str | None) -> Iterator[Folder]:
    """The folder at `path`, made where it is not there, and closed to other commands meanwhile.

    Raises:
        ConfigError: it is the folder of another grid, or was begun with another storage.
        StorageError: another command is at work in it, or grid.json cannot be read.
    """
    path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path / ".lock", thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise StorageError(
            f"Another `narrows compare` is at work in {path}. To work on one grid together, give each its own --out "
            "and all the same --storage."
        ) from None
    try:
        grid = _require_ours(path / "grid.json", identity, storage)
        folder = Folder(path, f"{socket.gethostname()}:{grid['worker']}", storage or str(path / "journal.log"))
        folder.write("grid.json", json.dumps(grid, indent=1) + "\n")
        yield folder
    finally:
        lock.release()


def without_password(url: str) -> str:
    """A storage's URL as it may be written down.

    >>> without_password("postgresql+psycopg://ann:secret@host/db")
    'postgresql+psycopg://ann:***@host/db'
    """
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)


def _require_ours(path: Path, identity: Mapping[str, Any], storage: str | None) -> dict[str, Any]:
    """grid.json as it is to be, after it was compared with the one that is there."""
    where = without_password(storage) if storage else None
    if not path.exists():
        fresh = {"format": "narrows-grid", "version": _VERSION, "worker": uuid.uuid4().hex[:12]}
        return fresh | {"storage": where, "identity": dict(identity)}
    try:
        found = strict_json.read_object(path)
        if found["format"] != "narrows-grid" or found["version"] != _VERSION:
            raise ValueError(f"not of version {_VERSION}")
        theirs, recorded = dict(found["identity"]), found["storage"]
        if not isinstance(found["worker"], str):
            raise TypeError("worker is no text")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path} cannot be read ({type(error).__name__}: {error}); use another --out.") from error
    names = identity.keys() | theirs.keys()
    different = sorted(name for name in names if identity.get(name) != theirs.get(name))
    if different:
        raise ConfigError(
            f"{path.parent} holds another grid: {', '.join(different)} differ. Use another --out, or the same options. "
            "Methods, seeds and epochs may be added."
        )
    if recorded != where:
        was = f"--storage {recorded}" if recorded else "no --storage"
        raise ConfigError(f"{path.parent} was begun with {was}; say the same, or use another --out.")
    return found
