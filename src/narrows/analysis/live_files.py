"""Files that others are writing, read at a glance: what is there, and by name what could not be read.

Nothing here raises: who watches goes on. Knows paths and bytes; what they tell is worked out in `underway`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from narrows.store import bounded, strict_json
from narrows.trackers import LiveTask, hear

_TAIL: Final = 4096  # bytes of a log


@dataclass(frozen=True)
class Unread:
    """What of a file could not be read.

    Attributes:
        file: relative to what is watched.
        lines: so many of its lines; 0: none of it.
        why: what was in the way; "" for lines, which are damaged or half written.
    """

    file: str
    lines: int
    why: str


class LiveFiles:
    """Reads files below a folder.

    Attributes:
        unread: what could not be read so far.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.unread: list[Unread] = []

    def live(self, file: Path) -> tuple[LiveTask, ...]:
        """The tasks of a live file; () where there is none."""
        try:
            heard = hear(file)
        except OSError as error:
            self._note(file, error)
            return ()
        if heard.unread:
            self.unread.append(Unread(self.label(file), heard.unread, ""))
        return heard.tasks

    def json(self, file: Path) -> dict[str, Any]:
        """The JSON object in a file, which is replaced as a whole; {} where there is none."""
        try:
            return strict_json.read_object(file)
        except (OSError, ValueError) as error:
            self._note(file, error)
            return {}

    def last_line(self, log: Path) -> str:
        """The last line of a log that is not empty; "" where there is none."""
        try:
            lines = bounded.read_end(log, _TAIL).decode(errors="replace").splitlines()
        except OSError as error:
            self._note(log, error)
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def inside(self, folder: Path, ending: str) -> list[Path]:
        """What in a folder has such an end of its name, in order; [] where there is no folder."""
        try:
            return sorted(folder / name for name in os.listdir(folder) if name.endswith(ending))
        except OSError as error:
            self._note(folder, error)
            return []

    def is_folder(self, path: Path) -> bool:
        """Whether there is a folder."""
        try:
            return path.is_dir()
        except OSError as error:
            self._note(path, error)
            return False

    def written(self, file: Path) -> float:
        """When, in seconds since the epoch; 0 for a file that is not there."""
        try:
            return file.stat().st_mtime
        except OSError as error:
            self._note(file, error)
            return 0.0

    def label(self, file: Path) -> str:
        """How the page names it."""
        return file.relative_to(self._root).as_posix()

    def misfit(self, file: Path, why: str) -> None:
        """Notes a file that was read and does not say what it should."""
        self.unread.append(Unread(self.label(file), 0, why))

    def _note(self, file: Path, error: Exception) -> None:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return  # it is not there
        why = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        if all(one.file != self.label(file) for one in self.unread):
            self.misfit(file, why)
