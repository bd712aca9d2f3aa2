"""Adopting a network that is already trained: what of it its own task needs stays, the rest becomes free.

The trained network is the store's base, so the store's first task starts exactly at it, running statistics included
(free weights are scaled for later tasks only). A short fine-tuning with a gradual method then keeps the weights that
carry the most information about the task. docs/benchmarks.md has what this costs in accuracy; the defaults are the
recipe that was measured there.

Knows a store, batches, and a user's data; it does not know how the network was trained.
"""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from narrows.data import DataOptions, Schema
from narrows.errors import ConfigError, DataError, ModelMismatchError, TaskExistsError
from narrows.methods import IBM, Method
from narrows.production.defaults import ADOPTED_DENSITY, ADOPTED_EPOCHS, ADOPTED_LR, BATCH_SIZE
from narrows.production.learning import checkpoint_of, live_file, measure_of, validation
from narrows.production.learning_data import LearningData, Scale, Source, read_material
from narrows.production.network import head_path, loss_of, require_outputs, try_out
from narrows.production.seeding import seeded
from narrows.production.tasks import about as described
from narrows.production.tasks import tried
from narrows.store import TaskRecord
from narrows.store.names import require_new
from narrows.tasks import TaskStore
from narrows.tasks.heads import Head, require_place
from narrows.tasks.settling import Told, told
from narrows.trackers import Tracker
from narrows.training import Callback, Checkpoint, Fit, Training, accuracy, evaluating
from narrows.training.device import device_of, require_device
from narrows.training.early_stopping import Measure
from narrows.training.old_keywords import takes_old_keywords

RECIPE = Training(ADOPTED_EPOCHS, lr=ADOPTED_LR)
LOST = 0.02
"""Fraction of the examples whose loss in adopting is worth a word."""
CHANCE = 2.0
"""So many times chance a trained classifier should be right, or its classes are in another order."""
Batches = Iterable[tuple[Any, Any]]


@dataclass(frozen=True)
class Adoption:
    """How an adoption went.

    Attributes:
        before: the trained network's accuracy (a fraction), or what `measure` gave; of data for a regression or labels
            the mean loss with a minus.
        after: the same of the sub-network that was kept.
        used: weights kept / shared weights.
        seconds: of the fine-tuning.
        fit: how the fine-tuning went.
        record: the task as it stands in the store.
        measures_accuracy: whether before and after are accuracies.
        resumed: whether it went on from a checkpoint of data.
        notes: what people should be told of how the data were read.
        doubts: what is odd about a network that is said to be trained.
    """

    before: float
    after: float
    used: float
    seconds: float
    fit: Fit
    record: TaskRecord
    measures_accuracy: bool = True
    resumed: bool = False
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def freed(self) -> float:
        """Capacity won: shared weights that are free for later tasks / all of them."""
        return 1 - self.used

    @property
    def adoption(self) -> Adoption:
        """Itself, as it was once apart from what was told of the data."""
        warnings.warn("adopt(...).adoption is now what adopt gives itself.", DeprecationWarning, stacklevel=2)
        return self


