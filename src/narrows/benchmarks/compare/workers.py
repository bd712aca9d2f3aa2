"""A `narrows run` in a process of its own: started, watched through its result.json, stopped without loss.

Knows nothing of grids or storages.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from narrows.benchmarks.parent import PARENT
from narrows.store import bounded, outside, strict_json

PATIENCE = 30.0
"""Seconds that a process is given to stop by itself."""
_REASON_LINES = 8
_LOG = 1 << 20  # bytes of what it said, from the end


class Process(Protocol):
    """What a grid needs of a process that does a job."""

    @property
    def seconds(self) -> float:
        """Since it was started."""

    def ended(self) -> bool:
        """Whether it has ended."""

    def progress(self) -> tuple[int, int | None]:
        """Tasks learned, and tasks of the run where that is known."""

    def result(self) -> dict[str, Any] | None:
        """Contents of its result.json, or None where it failed."""

    def reason(self) -> str:
        """The last lines of what it said."""

    def interrupt(self) -> None:
        """Asks it to stop."""

    def wait(self) -> None:
        """Returns when it has ended; one that does not end is killed."""


class Child:
    """A process that runs a command and writes `folder`/result.json; what it says goes to `folder`.log.

    It is in a process group of its own, so that Ctrl-C in a terminal reaches the parent alone, which then
    decides; and it stops by itself should the parent die (see `narrows.benchmarks.parent`).
    """

    def __init__(self, command: Sequence[str], folder: Path, threads: int) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._folder, self._log = folder, folder.with_name(folder.name + ".log")
        self._progress: tuple[int, int | None] = (0, None)
        self._read_at = 0.0
        self._started = time.monotonic()
        variables = {PARENT: str(os.getpid()), "OMP_NUM_THREADS": str(threads), "NO_COLOR": "1", "COLUMNS": "100"}
        with open(outside.open_to_append(self._log, anew=True), "wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=os.environ | variables,
                start_new_session=True,
            )

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def ended(self) -> bool:
        return self._process.poll() is not None

    def progress(self) -> tuple[int, int | None]:
        path = self._folder / "result.json"
        try:
            changed = path.stat().st_mtime
            if changed != self._read_at:
                data = strict_json.read_object(path)
                self._progress = (len(data["tasks"]), len(data["stream_description"]["tasks"]))
                self._read_at = changed
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not there yet
        return self._progress

    def result(self) -> dict[str, Any] | None:
        if self._process.poll() != 0:
            return None
        try:
            data = strict_json.read_object(self._folder / "result.json")
        except (OSError, ValueError):
            return None
        return data if data.get("complete") and data.get("metrics") else None

    def reason(self) -> str:
        try:
            text = bounded.read_end(self._log, _LOG).decode(errors="replace")
        except OSError:
            text = ""
        lines = [line.rstrip() for line in text.splitlines() if line.strip()]
        errors = [i for i, line in enumerate(lines) if line.startswith("error:")]
        said = lines[errors[-1] :] if errors else lines
        code = self._process.returncode
        end = f"ended by signal {-code}" if code and code < 0 else f"ended with exit code {code}"
        return "\n".join(said[-_REASON_LINES:]) if errors else "\n".join([*said[-_REASON_LINES:], end])

    def interrupt(self) -> None:
        if not self.ended():
            self._process.send_signal(signal.SIGINT)

    def wait(self) -> None:
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
