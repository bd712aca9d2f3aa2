"""A progress bar for training, on standard error."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from narrows.shown import shown
from narrows.training.loop import Step


class ProgressBar:
    """A callback that draws one bar for one task; a context manager.

    Args:
        title: what stands before the bar.
        console: where to draw; standard error by default. Nothing is drawn where that is not a terminal.

    Attributes:
        score: on validation data, shown beside the loss once it is set.
    """

    def __init__(self, title: str, console: Console | None = None) -> None:
        console = console or Console(file=sys.stderr)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            refresh_per_second=8,
        )
        self.score: float | None = None
        self._bar = self._progress.add_task(shown(title), total=None, note="")

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, step: Step, /) -> None:
        note = f"epoch {step.epoch + 1}/{step.epochs}"
        if step.loss is not None:
            note += f"  loss {step.loss:.3f}"
        if self.score is not None:
            note += f"  validation {self.score:.3f}"
        self._progress.update(self._bar, completed=step.step, total=step.total_steps, note=note)
