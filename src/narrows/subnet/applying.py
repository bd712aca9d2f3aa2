"""A sub-network put into tensors: all of it, or in the place of another's; and the digest of what they hold then.

Of sub-networks that need no other task (`Composition.resolve`). Pure tensors, on any device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from narrows.subnet.composing import zeros
from narrows.subnet.value import SubNetwork


@torch.no_grad()
def apply_(subnet: SubNetwork, tensors: Mapping[str, Tensor]) -> None:
    """Has each tensor hold the kept weights and +0 elsewhere, in place; those that `tensors` lacks are left out."""
    for name, part in subnet.parts.items():
        if name in tensors:
            tensors[name].zero_()
            _put(tensors[name], part.claimed, part.values)


@torch.no_grad()
def switch_(before: SubNetwork, after: SubNetwork, tensors: Mapping[str, Tensor]) -> None:
    """From tensors that hold `before` to what `apply_(after)` gives, in place: only what either keeps is written.

    >>> from narrows.subnet import TensorSpec
    >>> spec, weights = TensorSpec("w", (4,), "float32"), torch.tensor([1.0, 2.0, 3.0, 4.0])
    >>> masks = torch.tensor([True, True, False, False]), torch.tensor([False, True, True, False])
    >>> one, other = (SubNetwork.of([spec], {"w": mask}, {"w": mask}, {"w": weights}) for mask in masks)
    >>> w = torch.empty(4)
    >>> apply_(one, {"w": w})
    >>> switch_(one, other, {"w": w})
    >>> w
    tensor([0., 2., 3., 0.])
    """
    for name, part in after.parts.items():
        if name in tensors:
            gone = before.parts[name]
            _put(tensors[name], gone.claimed, torch.zeros((), dtype=gone.values.dtype, device=gone.values.device))
            _put(tensors[name], part.claimed, part.values)


def dense(subnet: SubNetwork) -> dict[str, Tensor]:
    """name -> a new tensor of the parameter's shape: the kept weights, +0 elsewhere."""
    tensors = zeros(subnet.specs)
    for name, part in subnet.parts.items():
        tensors[name][part.claimed] = part.values
    return {spec.name: tensors[spec.name].view(spec.shape) for spec in subnet.specs}


def digest(shared: Mapping[str, Tensor], private: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) over names, dtypes, shapes and bytes of a task's whole network."""
    sha = hashlib.sha256()
    for group in (shared, private):
        for name in sorted(group):
            tensor = group[name].detach().cpu().contiguous()
            sha.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
            sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def _put(tensor: Tensor, positions: Tensor, values: Tensor) -> None:
    if tensor.is_contiguous():
        tensor.view(-1)[positions] = values
    else:  # channels last, say: positions count in C order
        flat = tensor.reshape(-1)
        flat[positions] = values
        tensor.copy_(flat.view(tensor.shape))
