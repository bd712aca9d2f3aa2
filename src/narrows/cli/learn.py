"""`narrows learn` and `narrows adopt`: a task from a user's data, upon a store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from narrows.cli import data_options as say_of
from narrows.cli.as_json import Json, print_json
from narrows.cli.common import Log, StorePath, Trust, open_for_use
from narrows.cli.data_options import data_options, names_of, scale_of
from narrows.cli.learning_bar import LearningBar, interruptible
from narrows.cli.screen import Screen, say
from narrows.cli.suggesting import suggest
from narrows.cli.tables import counted, percent, size
from narrows.errors import ConfigError
from narrows.pairs import parse_pairs
from narrows.production.defaults import BATCH_SIZE, DENSITY, EPOCHS, LEAST_BATCH, STEPS
from narrows.tasks import recipe

if TYPE_CHECKING:
    from narrows.tasks import TaskStore

LOGS = Path("runs/tensorboard")
"""Where TensorBoard's files go if nothing is said: nothing that is not narrows' own lies in a store."""

_TRAINING, _MACHINE = "Training", "Machine"
Epochs = Annotated[int, typer.Option(help="Passes over the data.", rich_help_panel=_TRAINING)]
BatchSize = Annotated[int, typer.Option(help="Examples a step.", rich_help_panel=_TRAINING)]
Augment = Annotated[
    bool, typer.Option("--augment", help="Crop and mirror images at random.", rich_help_panel=_TRAINING)
]
Seed = Annotated[
    int,
    typer.Option(help="Of the head, the order of the examples, what is held out.", rich_help_panel=_TRAINING),
]
Restart = Annotated[
    bool,
    typer.Option(
        "--restart", help="Forget what an interrupted run has learned; begin anew.", rich_help_panel=_TRAINING
    ),
]
Threads = Annotated[int | None, typer.Option(help="CPU threads for torch.", rich_help_panel=_MACHINE)]


def learn_command(
    store: StorePath,
    task: say_of.Task,
    data: say_of.Data,
    valid: say_of.Valid = None,
    holdout: say_of.Holdout = 0.0,
    target: say_of.Target = None,
    kind: say_of.Kind = "auto",
    classes: say_of.Classes = None,
    features: say_of.Features = None,
    categorical: say_of.Categorical = None,
    without: say_of.Without = None,
    id: say_of.Id = None,
    decimal: say_of.Decimal = None,
    dates: say_of.Dates = None,
    parted_by: say_of.PartedBy = None,
    image_size: say_of.ImageSize = None,
    channels: say_of.Channels = None,
    mean: say_of.Mean = None,
    std: say_of.Std = None,
    bad: say_of.Bad = "refuse",
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
    lr: Annotated[
        float | None, typer.Option(help="Learning rate; default: the method's own.", rich_help_panel=_TRAINING)
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help=f"Examples a step; default: {BATCH_SIZE}, or down to {LEAST_BATCH} of few examples.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop after so many epochs without a better one on the validation data.", rich_help_panel=_TRAINING
        ),
    ] = None,
    augment: Augment = False,
    device: say_of.Device = "cpu",
    threads: Threads = None,
    seed: Seed = 0,
    restart: Restart = False,
    log: Log = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Learn a task from your data. The tasks there are stay as they are, to the last bit.

    narrows learn shop --task returns --data returns.csv --target reason --holdout 0.2

    Interrupted by Ctrl-C, a kill or a reboot, the same command goes on where it was, to the same weights.
    """
    from narrows.methods import make_method
    from narrows.production import learn
    from narrows.trackers.names import make_trackers

    said = _with_density(parse_pairs(settings or [], "--set", "--set density=0.03"), density)
    trackers = make_trackers(log, LOGS / store.name)
    opened = _open(store, trust, threads, data, valid)
    default = {"density": str(DENSITY)} if method == "ibm" and not said else {}
    options = data_options(
        target=target,
        kind=kind,
        classes=names_of(classes),
        features=features,
        categorical=categorical,
        without=without,
        id=id,
        decimal=decimal,
        dates=dates,
        parted_by=parted_by,
        image_size=image_size,
        channels=channels,
        bad=bad,
        holdout=holdout,
        seed=seed,
    )
    errors = Screen(stderr=True)
    watch = LearningBar(task, errors)
    with interruptible(watch, errors, store):
        with watch:
            learned = learn(
                opened,
                task,
                data,
                valid=valid,
                method=make_method(method, default | said),
                options=options,
                epochs=epochs,
                lr=lr,
                batch_size=batch_size,
                patience=patience,
                augment=augment,
                scale=scale_of(mean, std),
                device=device,
                seed=seed,
                restart=restart,
                callbacks=[watch.step],
                trackers=trackers,
                begun=watch.begun,
                measured=watch.measured,
            )
        for note in learned.doubts:
            say(errors, f"note: {note}")
        if as_json:
            print_json("learn", {**_told(opened, task), "doubts": learned.doubts})
            return
        console = Screen()
        say(console, f"learned {task} in {learned.fit.seconds:.1f} s{_ended(learned.fit)}")
        _print_cost(console, opened, task)
        say(console, f"next: {suggest('predict', store, '--task', task)} --data NEW --out predictions.csv")


