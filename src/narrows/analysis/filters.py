"""What a task's first layer looks for: small images where the inputs are images, a row of weights for a table.

Knows a loaded network, what it keeps and its inputs; no data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from narrows.analysis.inputs import TaskInputs
from narrows.analysis.layers import Layer, first_layer, layers_of
from narrows.analysis.picture import Picture
from narrows.subnet import SubNetwork

MOST = 64
"""Filters shown of a task: those with the largest sum of absolute weights."""


@dataclass(frozen=True)
class Filters:
    """Of the first layer (the first that the model registers; `tasks/*/claimed.safetensors` and `mask.bin`).

    Attributes:
        task, layer: names; the layer's is its parameter's.
        kind: "images" or "columns".
        count: filters that the layer has.
        empty: filters without a kept weight.
        units: numbers of those shown, the heaviest first.
        weights: values, 0 for dropped weights: images (units, height, width, channels), channels 1 or 3 (red, green,
            blue), or columns (units, columns). 0 is the byte 128; all filters have one scale.
        kept: of the same shape: 1 where the weight is kept, 0 where it was dropped.
        columns: names of the columns, of a table; () otherwise.
    """

    task: str
    layer: str
    kind: str
    count: int
    empty: int
    units: tuple[int, ...]
    weights: Picture
    kept: Picture
    columns: tuple[str, ...] = ()


def first_filters(
    task: str, model: nn.Module, subnet: SubNetwork, inputs: TaskInputs, *, most: int = MOST
) -> Filters | None:
    """The filters of a task's first layer.

    None where they make no picture: an embedding, an LSTM, a convolution over other than 1 or 3 channels a group or
    not over images, a layer that does not take the inputs as they are.

    Args:
        model: from `store.load`.
        subnet: what it keeps.

    >>> import torch
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(16, 5))
    >>> subnet = SubNetwork.of_masks({"1.weight": torch.ones(5, 16, dtype=torch.bool)})
    >>> first_filters("a", model, subnet, TaskInputs.of_shape((1, 4, 4))).weights.shape
    (5, 4, 4, 1)
    """
    layer = first_layer(layers_of(model, subnet.parts))
    if layer is None:
        return None
    weight, mask = layer.weight.detach().cpu(), subnet.kept_mask(layer.parameter)
    shape = _shape(layer, inputs)
    if shape is None:
        return None
    heaviest = weight.flatten(1).abs().sum(1).argsort(descending=True, stable=True)[:most]
    shown, kept = (part[heaviest].reshape(len(heaviest), *shape) for part in (weight.double(), mask.double()))
    if len(shape) == 3:
        shown, kept = shown.permute(0, 2, 3, 1), kept.permute(0, 2, 3, 1)
    return Filters(
        task=task,
        layer=layer.parameter,
        kind="images" if len(shape) == 3 else "columns",
        count=len(weight),
        empty=int((~mask.flatten(1).any(1)).sum()),
        units=tuple(heaviest.tolist()),
        weights=Picture.signed(shown.numpy()),
        kept=Picture.of(kept.numpy(), 0, 1),
        columns=inputs.names,
    )


def _shape(layer: Layer, inputs: TaskInputs) -> tuple[int, ...] | None:
    """(channels, height, width) of a filter, or (columns,); None where it makes no picture."""
    module = layer.module
    if isinstance(module, nn.Conv2d):
        fits = inputs.kind == "images" and module.in_channels == inputs.shape[0] and layer.weight.shape[1] in (1, 3)
        return tuple(layer.weight.shape[1:]) if fits else None
    if isinstance(module, nn.Linear) and module.in_features == math.prod(inputs.shape):
        if inputs.kind == "images":
            return inputs.shape
        return inputs.shape if len(inputs.shape) == 1 else None
    return None