@takes_old_keywords(RECIPE, renamed={"data": "about"})
def adopt(
    store: TaskStore,
    name: str,
    data: Source | Batches,
    *,
    valid: Source | Batches | None = None,
    training: Training = RECIPE,
    density: float = ADOPTED_DENSITY,
    method: Method | None = None,
    head: str | None = None,
    measure: Measure | None = None,
    metrics: Told | None = None,
    about: Told | None = None,
    device: torch.device | str = "cpu",
    callbacks: Iterable[Callback] = (),
    trackers: Iterable[Tracker] = (),
    checkpoint: Checkpoint | None = None,
    progress: bool | None = None,
    options: DataOptions | None = None,
    augment: bool = False,
    scale: Scale | None = None,
    seed: int = 0,
    restart: bool = False,
    begun: Callable[[LearningData, bool], None] | None = None,
) -> Adoption:
    """Makes the trained network that `store` was created from its first task, with a part of its weights.

    The other weights are free for later tasks. Stopped or failed, it leaves the store as it was.

    Args:
        store: an empty store, made from the trained network: `TaskStore.create(path, trained)`, or
            `narrows.production.init(..., weights=...)`.
        name: the task's name.
        data: what the network was trained on: batches of (inputs, targets), iterable anew for each epoch, or where a
            user's data lie; see `narrows.data.read_training`.
        valid: the same to measure on, before and after; of data also `options.holdout`. Without it is measured on
            `data`, which flatters.
        training: the fine-tuning; say half to two thirds of the epochs that the network was trained for. With
            `patience` the best epoch on `valid` is kept. Data have their own loss.
        density: fraction of the shared weights to keep.
        method: what chooses them, in the place of `IBM(density=density)`.
        head: path of the network's head, which stays the task's own and whole; default: the store's, or found.
        measure: of batches (model in eval mode, batches) -> a figure, the higher the better; accuracy of a classifier
            by default. Say one for regression and multi-label, beside the loss.
        metrics: figures to keep with the task beside `adopted`, `before` and `after`; see `Task.commit`.
        about: what it was learned on, to keep with the task; see `Task.commit`, there `data`.
        device: where to train.
        checkpoint: of batches, where the task in progress is kept; data are gone on with from beside the store.
        callbacks, trackers, progress: see `narrows.training.fit.fit`.
        options: how the data are to be read. The network's outputs are the classes in the order of `options.classes`;
            by default sorted, as torchvision's `ImageFolder` has them.
        augment, scale, seed, restart, begun: of data; see `narrows.production.learn`.

    Raises:
        TaskExistsError: the store holds a task.
        ModelMismatchError: no module at `head`, or no head was found.
        DataError: there is no batch; the data have another number of classes than the head has outputs, or others than
            `learn` says.
        ConfigError: something is said that is about the other kind of data.
        CapacityError: the budget leaves no weight.

    >>> import tempfile, narrows
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))  # trained, say
    >>> store = narrows.TaskStore.create(tempfile.mkdtemp() + "/store", model)
    >>> batches = [(torch.randn(16, 4), torch.arange(16) % 2)]
    >>> adoption = adopt(store, "first", batches, density=0.25, training=Training(20, lr=3e-3))
    >>> adoption.freed, adoption.record.head["path"], store.values_kept()
    (0.75, '2', 0.25)
    """
    require_device(device)
    _require_empty(store)
    method = method or IBM(density=density)
    fit: dict[str, Any] = {"callbacks": callbacks, "trackers": trackers, "progress": progress}
    if not isinstance(data, str | os.PathLike):
        _refuse("a user's data", options=options, augment=augment, scale=scale, restart=restart, begun=begun)
        if isinstance(data, Iterator):
            data = list(data)  # a generator gives its batches once only
        measure = measure or accuracy
        path = head or head_path(store, store.network(), _first_inputs(data))
        plan = _Plan(data, data if valid is None else valid, measure, training, metrics, about)
        if training.patience is not None:
            fit |= {"valid": valid, "measure": measure}
        adoption = _adopt(store, name, path, method, plan, device, fit | {"checkpoint": checkpoint})
        return replace(adoption, measures_accuracy=measure is accuracy)
    _refuse("batches", checkpoint=checkpoint, measure=measure)
    require_new(name, store.names())
    options, place = options or DataOptions(seed=seed), str(device)
    training = training if training.batch_size else replace(training, batch_size=BATCH_SIZE)
    network = store.network()
    reading = {"epochs": training.epochs, "seed": seed, "augment": augment, "scale": scale}
    material = read_material(network, data, valid, options, training, **reading)  # type: ignore[arg-type]
    sample, kind = material.sample(), material.schema.target.kind
    try_out(network, sample, material.schema)
    path = head or head_path(store, network, sample)
    _require_classes(network, path, material.schema)
    require_outputs(network, sample, material.schema)
    material = tried(network, material)
    training = replace(training, loss=loss_of(kind))
    kept = checkpoint_of(store, name, material, training.terms(), restart=restart)
    if begun is not None:
        begun(material, kept.exists)
    fit |= {"checkpoint": kept, "trackers": [live_file(store, name, anew=not kept.exists), *trackers]}
    batches, held = material.training(place), material.validation(place)
    score = measure_of(material)
    if training.patience is not None:
        fit |= {"valid": held, "measure": score}
    trained = training.terms() | {"device": place}
    plan = _Plan(
        batches,
        batches if held is None else held,
        score,
        training,
        lambda settled: validation(settled, material) | told(metrics, settled),
        lambda settled: described(settled, material, options, trained) | told(about, settled),
    )
    with seeded(seed, place):
        adoption = _adopt(store, name, path, method, plan, device, fit)
    return replace(
        adoption,
        measures_accuracy=kind == "classification",
        resumed=kept.resumed,
        notes=material.notes,
        doubts=_doubts(adoption, material),
    )


