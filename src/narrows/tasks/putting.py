"""A network that was trained elsewhere as a task of a store: what it reuses, what it claims, what is written of it.

Knows a model and what the store's tasks hold; no optimizer, no learner, no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import ConfigError, ModelMismatchError
from narrows.methods import Method, SharedWeights
from narrows.store import TaskContent, TaskRecord
from narrows.tasks.account import account
from narrows.tasks.heads import Head, describe_head
from narrows.tasks.partition import named_tensors, require_match
from narrows.tasks.sameness import require_same
from narrows.tasks.settling import Masks, Told, settled, told
from narrows.tasks.weights import TaskWeights, listed, not_finite, require_finite


def taken_in(
    name: str,
    model: nn.Module,
    untrained: nn.Module,
    weights: TaskWeights,
    kept: Mapping[str, Tensor] | None,
    *,
    head: Head | None,
    method: str | Method,
    inputs: Any,
    metrics: Told | None,
    data: Told | None,
) -> tuple[TaskRecord, TaskContent]:
    """What is to be appended of a network that was trained elsewhere; see `TaskStore.put`, also for what it raises.

    Args:
        untrained: the store's network with the task's head, which gets the weights that `load` will give.
        weights: those of `model`.
    """
    require_match(named_tensors(model), named_tensors(untrained))
    require_finite(model, not_finite(untrained))
    masks = masks_of(weights, kept)
    found = settled(weights, masks, untrained)
    require_same(model, found.loaded, [] if inputs is None else [((inputs,), {})])
    record = TaskRecord(
        name=name,
        index=-1,
        directory="",
        created="",
        isolation=isolation_of(method),
        method=_described(method),
        head=describe_head(head),
        data=told(data, found.loaded),
        metrics=told(metrics, found.loaded),
        seconds=None,
        parents=found.parents,
        layers={layer.name: layer.to_json() for layer in account(*masks, {})},
        weights_sha256=found.sha256,
    )
    return record, found.content


def isolation_of(method: str | Method) -> str:
    """That of the configuration; by its name alone a method leaves other tasks as they are."""
    return "shared" if isinstance(method, str) else method.isolation


def _described(method: str | Method) -> dict[str, Any]:
    return (
        {"name": method, "config": {}} if isinstance(method, str) else {"name": method.name, "config": method.config()}
    )


def masks_of(weights: TaskWeights, kept: Mapping[str, Tensor] | None) -> Masks:
    """The masks of a network that was trained elsewhere. A kept weight that has the frozen value is reused.

    Args:
        kept: see `TaskStore.put`.

    Raises:
        ConfigError: `kept` names what is no shared parameter, or has no mask of its shape.
        ModelMismatchError: a weight that is left out is not 0.
    """
    shared, kept = weights.shared(), kept or {}
    if unknown := sorted(kept.keys() - set(shared.names)):
        raise ConfigError(
            f"kept names {listed(unknown)}: no parameter that tasks share. Those are {listed(shared.names)}."
        )
    used = [_used(shared, place, kept.get(name)) for place, name in enumerate(shared.names)]
    claimed = [
        mask & ~(frozen & (_bits(param) == _bits(value)))
        for mask, param, frozen, value in zip(used, shared.params, shared.frozen, shared.values, strict=True)
    ]
    return weights.whole(shared.names, used), weights.whole(shared.names, claimed)


def _used(shared: SharedWeights, place: int, kept: Tensor | None) -> Tensor:
    name, param = shared.names[place], shared.params[place]
    present = _bits(param) != 0
    if kept is None:
        return present
    if not isinstance(kept, Tensor) or kept.dtype != torch.bool or kept.shape != param.shape:
        given = f"{kept.dtype} {tuple(kept.shape)}" if isinstance(kept, Tensor) else type(kept).__name__
        raise ConfigError(f"kept has {given} for {name}; it takes a mask: a tensor of bool, {tuple(param.shape)}.")
    kept = kept.to(param.device)
    if left := int((present & ~kept).sum()):
        raise ModelMismatchError(
            f"kept leaves out {left} weight{'s' if left > 1 else ''} of {name} that the model has at other values than "
            f"0, and a store gives 0 there: set them to 0 in the model (param.data[~kept] = 0), and see what it does "
            "then. Nothing was committed."
        )
    return kept


def _bits(tensor: Tensor) -> Tensor:
    """As integers of its size, so that -0 is not 0."""
    sizes = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return tensor.detach().contiguous().view(sizes[tensor.element_size()])
