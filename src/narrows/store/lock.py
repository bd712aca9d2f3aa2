"""One writer at a time: a lock on a store, and who holds it.

Knows no file of the store but its own two. Readers need no lock.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from narrows.errors import StoreError, StoreLockedError
from narrows.json_values import MisfitError, from_plain
from narrows.store import durable, names, strict_json
from narrows.store.records import utc_now


class StoreLock:
    """A held lock on the store at `path`; `release()` or leave its `with` block to let others write.

    The system drops the lock when the process dies, however it dies; a stale `.lock.json` means nothing.
    StoreLockedError if any other process, thread or object holds it; never waits. StoreError where a part of the
    store is a symbolic link: in a store from somebody else it may lead to files that are not the store's.
    """

    def __init__(self, path: Path) -> None:
        refuse_links(path)
        self._holder = path / names.HOLDER_FILE
        self._pid = os.getpid()
        # Not per thread: a task begun in one thread may be committed in another.
        self._lock = FileLock(path / names.LOCK_FILE, mode=0o600, thread_local=False)
        try:
            _close_to_others(path / names.LOCK_FILE)
            self._lock.acquire(blocking=False)
        except Timeout:
            raise StoreLockedError(
                f"the store {path} is being written by {_describe(self._holder)}; wait until it has ended, or, "
                "where it is a task of this process, commit or abandon that (`with store.begin(...) as task:` does)"
            ) from None
        except (OSError, NotImplementedError) as error:
            raise StoreError(f"the store {path} cannot be locked for writing: {error}") from error
        try:
            self._tell_others()
        except BaseException:
            self.release()
            raise

    def _tell_others(self) -> None:
        holder = {"pid": self._pid, "host": socket.gethostname(), "since": utc_now()}
        with suppress(OSError, MemoryError):  # it only serves the message above
            self._holder.unlink(missing_ok=True)
            # Made anew: in a store from somebody else a pipe in its place would hang, and a hard link lead outside.
            with open(self._holder, "x", encoding="utf-8") as file:
                json.dump(holder, file)

    @property
    def held(self) -> bool:
        """Whether this process still holds it (a forked child does not)."""
        return self._lock.is_locked and self._pid == os.getpid()

    def release(self) -> None:
        """Let others write; nothing happens the second time."""
        if self.held:
            try:
                with suppress(OSError, MemoryError):
                    os.unlink(self._holder)
            finally:
                try:
                    self._lock.release()
                except MemoryError:  # what it has done already it does not do again
                    self._lock.release()

    def __enter__(self) -> StoreLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def refuse_links(path: Path) -> None:
    """Raise StoreError where a part of the store at `path` is a symbolic link."""
    for name in names.PARTS:
        if (path / name).is_symlink():
            raise StoreError(
                f"{path / name} is a symbolic link, through which narrows would write outside the store; put the "
                "file or folder itself in its place"
            )


def _close_to_others(lock: Path) -> None:
    """Whoever can read the file can lock it, and so hold off writers: an older narrows let everybody."""
    if os.name == "nt":
        return
    with suppress(OSError):  # there is none yet, or it is another user's
        found = os.lstat(lock)
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_mode & 0o077:
            os.chmod(lock, 0o600)


@dataclass(frozen=True)
class _Holder:
    pid: int
    host: str
    since: str


def _describe(holder: Path) -> str:
    try:
        values = strict_json.parse(durable.read(holder, names.HOLDER_FILE, 4096), names.HOLDER_FILE)
        found = from_plain(_Holder, values, unknown=True)
        return f"process {found.pid} on {found.host} since {found.since}"
    except (StoreError, MisfitError):
        return "another process or thread"
