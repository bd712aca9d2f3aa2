"""Sub-networks written down as masks, which is how a test can show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from narrows.store import TaskContent
from narrows.subnet import Part, SubNetwork, TensorSpec, positions_of

Tensors = Mapping[str, Tensor]


def subnet_of(specs: Sequence[TensorSpec], kept: Tensors, claimed: Tensors, values: Tensors) -> SubNetwork:
    """From bool masks of each parameter's shape, and the claimed values in C order, 1-D; what is empty may lack."""
    parts = {}
    for spec in specs:
        mine = claimed.get(spec.name, torch.zeros(spec.shape, dtype=torch.bool))
        packed = values.get(spec.name, torch.zeros(0, dtype=spec.torch_dtype()))
        reused = positions_of((kept[spec.name] & ~mine).reshape(-1))
        parts[spec.name] = Part(positions_of(mine.reshape(-1)), packed, reused)
    return SubNetwork(tuple(specs), parts)


def content_of(
    specs: Sequence[TensorSpec], kept: Tensors, claimed: Tensors, values: Tensors, private: Tensors
) -> TaskContent:
    """The same with what a task keeps for itself."""
    return TaskContent(subnet_of(specs, kept, claimed, values), dict(private))


def values_of(subnet: SubNetwork) -> dict[str, Tensor]:
    """name -> the claimed values, where there are any."""
    return {name: part.values for name, part in subnet.parts.items() if len(part.values)}
