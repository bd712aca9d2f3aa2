"""Joining a learner to the user's own optimizer by PyTorch's step hooks, so that it stays an ordinary optimizer.

Schedulers, `GradScaler`, Lightning and Accelerate see the class they know; its state dict is its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from narrows.errors import OptimizerError
from narrows.methods import Learner


def check_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
    """Raises OptimizerError unless the optimizer trains exactly the model's trainable parameters."""
    trained = {id(param) for group in optimizer.param_groups for param in group["params"]}
    wanted = {id(param): name for name, param in model.named_parameters() if param.requires_grad}
    known = {id(param) for param in model.parameters()}
    missing = [name for key, name in wanted.items() if key not in trained]
    foreign = len(trained - known)
    if missing or foreign:
        parts = []
        if missing:
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            parts.append("it does not train " + ", ".join(missing[:5]) + more)
        if foreign:
            parts.append(
                f"{foreign} of its parameters are not task.model's (the store's model is copied for each task)"
            )
        raise OptimizerError(
            "This optimizer is not built on the task's parameters: " + "; ".join(parts) + ". Use "
            "task.optimizer(torch.optim.Adam, lr=...), or build it from task.model.parameters()."
        )


def join(optimizer: torch.optim.Optimizer, learner: Learner, after: Callable[[], None]) -> list[Any]:
    """Lets `learner` see every step of `optimizer`; returns the hooks' handles. `after` is called last."""
    for group in learner.parameter_groups():
        optimizer.add_param_group(group)
    first = True

    def before_step(_: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if getattr(optimizer, "grad_scale", None) is not None:
            raise OptimizerError(
                "A fused optimizer under GradScaler unscales gradients inside its step, where narrows cannot see them. "
                "Make it with fused=False, or use bfloat16, which needs no scaler."
            )
        nonlocal first
        if first:
            first = False
            _refuse_sparse(learner)
        learner.shared.resting = _resting(optimizer)
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            learner.before_step()
            return None

        def observed() -> Any:
            loss = closure()
            learner.before_step()
            return loss

        # Lightning and others hand the backward pass in as a closure, which runs inside the step.
        return (args[0], observed), {}

    def after_step(_: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:  # noqa: ARG001
        learner.after_step()
        after()

    return [optimizer.register_step_pre_hook(before_step), optimizer.register_step_post_hook(after_step)]


def _resting(optimizer: torch.optim.Optimizer) -> frozenset[int]:
    """Parameters whose learning rate is 0. One that is a tensor is not looked at: on a GPU that would wait."""
    groups = [group for group in optimizer.param_groups if type(group.get("lr")) in (int, float) and group["lr"] == 0]
    return frozenset(id(param) for group in groups for param in group["params"])


def _refuse_sparse(learner: Learner) -> None:
    for name, param in zip(learner.shared.names, learner.shared.params, strict=True):
        if param.grad is not None and param.grad.is_sparse:
            raise OptimizerError(
                f"{name} has a sparse gradient, which a shared weight cannot: make the embedding with sparse=False, or "
                "keep it per task with TaskStore.create(..., private=[...])."
            )
