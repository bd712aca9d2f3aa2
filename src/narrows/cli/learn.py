"""`narrows learn` and `narrows adopt`: a task from a user's data, upon a store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from narrows.cli import data_options as say_of
from narrows.cli import training_options as said_of
from narrows.cli.as_json import print_json
from narrows.cli.common import StorePath, open_for_use
from narrows.cli.data_options import data_options, scale_of
from narrows.cli.learning_bar import LearningBar, interruptible
from narrows.cli.screen import Screen, say
from narrows.cli.shared_options import shares_options
from narrows.cli.suggesting import suggest
from narrows.cli.tables import counted, percent, size
from narrows.errors import ConfigError
from narrows.pairs import parse_pairs
from narrows.production.defaults import ADOPTED_DENSITY, ADOPTED_EPOCHS, ADOPTED_LR, DENSITY, EPOCHS, STEPS

if TYPE_CHECKING:
    from narrows.tasks import TaskStore

LOGS = Path("runs/tensorboard")
"""Where TensorBoard's files go if nothing is said: nothing that is not narrows' own lies in a store."""

_TRAINING = said_of.PANEL


@shares_options(say_of.described, said_of.trained)
def learn_command(
    store: StorePath,
    task: say_of.Task,
    data: say_of.Data,
    epochs: Annotated[
        int | None,
        typer.Option(
            help=f"Passes over the data; default: {EPOCHS}, or as many as make {STEPS} steps.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", "-m", help="A method; see `narrows methods`.", rich_help_panel=_TRAINING)
    ] = "ibm",
    density: Annotated[
        float | None,
        typer.Option(help=f"Fraction of the weights it may use; default: {DENSITY} (ibm).", rich_help_panel=_TRAINING),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="NAME=VALUE",
            help="An option of the method; repeatable. --density is --set density=.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop after so many epochs without a better one on the validation data.", rich_help_panel=_TRAINING
        ),
    ] = None,
    **shared: Any,
) -> None:
    """Learn a task from your data. The tasks there are stay as they are, to the last bit.

    narrows learn shop --task returns --data returns.csv --target reason --holdout 0.2

    Interrupted by Ctrl-C, a kill or a reboot, the same command goes on where it was, to the same weights.
    """
    from narrows.methods import make_method
    from narrows.production import learn

    said = _with_density(parse_pairs(settings or [], "--set", "--set density=0.03"), density)
    default = {"density": str(DENSITY)} if method == "ibm" and not said else {}
    opened, asked = _asked(store, data, shared)
    errors = Screen(stderr=True)
    watch = LearningBar(task, errors)
    with interruptible(watch, errors, store):
        with watch:
            learned = learn(
                opened,
                task,
                data,
                method=make_method(method, default | said),
                epochs=epochs,
                patience=patience,
                callbacks=[watch.step],
                begun=watch.begun,
                measured=watch.measured,
                **said_of.training_said(shared),
                **asked,
            )
        for note in learned.doubts:
            say(errors, f"note: {note}")
        if shared["as_json"]:
            print_json("learn", {**_told(opened, task), "doubts": learned.doubts})
            return
        console = Screen()
        say(console, f"learned {task} in {learned.fit.seconds:.1f} s{_ended(learned.fit)}")
        _print_cost(console, opened, task)
        say(console, f"next: {suggest('predict', store, '--task', task)} --data NEW --out predictions.csv")


@shares_options(say_of.described, said_of.trained)
def adopt_command(
    store: StorePath,
    task: say_of.Task,
    data: say_of.Data,
    density: Annotated[float, typer.Option(help="Fraction of the weights to keep.")] = ADOPTED_DENSITY,
    epochs: Annotated[int, typer.Option(help="Passes over the data.", rich_help_panel=_TRAINING)] = ADOPTED_EPOCHS,
    **shared: Any,
) -> None:
    """Make the trained network that a store began from its first task, keeping what that task needs of it.

    narrows init shop --model my_networks:make --weights trained.pt
    narrows adopt shop --task products --data photos --holdout 0.1

    The rest of its weights is free for the tasks to come. Give the data it was trained on.
    """
    from narrows.production import adopt
    from narrows.training import Training

    opened, asked = _asked(store, data, shared)
    training = Training(epochs, **{"lr": ADOPTED_LR} | said_of.training_said(shared))
    console, errors = Screen(), Screen(stderr=True)
    watch = LearningBar(task, errors)
    with interruptible(watch, errors, store):
        with watch:
            adopted = adopt(
                opened,
                task,
                data,
                density=density,
                training=training,
                progress=False,
                callbacks=[watch.step],
                begun=watch.begun,
                **asked,
            )
        for note in adopted.doubts:
            say(errors, f"note: {note}")
        if shared["as_json"]:
            print_json("adopt", {**_told(opened, task), "doubts": adopted.doubts})
            return
        say(console, f"adopted {task} in {adopted.seconds:.1f} s")
        if adopted.measures_accuracy:
            say(console, f"accuracy {percent(adopted.before)}% before, {percent(adopted.after)}% after")
        else:
            say(console, f"loss {-adopted.before:.4f} before, {-adopted.after:.4f} after")
        say(console, f"capacity won: {percent(adopted.freed, 2)}% of the shared weights are free for later tasks")
        _print_cost(console, opened, task)


def _asked(store: Path, data: str, shared: dict[str, Any]) -> tuple[TaskStore, dict[str, Any]]:
    """The store, opened, and what `learn` and `adopt` take alike of what was said."""
    from narrows.trackers.names import make_trackers

    trackers = make_trackers(shared["log"], LOGS / store.name)
    if shared["threads"] is not None:
        import torch

        torch.set_num_threads(shared["threads"])
    opened = open_for_use(store, shared["trust"], data, shared["valid"])
    alike = {name: shared[name] for name in ("valid", "augment", "device", "seed", "restart")}
    scale = scale_of(shared["mean"], shared["std"])
    return opened, {**alike, "trackers": trackers, "scale": scale, "options": data_options(**shared)}


def _with_density(said: dict[str, str], density: float | None) -> dict[str, str]:
    """The method's options with --density. ConfigError: --set says another.

    >>> _with_density({"density": ".04"}, 0.04)
    {'density': '.04'}
    """
    if density is None:
        return said
    try:
        other = float(said.get("density", density))
    except ValueError:
        other = None
    if other != density:
        raise ConfigError(f"--density {density:g} and --set density={said['density']} are two values of one: say one.")
    return {"density": json.dumps(density), **said}


def _told(store: TaskStore, task: str) -> dict[str, Any]:
    """What `narrows show --json` tells of it, and what all tasks use."""
    from narrows.production import describe

    return {**describe(store, task), "used_by_all": store.values_kept()}


def _ended(fit: Any) -> str:
    if fit.best_epoch is None:
        return ""
    early = f", stopped after {counted(len(fit.losses), 'epoch')}" if fit.stopped_early else ""
    return f"{early}; epoch {fit.best_epoch + 1} was the best on the validation data"


def _print_cost(console: Screen, store: TaskStore, name: str) -> None:
    from narrows.production import describe

    told = describe(store, name)
    figures = told["metrics"].get("validation", {})
    shown = {key: value for key, value in figures.items() if isinstance(value, float)}
    if shown:
        say(console, "validation: " + ", ".join(f"{key} {value:.4g}" for key, value in shown.items()))
    used, claimed, reused = (percent(told[key] / told["weights"], 2) for key in ("used", "claimed", "reused"))
    say(
        console,
        f"{used}% of the shared weights ({claimed}% its own, {reused}% reused), {size(told['bytes'])} on disk; all "
        f"tasks together use {percent(store.values_kept(), 2)}%",
    )
