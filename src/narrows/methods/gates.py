"""Gates on the units that one parameter joins, as HAT trains them: soft while learned, open or shut at the end.

Knows one parameter; it does not know the schedule of their steepness, nor the network.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from narrows.methods.own_parameters import precise

REACH = 6.0
"""Embeddings are kept within -REACH and REACH, as in the published code."""

SATURATED = 50.0
"""A gate with |s e| beyond this has no gradient any more; the published code stops compensating there."""


class Gates:
    """The gates of one parameter; a dimension of a single unit has none.

    Attributes:
        embeddings: e, a vector for each gated dimension.
        unused: the same shapes, 1.0 where no earlier task uses the unit.
    """

    def __init__(self, param: Tensor, frozen: Tensor) -> None:
        self._shape, self._device = param.shape, param.device
        self._dims = [dim for dim in (0, 1) if param.shape[dim] > 1]
        sizes, dtype = [param.shape[dim] for dim in self._dims], precise(param).dtype
        self.embeddings = [nn.Parameter(torch.randn(size, dtype=dtype, device=param.device)) for size in sizes]
        self.unused = [(~frozen).movedim(dim, 0).flatten(1).all(1).to(dtype) for dim in self._dims]

    def soft(self, s: float) -> list[Tensor]:
        """Attention at steepness s, each vector shaped to multiply the parameter."""
        return self._shaped([torch.sigmoid(s * e.detach()) for e in self.embeddings])

    def mask(self) -> Tensor:
        """The weights between open gates: bool, the parameter's shape."""
        mask = torch.ones((1,) * len(self._shape), dtype=torch.bool, device=self._device)
        for opened in self._opened():
            mask = mask & opened
        return mask.expand(self._shape).contiguous()

    def cut(self, weight: Tensor) -> Tensor:
        """`weight` where its gates are open, 0 elsewhere."""
        opened = [mask.to(weight.dtype) for mask in self._opened()]
        return prod(opened, start=weight) + 0.0  # -0 is 0

    def turn(self, weight: Tensor, attention: list[Tensor], grad: Tensor) -> tuple[list[Tensor], Tensor]:
        """d loss / d a for each of the embeddings, and d loss / d w; `grad` is of the effective weight."""
        slopes, grad = [], precise(grad)
        for dim in self._dims:
            others = (a for a, other in zip(attention, self._dims, strict=True) if other != dim)
            slopes.append(prod(others, start=grad * weight).movedim(dim, 0).flatten(1).sum(1))
        return slopes, prod(attention, start=grad)

    def compensate(self, price: float, s: float, smax: float) -> None:
        """Turns the gradients into those of the embeddings, the price of a newly opened unit included.

        d a / d e = s a (1 - a) vanishes as s grows. The paper multiplies it by smax (cosh(s e) + 1) /
        (s (cosh(e) + 1)) (eq. 5), which makes it the slope at s = 1, times smax: that is computed.
        """
        for e, unused in zip(self.embeddings, self.unused, strict=True):
            slope = torch.sigmoid(e) * torch.sigmoid(-e) * ((s * e).abs() < SATURATED)
            priced = price * unused if e.grad is None else e.grad + price * unused
            e.grad = smax * slope * priced

    def hold(self) -> None:
        """No gradient for the embeddings: they stay where they are."""
        for e in self.embeddings:
            e.grad = None

    def settle(self, least: float) -> None:
        """Keeps embeddings within reach, and the best of each set at `least` or above."""
        for e in self.embeddings:
            best = e.detach().argmax(0, keepdim=True)
            e.clamp_(-REACH, REACH).scatter_(0, best, e.gather(0, best).clamp_min(least))

    def _opened(self) -> list[Tensor]:
        return self._shaped([e.detach() > 0 for e in self.embeddings])

    def _shaped(self, vectors: list[Tensor]) -> list[Tensor]:
        rows = zip(vectors, self._dims, strict=True)
        return [vector.view(-1, *[1] * (len(self._shape) - 1 - dim)) for vector, dim in rows]
