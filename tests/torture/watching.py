"""Hears what Python does, and notes what a store from somebody else must never bring about."""

from __future__ import annotations

import dataclasses
import os
import sys
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
MAKING = {"os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "os.utime", "os.setxattr"}
MOVING = {"os.rename", "os.link", "os.symlink", "shutil.move", "shutil.copyfile"}
FORBIDDEN = (
    "subprocess.",
    "os.system",
    "os.exec",
    "os.spawn",
    "os.posix_spawn",
    "os.fork",
    "socket.connect",
    "pty.",
    "ctypes.dlopen",
    "pickle.",
)

OWN = {typing.__file__, dataclasses.__file__}  # they compile annotations of narrows' own
LIBRARIES = {"torch", "numpy", "narrows", *sys.stdlib_module_names}  # load a part of themselves late


class Watch:
    """An audit hook that notes what must never happen. Hooks stay, so that this one can be put to sleep."""

    def __init__(self) -> None:
        self.root: Path | None = None
        self.seen: list[str] = []
        sys.addaudithook(self.hear)

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self.root is None:
            return
        if (
            event.startswith(FORBIDDEN)
            or (event in ("compile", "exec") and sys._getframe(1).f_code.co_filename not in OWN)
            or (event == "import" and str(args[0]).partition(".")[0] not in LIBRARIES)
        ):
            self.note(event, args)
        elif event == "open":
            path, mode, flags = args
            writes = bool(flags & WRITING) if isinstance(flags, int) else False
            if writes or (isinstance(mode, str) and set(mode) & set("wxa+")):
                self.require_inside(event, path)
        elif event in MAKING:
            self.require_inside(event, args[0], *args[1:])
        elif event in MOVING:
            self.require_inside(event, args[0])
            self.require_inside(event, args[1])

    def require_inside(self, event: str, path: Any, *rest: Any) -> None:
        if isinstance(path, int):
            return  # a descriptor, which was opened before
        folder = next(
            (Path(f"/proc/self/fd/{part}").resolve() for part in reversed(rest) if isinstance(part, int) and part > 2),
            None,
        )
        place = Path(os.path.abspath(folder / os.fsdecode(path) if folder else os.fsdecode(path)))
        assert self.root is not None
        # Where it leads, and not only how it is spelled; the last part of what is removed is not followed.
        real = place.parent.resolve() / place.name
        if event == "open":
            real = place.resolve()
        if not real.is_relative_to(self.root):
            self.note(event, (str(real),))

    def note(self, event: str, args: tuple[Any, ...]) -> None:
        self.seen.append(f"{event} {args!r:.200}")


@contextmanager
def watched(watch: Watch, root: Path) -> Iterator[None]:
    watch.seen, watch.root = [], root.resolve()
    try:
        yield
    finally:
        watch.root = None
    assert watch.seen == []
