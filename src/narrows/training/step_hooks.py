"""Joining a learner to the user's own optimizers by PyTorch's step hooks, so that they stay ordinary optimizers.

Schedulers, `GradScaler`, Lightning and Accelerate see the class they know; its state dict is its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import register_multi_grad_hook

from narrows.errors import OptimizerError
from narrows.methods import Learner
from narrows.training.optimizers import (
    Optimizer,
    add_groups,
    allow_copies,
    gradients_of,
    host_of,
    is_finite,
    names_of,
    norms_of,
    params_of,
    refuse_copies,
    resting_of,
)

UNSEEN = 50
"""Passes whose gradients were cleared again and no step seen, after which training is stopped: more than `GradScaler`
skips until it has found its scale."""

_ROUND = "The optimizers of a task step one after another, each once, with the same gradients in place."


class Steps:
    """Lets `learner` see one step for each round of `optimizers`, which train the model together.

    A round begins before the first of them moves anything, and is over when each has stepped once. With a single
    optimizer a round is its step.

    Args:
        begin: called once, before anything moves.
        look: called before each round, with the gradients in place.
        end: called after each round.
    """

    def __init__(
        self,
        optimizers: Sequence[Optimizer],
        learner: Learner,
        *,
        begin: Callable[[], None],
        look: Callable[[], None],
        end: Callable[[], None],
    ) -> None:
        self._optimizers, self._learner = optimizers, learner
        self._begin, self._look, self._end = begin, look, end
        groups = learner.parameter_groups()
        if groups:
            add_groups(host_of(optimizers), groups)
        self._own = [param for group in groups for param in group["params"]]
        self._stepped: list[Optimizer] = []
        self._awaited: list[Optimizer] = list(optimizers)
        self._norms: dict[int, list[float]] = {}
        self._moving: Optimizer | None = None
        self._nested = 0
        self._first = True
        self._hooks: list[Any] = []
        for optimizer in optimizers:
            self._hooks += [
                optimizer.register_step_pre_hook(self._before),
                optimizer.register_step_post_hook(self._after),
            ]
            refuse_copies(optimizer)
        self._passes = 0
        trained = [param for param in params_of(*optimizers) if param.requires_grad]
        self._watch: Any = register_multi_grad_hook(trained, self._count_pass, mode="any")

    def require_whole(self) -> None:
        """Raises OptimizerError in the middle of a round."""
        if self._stepped:
            raise OptimizerError(
                f"{names_of(self._stepped)} has stepped and {names_of(self._missing())} has not. {_ROUND}"
            )

    def remove(self) -> None:
        """The optimizers are ordinary ones again."""
        for hook in (*self._hooks, self._watch):
            hook.remove()
        for optimizer in self._optimizers:
            allow_copies(optimizer)

    def _before(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if getattr(optimizer, "grad_scale", None) is not None:
            raise OptimizerError(
                "A fused optimizer under GradScaler unscales gradients inside its step, where narrows cannot see them. "
                "Make it with fused=False, or use bfloat16, which needs no scaler."
            )
        if self._moving is optimizer and _called_within_step(optimizer):
            self._nested += 1
            return None
        self._moving, self._nested = optimizer, 0
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            self._about_to_move(optimizer)
            return None
        if self._stepped:
            raise OptimizerError(f"Only the first optimizer of a round may be given a closure. {_ROUND}")

        def observed() -> Any:
            loss = closure()
            self._about_to_move(optimizer)
            return loss

        # Lightning and others hand the backward pass in as a closure, which runs inside the step.
        if len(args) > 1:
            return (args[0], observed, *args[2:]), kwargs
        return args, kwargs | {"closure": observed}

    def _about_to_move(self, optimizer: Optimizer) -> None:
        if not self._stepped:
            self._begin_round(optimizer)
        elif _among(optimizer, self._stepped):
            self.require_whole()
        elif id(optimizer) in self._norms and self._norms[id(optimizer)] != norms_of(optimizer):
            raise OptimizerError(
                f"The gradients of {names_of([optimizer])} changed after {names_of(self._stepped)} had stepped, and "
                "the method saw them before. Call scaler.unscale_(optimizer) for each optimizer, and clip, before the "
                f"first one steps. {_ROUND}"
            )

    def _begin_round(self, optimizer: Optimizer) -> None:
        if self._first:
            self._begin()
            _refuse_sparse(self._learner)
            self._first = False
            self._watch.remove()
        self._learner.shared.resting = resting_of(*self._optimizers)
        if len(self._optimizers) == 1:
            self._look()
            self._learner.before_step()
            return
        # GradScaler passes over an optimizer whose gradients are not finite: they are no evidence either.
        skipped = [one for one in self._optimizers if one is not optimizer and not is_finite(one)]
        hidden = [(param, param.grad) for param in params_of(*skipped)]
        for param, _ in hidden:
            param.grad = None
        self._look()
        self._learner.before_step()
        for param, grad in hidden:
            param.grad = grad
        self._awaited = [one for one in self._optimizers if not _among(one, skipped)]
        self._norms = {id(one): norms_of(one) for one in self._awaited}

    def _after(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:  # noqa: ARG002
        if self._nested:
            self._nested -= 1
            return
        self._moving = None
        self._stepped.append(optimizer)
        if self._missing():
            return
        self._stepped, self._norms = [], {}
        self._learner.after_step()
        for param in self._own:
            param.grad = None  # they are not in the model: its zero_grad() does not reach them
        torch.clear_autocast_cache()  # it holds casts of the weights as they were before
        self._end()

    def _missing(self) -> list[Optimizer]:
        return [one for one in self._awaited if not _among(one, self._stepped)]

    def _count_pass(self, _: Tensor) -> None:
        """A backward pass begins; raises OptimizerError where it is plain that nobody uses these optimizers."""
        if any(bool(grad.any()) for one in self._optimizers for grad in gradients_of(one)):
            return  # gradients are being accumulated
        self._passes += 1
        if self._passes > UNSEEN:
            raise OptimizerError(
                f"{UNSEEN} gradients were computed and cleared, and {names_of(self._optimizers)} has not taken a step: "
                "the method decides in the optimizer's step which weights the task uses, and would decide nothing. "
                "Train with the optimizer that task.optimizer returns. Where another one wraps it and calls its step "
                "(two-step SAM), build that one first and give the task the one inside: "
                "task.attach(sam.base_optimizer, ...). Where GradScaler skips every step, the loss is not finite."
            )


_STEP = Optimizer.profile_hook_step(lambda _: None).__code__
"""Of the function that PyTorch puts around each class's `step` to run the hooks."""


def _called_within_step(optimizer: Optimizer) -> bool:
    """Whether a step of this optimizer is under way: that of a subclass, which calls its parent's.

    The frames are asked, as a step that was broken off by an error leaves no other trace than one under way.
    """
    frame, steps = inspect.currentframe(), 0
    while frame is not None:
        steps += frame.f_code is _STEP and frame.f_locals.get("self") is optimizer
        frame = frame.f_back
    return steps > 1


def _among(optimizer: Optimizer, others: Sequence[Optimizer]) -> bool:
    return any(optimizer is other for other in others)


def _refuse_sparse(learner: Learner) -> None:
    for name, param in zip(learner.shared.names, learner.shared.params, strict=True):
        if param.grad is not None and param.grad.is_sparse:
            raise OptimizerError(
                f"{name} has a sparse gradient, which a shared weight cannot: make the embedding with sparse=False, or "
                "keep it per task with TaskStore.create(..., private=[...])."
            )
