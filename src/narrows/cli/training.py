"""A task being learned, for people: what it is learned from, a live bar, and what to do after Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from narrows.cli.common import INTERRUPTED, say
from narrows.production.material import Material
from narrows.training import Step

TERMINATED = 143


class Watch:
    """Says how learning goes, on standard error; a bar where that is a terminal, else a line after each epoch.

    `begun`, `step` and `measured` are what `narrows.production.learn` calls.
    """

    def __init__(self, name: str, console: Console) -> None:
        self._name, self._console = name, console
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            refresh_per_second=8,
            transient=True,
        )
        self._task = self._bar.add_task(name, total=None, note="")
        self._score: float | None = None
        self.resumed = False
        self.last: Step | None = None

    def __enter__(self) -> Watch:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begun(self, material: Material, resumed: bool) -> None:
        """Before the first step."""
        self.resumed = resumed
        held = "" if material.valid is None else f", {len(material.valid):,} to measure on"
        say(self._console, f"{self._name}: {material.schema.summary()}")
        say(self._console, f"{len(material.train):,} examples to learn from{held}")
        for note in material.notes:
            say(self._console, f"note: {note}")
        if resumed:
            say(self._console, "goes on where it was interrupted (--restart begins anew)")

    def step(self, step: Step) -> None:
        """After every step."""
        self.last = step
        note = f"epoch {step.epoch + 1}/{step.epochs}"
        note += "" if step.loss is None else f"  loss {step.loss:.3f}"
        note += "" if self._score is None else f"  validation {self._score:.3f}"
        self._bar.update(self._task, completed=step.step, total=step.total_steps, note=note)

    def measured(self, score: float) -> None:
        """After every epoch, where there are validation data."""
        self._score = score
        if not self._console.is_terminal and self.last is not None:
            loss = "" if self.last.loss is None else f"loss {self.last.loss:.3f}, "
            say(self._console, f"epoch {self.last.epoch + 1}/{self.last.epochs}: {loss}validation {score:.3f}")


@contextmanager
def interruptible(watch: Watch, console: Console, store: object) -> Iterator[None]:
    """Ctrl-C and SIGTERM end with what is kept and how to go on."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stop:
        code = INTERRUPTED if isinstance(stop, KeyboardInterrupt) else stop.code
        if code not in (INTERRUPTED, TERMINATED):
            raise
        at = "before the first step" if watch.last is None else f"at step {watch.last.step} of {watch.last.total_steps}"
        kept = "nothing was learned yet" if watch.last is None else "what was learned so far is kept"
        say(
            console,
            f"\nStopped {at}; {kept}, and every task in {store} is as it was. The same command goes on from there; "
            "--restart begins anew.",
        )
        raise typer.Exit(int(code)) from None
