"""A sub-network put into tensors: all of it, or in the place of another's; and the digest of what they hold then.

Of sub-networks that need no other task (`Composition.resolve`). Pure tensors, on any device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from narrows.subnet.composing import zeros
from narrows.subnet.value import Part, SubNetwork, position_dtype


@torch.no_grad()
def apply_(subnet: SubNetwork, tensors: Mapping[str, Tensor]) -> None:
    """Has each tensor hold the kept weights and +0 elsewhere, in place; those that `tensors` lacks are left out."""
    for name in subnet.parts:
        if name in tensors:
            tensors[name].zero_()
    put_(subnet.parts, tensors)


@torch.no_grad()
def put_(parts: Mapping[str, Part], tensors: Mapping[str, Tensor]) -> None:
    """Has each tensor hold what is claimed of it, in place; the rest, and those that `tensors` lacks, are left."""
    for name, part in parts.items():
        if name in tensors:
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
    for name in after.parts:
        if name in tensors:
            gone = before.parts[name]
            _put(tensors[name], gone.claimed, torch.zeros((), dtype=gone.values.dtype, device=gone.values.device))
    put_(after.parts, tensors)


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
        _take_in(sha, group)
    return sha.hexdigest()


def digest_kept(subnet: SubNetwork, private: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) over what a task consists of: it costs what is kept, not the network.

    Of every shared parameter, by name, how many weights are kept, their positions (unless they are all) and values; of
    a sub-network that needs no other task (`Composition.resolve`). Then of what is private as `digest`.
    """
    sha = hashlib.sha256()
    for spec in sorted(subnet.specs, key=lambda spec: spec.name):
        part = subnet.parts[spec.name]
        assert not len(part.reused), "only a resolved sub-network has all its values"
        sha.update(f"{spec.name}|{part.values.dtype}|{spec.shape}|{len(part.claimed)}|".encode())
        if len(part.claimed) < spec.numel:
            sha.update(_bytes_of(part.claimed.to(position_dtype(spec.numel))))
        sha.update(_bytes_of(part.values))
    _take_in(sha, private)
    return sha.hexdigest()


def _take_in(sha: Any, tensors: Mapping[str, Tensor]) -> None:
    for name in sorted(tensors):
        tensor = tensors[name]
        sha.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        sha.update(_bytes_of(tensor))


def _bytes_of(tensor: Tensor) -> Any:
    if not tensor.numel():
        return b""  # whose strides, which no view may take, are anything
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _put(tensor: Tensor, positions: Tensor, values: Tensor) -> None:
    if tensor.is_contiguous():
        tensor.view(-1)[positions] = values
    else:  # channels last, say: positions count in C order
        flat = tensor.reshape(-1)
        flat[positions] = values
        tensor.copy_(flat.view(tensor.shape))
