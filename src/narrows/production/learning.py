"""Learning a task from a user's data, from its files to the committed task.

Knows data, networks and stores; a terminal only as callbacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from narrows.data import DataOptions
from narrows.errors import ConfigError
from narrows.methods import IBM, Method
from narrows.production.defaults import DENSITY
from narrows.production.doubts import doubts_of
from narrows.production.evaluating import scores_of
from narrows.production.learning_data import LearningData, Scale, Source, read_material
from narrows.production.network import head_path, loss_of, new_head, require_finite, require_outputs, try_out
from narrows.production.resuming import TermsCheckpoint
from narrows.production.seeding import seeded
from narrows.production.tasks import about, tried
from narrows.store import TaskRecord
from narrows.store.names import require_new
from narrows.tasks import TaskStore
from narrows.trackers import LiveFile, Tracker
from narrows.training import Callback, Fit, Training, accuracy, mean_loss
from narrows.training.device import require_device
from narrows.training.early_stopping import Measure
from narrows.training.value import Amp


@dataclass(frozen=True)
class LearnedTask:
    """A task that was learned.

    Attributes:
        record: as it stands in the store, with its figures in `metrics` and what it was learned on in `data`.
        fit: how training went.
        resumed: whether it went on from a checkpoint.
        notes: what people should be told of how the data were read.
        doubts: what is odd about the result: next to nothing learned, or much of it lost in pruning.
    """

    record: TaskRecord
    fit: Fit
    resumed: bool
    notes: tuple[str, ...]
    doubts: tuple[str, ...] = ()


def learn(
    store: TaskStore,
    name: str,
    data: Source,
    *,
    valid: Source | None = None,
    method: Method | None = None,
    options: DataOptions | None = None,
    epochs: int | None = None,
    lr: float | None = None,
    batch_size: int | None = None,
    patience: int | None = None,
    amp: Amp | None = None,
    clip: float | None = None,
    accumulate: int = 1,
    augment: bool = False,
    scale: Scale | None = None,
    device: str = "cpu",
    seed: int = 0,
    restart: bool = False,
    callbacks: Iterable[Callback] = (),
    trackers: Iterable[Tracker] = (),
    begun: Callable[[LearningData, bool], None] | None = None,
    measured: Callable[[float], None] | None = None,
) -> LearnedTask:
    """Learns a task and commits it; the store's other tasks stay as they are to the last bit.

    Interrupted (Ctrl-C, a kill, a reboot) it leaves the store as it was and a checkpoint beside it, from which the
    same call goes on, to the same weights.

    Args:
        store: with its model: from `open_store` or `init`.
        name: the task's, new to the store.
        data: see `narrows.data.read_training`.
        valid: data to measure on while learning: the best epoch is kept, and its figures stand with the task. Only
            epochs count after the sub-network has settled (with IBM the last two fifths): before, it is a denser one
            that is not kept. Of equal epochs the latest is kept.
            `options.holdout` takes a part of `data` instead.
        method: default `IBM(density=0.04)`.
        options: how the data are to be read.
        epochs, batch_size: passes over the data, and examples a step. By default batches of 64, smaller ones (down to
            16) where there are less than 1024 examples, and 10 passes, or as many as make 400 steps.
        lr: learning rate; default: the method's own.
        patience: stop after so many epochs without a better one on the validation data, of those that count.
        amp, clip, accumulate: as in `narrows.Training`.
        augment: crop and mirror images at random.
        scale: (means, deviations) of the channels to scale images with, of values from 0 to 1, where the network was
            trained with others than these images have.
        device: where to train, as "cpu" or "cuda".
        seed: of the head, the order of the examples, the part held out, dropout.
        restart: drop a checkpoint and begin anew.
        callbacks: called with a `narrows.training.Step` after every step.
        trackers: told how training goes; see `narrows.trackers`.
        begun: called with the data and whether training goes on from a checkpoint, before the first step.
        measured: called with the score on the validation data after each epoch: accuracy, or minus the loss.

    Raises:
        TaskExistsError: the store has a task of that name.
        DataError: the data cannot be learned from, or the network cannot take them.
        ConfigError: an option out of range, a method that would change older tasks, or a checkpoint of another
            training; says what differs.
        StoreLockedError: another process is writing the store.
        ModelMismatchError: no place for the head was found.

    Example: `learn(open_store("shop"), "returns", "returns.csv", valid="held-out.csv", epochs=20)`;
    `examples/production.py` has one that runs.
    """
    method = method or IBM(density=DENSITY)
    require_isolation(method)
    training = Training(
        1 if epochs is None else epochs,  # until the data are known
        lr=method.learning_rate if lr is None else lr,
        batch_size=batch_size,
        amp=amp,
        clip=clip,
        accumulate=accumulate,
        patience=patience,
    )
    require_device(device)
    require_new(name, store.names())
    options = options or DataOptions(seed=seed)
    network = store.network()
    material = read_material(
        network, data, valid, options, training, epochs=epochs, seed=seed, augment=augment, scale=scale
    )
    if patience is not None and material.valid is None:
        raise ConfigError("patience is about validation data: say those too, as valid or as a part to hold out.")
    training = replace(training, epochs=material.epochs, loss=loss_of(material.schema.target.kind))
    sample = material.sample()
    try_out(network, sample, material.schema)
    head = new_head(network, head_path(store, network, sample), material.schema.target.outputs, seed)
    with seeded(seed, device), store.begin(name, method, head=head) as task:
        require_outputs(task.model, sample, material.schema)
        material = tried(task.model, material)
        task.model.to(device)
        terms = {"method": method.name, **method.config(), **training.terms()}
        checkpoint = checkpoint_of(store, name, material, terms, restart=restart)
        if begun is not None:
            begun(material, checkpoint.exists)
        fit = task.fit(
            material.training(device),
            training,
            valid=material.validation(device),
            measure=None if material.valid is None else measure_of(material, measured),
            checkpoint=checkpoint,
            progress=False,
            callbacks=callbacks,
            trackers=[live_file(store, name, anew=not checkpoint.exists), *trackers],
        )
        best = None if fit.best_epoch is None else fit.best_epoch + 1  # people count from 1
        trained = training.terms() | {"epochs": len(fit.losses), "best_epoch": best, "device": device}
        doubts: tuple[str, ...] = ()

        def told(settled: nn.Module) -> dict[str, Any]:
            nonlocal doubts
            doubts = doubts_of(settled, material, fit, task.history())
            return about(settled, material, options, trained | ({"doubts": list(doubts)} if doubts else {}))

        record = task.commit(metrics=lambda settled: validation(settled, material), data=told)
    return LearnedTask(record, fit, checkpoint.resumed, material.notes, doubts)


def require_isolation(method: Method) -> None:
    """ConfigError where tasks of this method overwrite one another: what is in production must not change."""
    if method.isolation == "none":
        raise ConfigError(
            f"{method.name} changes the tasks that were learned with it before, which a model in production must not. "
            "Take a method that isolates tasks, as ibm or wsn; `narrows run` and `narrows compare` measure the others."
        )


def checkpoint_of(
    store: TaskStore, name: str, material: LearningData, terms: dict[str, Any], *, restart: bool
) -> TermsCheckpoint:
    """Where the task in progress is kept, on these terms and those of its data; `restart` forgets what is there."""
    said = {
        **terms,
        "data": material.train.fingerprint[:12],
        "validation data": None if material.valid is None else material.valid.fingerprint[:12],
        "batch size": material.batch_size,
        "seed": material.seed,
        "augment": material.augment,
        "tasks": list(store.names()),
    }
    return TermsCheckpoint(store.checkpoint(name), name, said, restart=restart)


def live_file(store: TaskStore, name: str, *, anew: bool) -> LiveFile:
    """What `narrows watch` reads while the task is learned; it goes with the checkpoint."""
    return LiveFile(store.checkpoint(name).live(), anew=anew)


def measure_of(material: LearningData, measured: Callable[[float], None] | None = None) -> Measure:
    """The score that epochs are compared by, the higher the better: accuracy of a classifier, else minus the loss."""
    kind = material.schema.target.kind

    def measure(model: nn.Module, batches: Iterable[tuple[Any, Any]]) -> float:
        score = accuracy(model, batches) if kind == "classification" else -mean_loss(model, batches, loss_of(kind))
        if measured is not None:
            measured(score)
        return score

    return measure


def validation(network: nn.Module, material: LearningData) -> dict[str, Any]:
    """The figures on the validation data, as they stand with the task; {} where there is none.

    NonFiniteError: training has diverged.
    """
    require_finite(network, material.sample())
    if material.valid is None:
        return {}
    scores = scores_of(network, material.schema, material.valid)
    scores.pop("confusion", None)  # grows with the square of the classes
    return {"validation": scores}
