"""Who is told how a run goes; the terminal's listener is in `cli`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from narrows.benchmarks.results import Result
from narrows.training import Callback


class RunListener(Protocol):
    """Is told how a run goes."""

    def training(self, name: str, number: int, count: int) -> AbstractContextManager[Callback | None]:
        """Entered while task `number` of `count`, from 1, trains; gives a callback for its steps."""

    def learned(self, result: Result) -> None:
        """A task was learned and all tasks measured."""


class SilentRun:
    """Watches without a word."""

    @contextmanager
    def training(self, name: str, number: int, count: int) -> Iterator[Callback | None]:  # noqa: ARG002
        yield None

    def learned(self, result: Result) -> None:
        """Says nothing."""


class ForReference:
    """Watches the dense networks of a reference train, under a name that tells them from the run itself."""

    def __init__(self, listener: RunListener) -> None:
        self._listener = listener

    def training(self, name: str, number: int, count: int) -> AbstractContextManager[Callback | None]:
        return self._listener.training(f"{name}, dense", number, count)

    def learned(self, result: Result) -> None:
        """Not of the run: nothing is told."""