def adopt_command(
    store: StorePath,
    task: say_of.Task,
    data: say_of.Data,
    valid: say_of.Valid = None,
    holdout: say_of.Holdout = 0.0,
    target: say_of.Target = None,
    kind: say_of.Kind = "auto",
    classes: say_of.Classes = None,
    features: say_of.Features = None,
    categorical: say_of.Categorical = None,
    without: say_of.Without = None,
    id: say_of.Id = None,
    decimal: say_of.Decimal = None,
    dates: say_of.Dates = None,
    parted_by: say_of.PartedBy = None,
    image_size: say_of.ImageSize = None,
    channels: say_of.Channels = None,
    mean: say_of.Mean = None,
    std: say_of.Std = None,
    bad: say_of.Bad = "refuse",
    density: Annotated[float, typer.Option(help="Fraction of the weights to keep.")] = recipe.DENSITY,
    epochs: Epochs = recipe.EPOCHS,
    lr: Annotated[float, typer.Option(help="Learning rate of the fine-tuning.")] = recipe.LEARNING_RATE,
    batch_size: BatchSize = BATCH_SIZE,
    augment: Augment = False,
    device: say_of.Device = "cpu",
    threads: Threads = None,
    seed: Seed = 0,
    restart: Restart = False,
    log: Log = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Make the trained network that a store began from its first task, keeping what that task needs of it.

    narrows init shop --model my_networks:make --weights trained.pt
    narrows adopt shop --task products --data photos --holdout 0.1

    The rest of its weights is free for the tasks to come. Give the data it was trained on.
    """
    from narrows.production import adopt
    from narrows.trackers.names import make_trackers

    trackers = make_trackers(log, LOGS / store.name)
    opened = _open(store, trust, threads, data, valid)
    options = data_options(
        target=target,
        kind=kind,
        classes=names_of(classes),
        features=features,
        categorical=categorical,
        without=without,
        id=id,
        decimal=decimal,
        dates=dates,
        parted_by=parted_by,
        image_size=image_size,
        channels=channels,
        bad=bad,
        holdout=holdout,
        seed=seed,
    )
    console, errors = Screen(), Screen(stderr=True)
    watch = LearningBar(task, errors)
    with interruptible(watch, errors, store):
        with watch:
            adopted = adopt(
                opened,
                task,
                data,
                valid=valid,
                density=density,
                options=options,
                epochs=epochs,
                lr=lr,
                batch_size=batch_size,
                augment=augment,
                scale=scale_of(mean, std),
                device=device,
                seed=seed,
                restart=restart,
                callbacks=[watch.step],
                trackers=trackers,
                begun=watch.begun,
            )
        found = adopted.adoption
        for note in adopted.doubts:
            say(errors, f"note: {note}")
        if as_json:
            print_json("adopt", {**_told(opened, task), "doubts": adopted.doubts})
            return
        say(console, f"adopted {task} in {found.seconds:.1f} s")
        if adopted.measures_accuracy:
            say(console, f"accuracy {percent(found.before)}% before, {percent(found.after)}% after")
        else:
            say(console, f"loss {-found.before:.4f} before, {-found.after:.4f} after")
        say(console, f"capacity won: {percent(found.freed, 2)}% of the shared weights are free for later tasks")
        _print_cost(console, opened, task)


def _open(store: StorePath, trust: bool, threads: int | None, *data: str | None) -> TaskStore:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    return open_for_use(store, trust, *data)


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
