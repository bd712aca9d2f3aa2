"""A task being learned, for people: what it is learned from, a live bar, and what to do after Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from narrows.cli.common import INTERRUPTED, TERMINATED, holds, telling
from narrows.cli.screen import Screen, say
from narrows.cli.tables import counted

if TYPE_CHECKING:
    from narrows.production.learning_data import LearningData
    from narrows.training import Step


class LearningBar:
    """Says how learning goes, on standard error; a bar where that is a terminal, else a line after each epoch.

    `begun`, `step` and `measured` are what `narrows.production.learn` calls.
    """

    def __init__(self, name: str, console: Screen) -> None:
        from narrows.training import ProgressBar

        self.name, self._console = name, console
        self._bar = ProgressBar(name, console)
        self.resumed = False
        self.last: Step | None = None

    def __enter__(self) -> LearningBar:
        self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__(None, None, None)

    def begun(self, material: LearningData, resumed: bool) -> None:
        """Before the first step."""
        self.resumed = resumed
        held = "" if material.valid is None else f", {len(material.valid):,} to measure on"
        say(self._console, f"{self.name}: {material.schema.summary()}")
        say(
            self._console,
            f"{counted(len(material.train), 'example')} to learn from{held}; {material.epochs} passes in batches of "
            f"{material.batch_size} are {material.steps:,} steps",
        )
        for note in material.notes:
            say(self._console, f"note: {note}")
        if resumed:
            say(self._console, "goes on where it was interrupted (--restart begins anew)")

    def step(self, step: Step) -> None:
        """After every step."""
        self.last = step
        self._bar(step)

    def measured(self, score: float) -> None:
        """After every epoch, where there are validation data."""
        self._bar.score = score
        if not self._console.is_terminal and self.last is not None:
            loss = "" if self.last.loss is None else f"loss {self.last.loss:.3f}, "
            say(self._console, f"epoch {self.last.epoch + 1}/{self.last.epochs}: {loss}validation {score:.3f}")


@contextmanager
def interruptible(watch: LearningBar, console: Screen, store: Path) -> Iterator[None]:
    """Ctrl-C and SIGTERM end with what is kept and how to go on; whatever comes after the commit, with that."""
    task = watch.name
    before = holds(store, task)
    try:
        with telling(lambda: holds(store, task), f"{task} is in {store}, whole: it need not be learned again."):
            yield
    except (KeyboardInterrupt, SystemExit) as stop:
        code = INTERRUPTED if isinstance(stop, KeyboardInterrupt) else stop.code
        if code not in (INTERRUPTED, TERMINATED):
            raise
        if not before and holds(store, task):
            pass  # it has been said
        elif watch.last is None:
            console.print()
            say(console, f"Stopped before the first step; every task in {store} is as it was.")
        else:
            console.print()
            say(
                console,
                f"Stopped at step {watch.last.step} of {watch.last.total_steps}; what was learned so far is kept, "
                f"and every task in {store} is as it was. The same command goes on from there; --restart begins anew.",
            )
        raise typer.Exit(int(code)) from None
