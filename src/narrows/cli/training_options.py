"""What may be said of training on the command line, for every command that trains."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from narrows.cli import data_options as say_of
from narrows.cli.as_json import Json
from narrows.cli.common import Log, Trust
from narrows.production.defaults import ADOPTED_LR, BATCH_SIZE, LEAST_BATCH

PANEL, MACHINE = "Training", "Machine"

Amp = Annotated[
    str | None,
    typer.Option(metavar="bfloat16|float16", help="Compute in this precision, by autocast.", rich_help_panel=PANEL),
]
Clip = Annotated[float | None, typer.Option(help="Largest norm of the gradient.", rich_help_panel=PANEL)]
Accumulate = Annotated[int, typer.Option(help="Batches that a step averages over.", rich_help_panel=PANEL)]


def trained(
    lr: Annotated[
        float | None,
        typer.Option(
            help=f"Learning rate; default: the method's own (learn), or {ADOPTED_LR} (adopt).", rich_help_panel=PANEL
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help=f"Examples a batch; default: {BATCH_SIZE}; learn: down to {LEAST_BATCH} of few examples.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    amp: Amp = None,
    clip: Clip = None,
    accumulate: Accumulate = 1,
    augment: Annotated[
        bool, typer.Option("--augment", help="Crop and mirror images at random.", rich_help_panel=PANEL)
    ] = False,
    device: say_of.Device = "cpu",
    threads: Annotated[int | None, typer.Option(help="CPU threads for torch.", rich_help_panel=MACHINE)] = None,
    seed: Annotated[
        int, typer.Option(help="Of the head, the order of the examples, what is held out.", rich_help_panel=PANEL)
    ] = 0,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", help="Forget what an interrupted run has learned; begin anew.", rich_help_panel=PANEL
        ),
    ] = False,
    log: Log = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """What `learn` and `adopt` let people say of training; see `narrows.cli.shared_options`."""


def training_said(said: dict[str, Any]) -> dict[str, Any]:
    """Values of a `narrows.Training` that were said."""
    names = ("lr", "batch_size", "amp", "clip", "accumulate")
    return {name: said[name] for name in names if said[name] is not None}
