"""What commands have in common: their arguments, how a store is opened, how they end.

Modules of commands import what needs torch inside their functions: `narrows --help`, completion and `narrows tasks` are
fast without it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from narrows.errors import NarrowsError

if TYPE_CHECKING:
    from narrows.tasks import TaskStore

FAILED, BELOW, INTERRUPTED, TERMINATED = 1, 3, 130, 143
"""Exit codes, as docs/production.md lists them; 2 is a command line that cannot be understood."""

StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="Folder of the store, as runs/.../store.")]
Log = Annotated[
    list[str] | None,
    typer.Option(
        "--log",
        metavar="tensorboard[=DIR]|mlflow[=URI]",
        help="Follow training with TensorBoard or MLflow, too; repeatable; see docs/tracking.md.",
    ),
]
TaskName = Annotated[str, typer.Argument(metavar="NAME", help="A task of the store.")]
Trust = Annotated[
    bool, typer.Option("--trust", help="Import and call what the store names to build its model; asked once.")
]


def open_for_use(path: Path, trust: bool, *data: str | None) -> TaskStore:
    """The store with its model; the user's package, for the model or a function of `data`, may lie right here."""
    from narrows.production import open_store

    trust_to_build(path, trust, *data)
    return open_store(path)


def trust_to_build(path: Path, trust: bool, *data: str | None) -> None:
    """Makes sure that the store's model may be built, and that the user's code for it and for `data` is found.

    UntrustedModelError where nobody has said that it may be called.
    """
    from narrows.production import model_record
    from narrows.production.trust import OURS, require_trust

    record = model_record(path)
    if record is not None:
        require_trust(record, path, trust)
    if any(source and source.startswith("hook:") for source in data) or (
        record is not None and record.factory not in OURS
    ):
        look_here()


def look_here() -> None:
    """Lets packages of the current directory be imported. It comes last: nothing in it takes an installed one's place.

    Called once what is to be imported is trusted, as one may stand in a stranger's folder.
    """
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)


def say(console: Console, text: str) -> None:
    """A plain line, wrapped by the terminal."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def telling(done: Callable[[], bool], text: str) -> Iterator[None]:
    """Whatever ends the block, Ctrl-C too, `text` is said on standard error where `done` by then, and not before."""
    before = done()
    try:
        yield
    except BaseException:
        if not before and done():
            say(Console(stderr=True), text)
        raise


def holds(store: Path, task: str) -> bool:
    """Whether there is a store that lists the task."""
    from narrows.store.listing import StoreListing

    try:
        return task in StoreListing.open(store).task_names()
    except (NarrowsError, OSError):
        return False
