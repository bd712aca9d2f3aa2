"""Many parameters seen as one vector, so that weights of all layers can be ranked together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from narrows.masks.host import Magnitudes


class Layout:
    """Where each parameter lies in the concatenation of all of them (C order).

    >>> layout = Layout([(2, 3), (4,)])
    >>> flat = layout.join([torch.zeros(2, 3), torch.ones(4)])
    >>> [tuple(part.shape) for part in layout.split(flat)]
    [(2, 3), (4,)]
    """

    def __init__(self, shapes: Iterable[Sequence[int]]) -> None:
        self.shapes = [tuple(shape) for shape in shapes]
        self.sizes = [math.prod(shape) for shape in self.shapes]
        self.total = sum(self.sizes)

    def join(self, tensors: Sequence[Tensor]) -> Tensor:
        """The tensors as one vector, a copy; shape (total,)."""
        if not tensors:
            return torch.zeros(0)
        return torch.cat([tensor.reshape(-1) for tensor in tensors])

    def split(self, flat: Tensor) -> list[Tensor]:
        """Views of `flat`, one for each parameter, in the parameters' shapes."""
        parts = torch.split(flat, self.sizes)
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]


def magnitudes(tensors: Sequence[Tensor] | Callable[[], Sequence[Tensor]]) -> Magnitudes:
    """How large values are, by their positions in one vector of all of them, which is not made for a few.

    >>> magnitudes([torch.tensor([[1.0, -2.0]]), torch.tensor([-3.0])])(torch.tensor([1, 2]))
    tensor([2., 3.])
    """

    def sizes(at: Tensor | None) -> Tensor:
        flat = [tensor.detach().reshape(-1) for tensor in (tensors() if callable(tensors) else tensors)]
        if at is None:
            return torch.cat(flat).abs()
        starts = torch.tensor([0, *(part.numel() for part in flat)], device=at.device).cumsum(0)
        counts = torch.searchsorted(at, starts).diff().tolist()  # they ascend
        rows = zip(flat, torch.split(at, counts), starts[:-1], strict=True)
        return torch.cat([part[some - start] for part, some, start in rows]).abs()

    return sizes
