"""Parameters of a method's own (gates, scores) beside those of the model: their precision, and their gradients.

Knows tensors and autograd; it does not know what the parameters mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

Turn = Callable[[int, Tensor], tuple[Sequence[Tensor], Tensor]]
"""Of (a parameter's index, d loss / d what it holds): the gradients of its own parameters, and that of its weights."""


def precise(tensor: Tensor) -> Tensor:
    """`tensor`, detached, in float32 or better: in bfloat16, steps as small as a gate's would stand still.

    >>> precise(torch.zeros(2, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32))


@contextmanager
def lent(
    params: Sequence[nn.Parameter],
    own: Sequence[Sequence[nn.Parameter]],
    put_on: Callable[[], None],
    take_off: Callable[[], None],
    turn: Turn,
) -> Iterator[None]:
    """Within it `params` hold what `put_on` puts there, and gradients are turned on their way to `.grad`.

    So `.grad` is an ordinary gradient of the weights at any moment, whatever the loop does with it: it may be cleared
    (also between forward and backward, or by the model alone), added up, or skipped over. `own[i]`, the parameters that
    belong to `params[i]`, follow it: their gradients add up where its gradient does, and start anew where that was
    cleared.
    """
    reached: set[int] = set()

    @torch.no_grad()
    def turned(index: int, grad: Tensor) -> Tensor:
        reached.add(index)
        slopes, weights = turn(index, grad)
        for one, slope in zip(own[index], slopes, strict=True):
            earlier = _current(one, params[index])
            one.grad = slope if earlier is None else earlier + slope
        return weights.to(grad.dtype)

    hooks = [
        param.register_hook(partial(turned, index))  # type: ignore[no-untyped-call]
        for index, param in enumerate(params)
        if param.requires_grad
    ]
    try:
        with torch.no_grad():
            put_on()
        torch.clear_autocast_cache()  # it holds casts of the weights as they were before
        yield
    finally:
        for hook in hooks:
            hook.remove()
        with torch.no_grad():
            take_off()
            for index in set(range(len(params))) - reached:
                for one in own[index]:
                    one.grad = _current(one, params[index])
        torch.clear_autocast_cache()


def _current(own: nn.Parameter, param: nn.Parameter) -> Tensor | None:
    """The gradient of `own` as far as it goes with the one that `param` has: of neither, where that was cleared."""
    if own.grad is None or param.grad is None:
        return None
    return torch.where(param.grad.any(), own.grad, 0)  # cleared with set_to_none=False, it is all 0
