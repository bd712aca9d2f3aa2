"""Adopting a trained network as a store's first task, from a user's data.

Wraps `narrows.tasks.adopt`: it knows the recipe, this knows the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import nn

from narrows.data import DataOptions, Schema
from narrows.errors import DataError, ModelMismatchError
from narrows.methods import Method
from narrows.production.defaults import BATCH_SIZE
from narrows.production.learning import checkpoint_of, live_file, measure_of, require_new, validation
from narrows.production.learning_data import LearningData, Scale, Source, read_material
from narrows.production.network import head_path, loss_of, require_outputs, try_out
from narrows.production.seeding import seeded
from narrows.production.tasks import about, tried
from narrows.tasks import Adoption, TaskStore
from narrows.tasks import adopt as adopt_network
from narrows.tasks.recipe import DENSITY, EPOCHS, LEARNING_RATE
from narrows.trackers import Tracker
from narrows.training import Callback
from narrows.training.device import require_device

LOST = 0.02
"""Fraction of the examples whose loss in adopting is worth a word."""
CHANCE = 2.0
"""So many times chance a trained classifier should be right, or its classes are in another order."""


@dataclass(frozen=True)
class Adopted:
    """A network that was adopted.

    Attributes:
        adoption: before, after, capacity won; for a classifier accuracies, else mean losses with a minus.
        resumed: whether it went on from a checkpoint.
        measures_accuracy: whether before and after are accuracies.
        notes: what people should be told of how the data were read.
        doubts: what is odd about a network that is said to be trained.
    """

    adoption: Adoption
    resumed: bool
    measures_accuracy: bool
    notes: tuple[str, ...]
    doubts: tuple[str, ...]


def adopt(
    store: TaskStore,
    name: str,
    data: Source,
    *,
    valid: Source | None = None,
    density: float = DENSITY,
    method: Method | None = None,
    options: DataOptions | None = None,
    epochs: int = EPOCHS,
    lr: float = LEARNING_RATE,
    batch_size: int = BATCH_SIZE,
    augment: bool = False,
    scale: Scale | None = None,
    device: str = "cpu",
    seed: int = 0,
    restart: bool = False,
    callbacks: Iterable[Callback] = (),
    trackers: Iterable[Tracker] = (),
    begun: Callable[[LearningData, bool], None] | None = None,
) -> Adopted:
    """Makes the trained network that the store began from its first task, with a part of its weights.

    Args:
        store: an empty one, made from trained weights: `init(..., weights=...)`.
        name: the task's.
        data: what the network was trained on; see `narrows.data.read_training`.
        valid: data to measure on, before and after; or `options.holdout`. Else it is measured on `data`, which
            flatters.
        density: fraction of the shared weights to keep.
        options: how the data are to be read. The network's outputs are the classes in the order of `options.classes`;
            by default sorted, as torchvision's `ImageFolder` has them.
        scale: what the network was trained with; see `learn`.
        others: as of `learn`.

    Raises:
        TaskExistsError: the store holds a task.
        DataError: the data have another number of classes than the head has outputs, or others than `learn` says.
        ModelMismatchError: no head was found.
    """
    require_device(device)
    require_new(store, name)
    options = options or DataOptions(seed=seed)
    network = store.network()
    material = read_material(
        network, data, valid, options, epochs=epochs, batch_size=batch_size, seed=seed, augment=augment, scale=scale
    )
    sample = material.sample()
    try_out(network, sample, material.schema)
    path = head_path(store, network, sample)
    _require_classes(network, path, material.schema)
    require_outputs(network, sample, material.schema)
    material = tried(network, material)
    checkpoint = checkpoint_of(store, name, material, {"epochs": epochs, "lr": lr}, restart=restart)
    if begun is not None:
        begun(material, checkpoint.exists)
    training = {"epochs": epochs, "lr": lr, "device": device}
    with seeded(seed, device):
        adoption = adopt_network(
            store,
            name,
            material.training(device),
            head=path,
            density=density,
            method=method,
            epochs=epochs,
            lr=lr,
            valid=material.validation(device),
            measure=measure_of(material),
            metrics=lambda settled: validation(settled, material),
            data=lambda settled: about(settled, material, options, training),
            device=device,
            loss=loss_of(material.schema.target.kind),
            checkpoint=checkpoint,
            progress=False,
            callbacks=callbacks,
            trackers=[live_file(store, name, anew=not checkpoint.exists), *trackers],
        )
    return Adopted(adoption, checkpoint.resumed, _classifies(material), material.notes, _doubts(adoption, material))


def _require_classes(network: nn.Module, path: str, schema: Schema) -> None:
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


def _classifies(material: LearningData) -> bool:
    return material.schema.target.kind == "classification"


def _doubts(adoption: Adoption, material: LearningData) -> tuple[str, ...]:
    outputs = material.schema.target.outputs
    if _classifies(material) and adoption.before - adoption.after > LOST:
        return (
            f"{adoption.before - adoption.after:.1%} of the examples were right before and are not after: give it more "
            "epochs (--epochs), more of the weights (--density), or, where it is overfitting, more data. "
            "`narrows forget` undoes it.",
        )
    if not _classifies(material) or adoption.before > min(CHANCE / outputs, (1 + 1 / outputs) / 2):
        return ()
    return (
        f"before, the network was right in {adoption.before:.1%} of the examples, which is little more than chance: is "
        "it trained, are its classes in another order (--classes), or its inputs scaled otherwise (--mean, --std)?",
    )
