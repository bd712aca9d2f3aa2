"""A few weights of a parameter, by their positions: int64, 1-D, counted in C order whatever the tensor's strides are.

Nothing here makes the host wait for a device, `places` aside.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def places(mask: Tensor) -> Tensor:
    """The positions at which a mask is True, ascending.

    >>> places(torch.tensor([[False, True], [True, False]]))
    tensor([1, 2])
    """
    return mask.reshape(-1).nonzero().squeeze(1)


def marked(shape: Sequence[int], at: Tensor) -> Tensor:
    """The mask of that shape that is True at these positions only."""
    return fill_(torch.zeros(shape, dtype=torch.bool, device=at.device), at, value=True)


def spread(shape: Sequence[int], at: Tensor, values: Tensor) -> Tensor:
    """A tensor of that shape with `values` at these positions and 0 elsewhere."""
    return put_(torch.zeros(shape, dtype=values.dtype, device=values.device), at, values)


def pick(tensor: Tensor, at: Tensor) -> Tensor:
    """What stands at these positions, 1-D: a copy.

    >>> pick(torch.tensor([[1, 2], [3, 4]]).T, torch.tensor([1, 3]))
    tensor([3, 4])
    """
    return tensor.detach().reshape(-1).index_select(0, at)


def put_(tensor: Tensor, at: Tensor, values: Tensor) -> Tensor:
    """Puts `values` at these positions, in place; returns the tensor.

    >>> put_(torch.zeros(2, 2), torch.tensor([3]), torch.ones(1))
    tensor([[0., 0.],
            [0., 1.]])
    """
    flat = tensor.detach().reshape(-1).index_copy_(0, at, values)  # a view, or a copy where strides allow none
    if not tensor.is_contiguous():
        tensor.copy_(flat.view(tensor.shape))
    return tensor


def fill_(tensor: Tensor, at: Tensor, *, value: bool | float) -> Tensor:
    """Puts one value at these positions, in place; returns the tensor."""
    flat = tensor.detach().reshape(-1).index_fill_(0, at, value)
    if not tensor.is_contiguous():
        tensor.copy_(flat.view(tensor.shape))
    return tensor
