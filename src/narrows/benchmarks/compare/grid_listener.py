"""What a grid tells those who watch it.

Knows no terminal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from narrows.benchmarks.compare.grid_checks import Grid
from narrows.benchmarks.compare.jobs import Job


@dataclass(frozen=True)
class Running:
    """A job under way here: `tasks` of `of` tasks learned (None: not known yet), after `seconds`."""

    title: str
    tasks: int
    of: int | None
    seconds: float


@dataclass(frozen=True)
class GridState:
    """How a grid stands. `elsewhere`: jobs that other workers have; `remaining`: seconds, roughly, or None."""

    running: tuple[Running, ...]
    done: int
    left: int
    failed: int
    elsewhere: int
    elapsed: float
    remaining: float | None


class GridListener(Protocol):
    """Is told how a grid goes."""

    def begun(self, grid: Grid, slots: int) -> None:
        """The grid was checked and is about to run, so many jobs at once."""

    def started(self, job: Job) -> None:
        """A job was started here."""

    def ended(self, job: Job, seconds: float, reason: str | None) -> None:
        """A job ended here; `reason` why it failed, or None."""

    def progress(self, progress: GridState) -> None:
        """Several times a second."""


class SilentGrid:
    """Watches without a word."""

    def begun(self, grid: Grid, slots: int) -> None:
        """Says nothing."""

    def started(self, job: Job) -> None:
        """Says nothing."""

    def ended(self, job: Job, seconds: float, reason: str | None) -> None:
        """Says nothing."""

    def progress(self, progress: GridState) -> None:
        """Says nothing."""