@dataclass(frozen=True)
class _Plan:
    """What is trained and measured on, how, and what is written down."""

    batches: Batches
    measured_on: Any
    measure: Measure
    training: Training
    metrics: Told | None
    about: Told | None


def _adopt(
    store: TaskStore,
    name: str,
    path: str,
    method: Method,
    plan: _Plan,
    device: torch.device | str,
    fit: Mapping[str, Any],
) -> Adoption:
    with store.begin(name, method, head=_own_head(store.network(), path)) as task:
        task.model.to(device)
        before = _measured(plan, task.model)
        fitted = task.fit(plan.batches, plan.training, **fit)
        after: list[float] = []

        def figures(settled: nn.Module) -> dict[str, Any]:
            after.append(_measured(plan, settled.to(device_of(task.model))))
            settled.cpu()
            return {"adopted": True, "before": before, "after": after[0], **told(plan.metrics, settled)}

        record = task.commit(metrics=figures, data=plan.about)
    return Adoption(before, after[0], store.values_kept(), fitted.seconds, fitted, record)


def _refuse(of: str, **said: Any) -> None:
    """ConfigError where something is said that is about the other kind of data only."""
    names = ", ".join(name for name, value in said.items() if value)
    if names:
        raise ConfigError(f"adopt: {names} is about {of}, which these are not: leave it out.")


def _require_empty(store: TaskStore) -> None:
    if store.tasks():
        names = ", ".join(repr(record.name) for record in store.tasks()[:3])
        raise TaskExistsError(
            f"Only an empty store can adopt: this one holds {names}, which may build on its weights. Make a new store "
            "from the trained network, or learn the task as any other."
        )


def _own_head(network: nn.Module, path: str) -> Head:
    """The network's own head, trained values and all; `begin` says where the path is wrong."""
    modules = dict(network.named_modules(remove_duplicate=False))
    return Head(path, copy.deepcopy(modules.get(path, nn.Identity())))


def _measured(plan: _Plan, model: nn.Module) -> float:
    # A copy: shuffled batches may count their passes, which is for the training.
    with evaluating(model):
        return plan.measure(model, copy.copy(plan.measured_on))


def _first_inputs(batches: Batches) -> Any:
    for inputs, _ in copy.copy(batches):
        return inputs
    raise DataError("There is nothing to adopt the network with: no batch. Check the data set and drop_last.")


def _require_classes(network: nn.Module, path: str, schema: Schema) -> None:
    require_place(network, path)
    head, names = network.get_submodule(path), schema.target.names
    if not isinstance(head, nn.Linear):
        raise ModelMismatchError(
            f"The head at {path!r} is a {type(head).__name__}; adopt takes an nn.Linear, whose outputs are the classes."
        )
    if head.out_features != len(names):
        raise DataError(
            f"The trained head {path!r} has {head.out_features} outputs and the data have {len(names)} "
            f"({', '.join(names[:8])}{', ...' if len(names) > 8 else ''}). Adopt it on the data it was trained on, and "
            "where some of its classes have no example there, name them all with --classes."
        )


def _doubts(adoption: Adoption, material: LearningData) -> tuple[str, ...]:
    outputs, classifies = material.schema.target.outputs, material.schema.target.kind == "classification"
    if classifies and adoption.before - adoption.after > LOST:
        return (
            f"{adoption.before - adoption.after:.1%} of the examples were right before and are not after: give it more "
            "epochs (--epochs), more of the weights (--density), or, where it is overfitting, more data. "
            "`narrows forget` undoes it.",
        )
    if not classifies or adoption.before > min(CHANCE / outputs, (1 + 1 / outputs) / 2):
        return ()
    return (
        f"before, the network was right in {adoption.before:.1%} of the examples, which is little more than chance: is "
        "it trained, are its classes in another order (--classes), or its inputs scaled otherwise (--mean, --std)?",
    )
