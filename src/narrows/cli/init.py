"""`narrows init`: a store around a user's model."""

from __future__ import annotations

import warnings
from typing import Annotated, Any

import typer

from narrows.cli.as_json import Json, print_json
from narrows.cli.common import StorePath, telling
from narrows.cli.screen import Screen, say
from narrows.cli.suggesting import suggest
from narrows.cli.tables import size
from narrows.here import looking_here
from narrows.pairs import json_value, parse_pairs
from narrows.store.names import STORE_FILE


def init_command(
    store: StorePath,
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", metavar="PACKAGE.MODULE:FACTORY", help="A class or function that gives the model."
        ),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Option("--arg", "-a", metavar="NAME=VALUE", help="An argument of it, JSON or text; repeatable."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="Trained weights: .safetensors, or a state dict of torch.save.")
    ] = None,
    shared: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Parameters to share beside the usual layers', by name; repeatable."),
    ] = None,
    private: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Parameters that each task keeps whole, by name; repeatable."),
    ] = None,
    head: Annotated[
        str | None, typer.Option(metavar="PATH", help="The model's last layer; default: found when a task is learned.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the initial weights.")] = 0,
    as_json: Json = False,
) -> None:
    """Start a store around a model: a factory of yours, of an installed package, or of narrows.networks.

    narrows init shop --model narrows.networks:mlp --arg "input_shape=[1,8,8]" --arg classes=10
    narrows init shop --model my_networks:make --weights trained.pt

    How to build the model is written into the store. The package must be there whenever the store is used, installed,
    on PYTHONPATH or in the current directory.
    """
    from narrows.production import init

    said = parse_pairs(arguments or [], "--arg", "--arg num_classes=10")
    values: dict[str, Any] = {name: json_value(text) for name, text in said.items()}
    patterns = {"shared": tuple(shared or ()), "private": tuple(private or ())}
    with looking_here(model), telling((store / STORE_FILE).exists, f"The store {store} is made."):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", UserWarning)
            made = init(store, model, values, weights=weights, head=head, seed=seed, **patterns)
        console = Screen(stderr=as_json)
        notes = [str(note.message) for note in told]
        for note in notes:
            say(console, f"note: {note}")
        in_common, on_disk = sum(spec.numel for spec in made.shared), made.directory.header.base.bytes
        if as_json:
            print_json("init", {"store": store, "weights": in_common, "bytes": on_disk, "notes": notes})
            return
        say(console, f"{store}: {in_common:,} weights that tasks will share, {size(on_disk)}.")
        verb = "learn" if weights is None else "adopt"  # trained weights are worth keeping as the first task
        say(console, f"next: {suggest(verb, store)} --task NAME --data FOLDER")
