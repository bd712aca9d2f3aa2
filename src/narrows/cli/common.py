"""What commands have in common: their arguments, how a store is opened, how they end.

Modules of commands import what needs torch inside their functions: `narrows --help`, completion and `narrows tasks` are
fast without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from narrows.cli.screen import Screen, say
from narrows.errors import ConfigError, NarrowsError
from narrows.here import look_here, looking_here

if TYPE_CHECKING:
    from narrows.tasks import TaskStore

T = TypeVar("T")
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
    from narrows.data.sources.hook import PREFIX
    from narrows.factories.trust import OURS, require_trust
    from narrows.production import model_record

    record = model_record(path)
    if record is not None:
        with nullcontext() if record.factory in OURS else looking_here(record.factory):
            require_trust(record, path, trust)
    for source in data:
        if source and source.startswith(PREFIX):
            look_here(source.removeprefix(PREFIX))


@contextmanager
def telling(done: Callable[[], bool], text: str) -> Iterator[None]:
    """Whatever ends the block, Ctrl-C too, `text` is said on standard error where `done` by then, and not before."""
    before = done()
    try:
        yield
    except BaseException:
        if not before and done():
            errors = Screen(stderr=True)
            errors.print()  # what a terminal shows of Ctrl-C has no end of line
            say(errors, text)
        raise


def holds(store: Path, task: str) -> bool:
    """Whether there is a store that lists the task."""
    from narrows.store.listing import StoreListing

    try:
        return task in StoreListing.open(store).task_names()
    except (NarrowsError, OSError):
        return False


def pictures_drawn(draw: Callable[[], T], otherwise: T) -> T:
    """What `draw` gives; where an extra is missing that is said, and `otherwise` given: the figures are there."""
    try:
        return draw()
    except ConfigError as error:
        say(Screen(stderr=True), f"No pictures are drawn. {error} The figures are complete without them.")
        return otherwise
