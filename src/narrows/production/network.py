"""A store's network and a task's data brought together: where the head goes, what the network takes, what it gives.

Knows modules, schemas and stores; trains nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from narrows.data import ImageInputs, Schema, TableInputs
from narrows.errors import DataError, NonFiniteError
from narrows.production.seeding import seeded
from narrows.tasks import TaskStore
from narrows.tasks.heads import Head, find_head, like_head
from narrows.training import evaluating
from narrows.training.device import device_of, to_device

Loss = Any


def loss_of(kind: str) -> Loss:
    """The loss for a kind of target: cross-entropy, squared error of standardised numbers, or one cross-entropy for
    each label; means over the batch, in nats but for the squared error."""
    return {
        "classification": nn.functional.cross_entropy,
        "regression": nn.functional.mse_loss,
        "multilabel": nn.functional.binary_cross_entropy_with_logits,
    }[kind]


def fit_width(schema: Schema, network: nn.Module) -> Schema:
    """The schema as the network takes it: a table gets zero columns up to the inputs of the first layer.

    Raises:
        DataError: the table has more columns than the network has inputs.
    """
    _, first = _first_layer(network)
    if not isinstance(schema.inputs, TableInputs) or not isinstance(first, nn.Linear):
        return schema
    return schema if first.in_features == schema.inputs.width else schema.padded(first.in_features)


def head_path(store: TaskStore, network: nn.Module, x: Tensor) -> str:
    """Where tasks put their heads: as the store says, or as the network shows.

    Args:
        x: some inputs, to find out where none says.

    Raises:
        ModelMismatchError: no head was found; says what to do.
    """
    said = (store.about or {}).get("head")  # where `init` wrote it before stores had a place of their own for it
    return said if isinstance(said, str) else store.head or find_head(network, x)


def new_head(network: nn.Module, path: str, outputs: int, seed: int) -> Head:
    """A fresh `nn.Linear` with so many outputs for the place of the one at `path`; see `like_head`."""
    with seeded(seed):
        return like_head(network, path, outputs)


def try_out(network: nn.Module, x: Tensor, schema: Schema) -> Any:
    """What the network (eval mode) gives for a few inputs, before any training. DataError: it cannot take them."""
    try:
        with evaluating(network):
            return network(x)
    except Exception as error:  # whatever the user's forward may raise
        raise DataError(
            f"The network cannot take these data: one example is of the shape {schema.shape} "
            f"({schema.inputs.summary()}), and {_taken(network)}. It says: {str(error).strip().partition(chr(10))[0]}"
            f"{_way_out(network, schema)}"
        ) from error


def require_outputs(network: nn.Module, x: Tensor, schema: Schema) -> None:
    """Raises DataError unless the network, its head in place, gives the outputs that the target needs."""
    outputs = try_out(network, x, schema)
    wanted = (len(x), schema.target.outputs)
    found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    if found != wanted:
        raise DataError(
            f"For {len(x)} examples and {schema.target.outputs} {_outputs(schema)} the network should give outputs of "
            f"the shape {wanted}; it gives {found}."
        )


@torch.no_grad()
def require_finite(network: nn.Module, x: Tensor) -> None:
    """Raises NonFiniteError where a network that was trained gives NaN or infinite outputs for a few inputs."""
    with evaluating(network):
        outputs = network(to_device(x, device_of(network)))
    if not bool(torch.isfinite(outputs).all()):
        raise NonFiniteError(
            "Training has diverged: the network gives NaN or infinite outputs. Nothing was committed. Begin anew with "
            "a smaller learning rate (--lr and --restart; lr= and restart=True)."
        )


def _outputs(schema: Schema) -> str:
    return {"classification": "classes", "regression": "numbers", "multilabel": "labels"}[schema.target.kind]


def _first_layer(network: nn.Module) -> tuple[str, nn.Module | None]:
    """The first that was registered of those that say what they take: mostly what the inputs go into."""
    kinds = (nn.Linear, nn.modules.conv._ConvNd, nn.Embedding, nn.RNNBase)
    return next(((name, module) for name, module in network.named_modules() if isinstance(module, kinds)), ("", None))


def _way_out(network: nn.Module, schema: Schema) -> str:
    """Where images can be turned into what the network takes."""
    _, first = _first_layer(network)
    wanted = getattr(first, "in_channels", None)
    if not isinstance(schema.inputs, ImageInputs) or wanted not in (1, 3) or wanted == schema.inputs.channels:
        return ""
    return f". Say --channels {wanted} (channels={wanted}), and the images are made {'grey' if wanted == 1 else 'RGB'}."


def _taken(network: nn.Module) -> str:
    name, first = _first_layer(network)
    if isinstance(first, nn.Linear):
        return f"its first layer, {name!r}, takes {first.in_features} numbers"
    if isinstance(first, nn.modules.conv._ConvNd):
        return f"its first layer, {name!r}, takes {first.in_channels} channels"
    return "no layer of it says what it takes" if first is None else f"its first layer, {name!r}, is a {first}"
