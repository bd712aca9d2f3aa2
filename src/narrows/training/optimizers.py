"""What a task's optimizers must be: built on its model, new, and able to train what its method brings along.

Knows optimizers and a model; it does not know learners.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from narrows.errors import ModelMismatchError, OptimizerError

Optimizer = torch.optim.Optimizer

_PARTICULAR: tuple[type[Optimizer], ...] = tuple(
    getattr(torch.optim, name) for name in ("Muon", "LBFGS") if hasattr(torch.optim, name)
)
"""Optimizers that do not take parameters of any shape, in groups of their own. Muon is in PyTorch from 2.9 on."""


def check_optimizers(optimizers: Sequence[Optimizer], model: nn.Module) -> None:
    """Raises OptimizerError unless the optimizers together train exactly the model's trainable parameters, anew."""
    for optimizer in optimizers:
        if not hasattr(optimizer, "_optimizer_step_pre_hooks"):
            raise OptimizerError(
                f"{names_of([optimizer])} is no torch.optim.Optimizer, or wraps one without being one itself: give the "
                "task the one inside, before it is wrapped (task.optimizer before accelerator.prepare, say)."
            )
    held = [id(param) for param in params_of(*optimizers)]
    trained = set(held)
    wanted = {id(param): name for name, param in model.named_parameters() if param.requires_grad}
    known = {id(param): name for name, param in model.named_parameters()}
    missing = [name for key, name in wanted.items() if key not in trained]
    foreign = len(trained - known.keys())
    if missing or foreign:
        parts = []
        if missing:
            parts.append("it does not train " + few_of(missing))
        if foreign:
            parts.append(
                f"{foreign} of its parameters are not task.model's (the store's model is copied for each task)"
            )
        raise OptimizerError(
            "This optimizer is not built on the task's parameters: " + "; ".join(parts) + ". Use "
            "task.optimizer(torch.optim.Adam, lr=...), or build it from task.model.parameters()."
        )
    if len(held) > len(trained):
        twice = [name for key, name in known.items() if held.count(key) > 1]
        raise OptimizerError(
            f"{few_of(twice)}: trained by two optimizers, or by one twice. Give each parameter to one."
        )
    for optimizer in optimizers:
        if has_stepped(optimizer):
            raise OptimizerError(
                f"{names_of([optimizer])} has taken steps already, which this task has not seen: make a new one. "
                "To go on with a training that was interrupted, attach the new one and then load the states of both: "
                "task.load_state(...), optimizer.load_state_dict(...) (docs/frameworks.md)."
            )


def require_one_device(model: nn.Module) -> None:
    """Raises ModelMismatchError where the model's parameters lie on several devices, or nowhere."""
    where: dict[torch.device, str] = {}
    for name, param in model.named_parameters():
        where.setdefault(param.device, name)
    if len(where) > 1 or any(device.type == "meta" for device in where):
        places = ", ".join(f"{name} on {device}" for device, name in where.items())
        raise ModelMismatchError(
            f"The task's model must lie on one device, with values: it has {places}. Move it, task.model.to(device), "
            "before its optimizer is made; a model that is spread over several devices cannot be trained here."
        )


def has_stepped(optimizer: Optimizer) -> bool:
    """Whether its state is one that only steps leave behind."""
    return any(_moved(param, state) for param, state in optimizer.state.items() if isinstance(state, dict))


def _moved(param: Any, state: dict[str, Any]) -> bool:
    if "step" in state:
        return bool(state["step"] > 0)
    tensors = (value for value in state.values() if isinstance(value, Tensor) and value.is_floating_point())
    # Some begin with zeros, or with a copy of the weights.
    return any(bool(value.any()) and not (isinstance(param, Tensor) and value.equal(param)) for value in tensors)


def host_of(optimizers: Sequence[Optimizer]) -> Optimizer:
    """The one that trains a method's own parameters: the first that is known to take any shape.

    Raises:
        OptimizerError: there is none.
    """
    able = [one for one in optimizers if not isinstance(one, _PARTICULAR)]
    if not able:
        raise OptimizerError(
            f"The method has parameters of its own (scores, gates), and {names_of(optimizers)} cannot train them: it "
            "takes matrices, or a single group. Train matrices and the rest with two optimizers, "
            "task.attach(muon, adamw, ...), or choose a method without such parameters (ibm, say)."
        )
    return next((one for one in able if any(map(_has_vectors, one.param_groups))), able[0])


def add_groups(optimizer: Optimizer, groups: Sequence[dict[str, Any]]) -> None:
    """Adds a method's own parameters; with names where the others have some, and the options a group must have."""
    like = next((group for group in optimizer.param_groups if _has_vectors(group)), optimizer.param_groups[0])
    particular = like.keys() - optimizer.defaults.keys() - {"params", "param_names", "initial_lr"}
    options = {key: like[key] for key in particular}
    for number, group in enumerate(groups):
        params = list(group["params"])
        if "param_names" in like:
            params = [(f"narrows.{number}.{index}", param) for index, param in enumerate(params)]
        optimizer.add_param_group(options | group | {"params": params})


def _has_vectors(group: dict[str, Any]) -> bool:
    return any(param.dim() < 2 for param in group["params"])


def params_of(*optimizers: Optimizer) -> Iterator[Tensor]:
    """All that they train."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            yield from group["params"]


def resting_of(*optimizers: Optimizer) -> frozenset[int]:
    """Ids of parameters whose learning rate is 0. One that is a tensor is not looked at: on a GPU that would wait."""
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    still = [group for group in groups if type(group.get("lr")) in (int, float) and group["lr"] == 0]
    return frozenset(id(param) for group in still for param in group["params"])


def gradients_of(optimizer: Optimizer) -> list[Tensor]:
    """Its gradients; of sparse ones their values."""
    grads = [param.grad for param in params_of(optimizer) if param.grad is not None]
    return [grad._values() if grad.is_sparse else grad for grad in grads]


def norms_of(optimizer: Optimizer) -> list[float]:
    """By which it is seen that its gradients were scaled: GradScaler does so without a trace in their versions."""
    return [float(grad.norm()) for grad in gradients_of(optimizer)]


def is_finite(optimizer: Optimizer) -> bool:
    """Whether all its gradients are."""
    return all(bool(grad.isfinite().all()) for grad in gradients_of(optimizer))


def refuse_copies(optimizer: Optimizer) -> None:
    """From now on copying or pickling it raises OptimizerError: a copy has no hooks, and would train all the same."""
    vars(optimizer)["__reduce_ex__"] = partial(_refuse_copy, type(optimizer).__name__)


def allow_copies(optimizer: Optimizer) -> None:
    """It is an ordinary one again."""
    vars(optimizer).pop("__reduce_ex__", None)


def _refuse_copy(name: str, _protocol: int) -> NoReturn:
    raise OptimizerError(
        f"A copy of this {name}, also by pickle, would train without the task's method: weights of earlier tasks would "
        "move. Keep optimizer.state_dict() and task.state() instead."
    )


def names_of(optimizers: Sequence[Optimizer]) -> str:
    """Of their classes."""
    return " and ".join(type(one).__name__ for one in optimizers)


def few_of(names: Sequence[str]) -> str:
    """Up to five of them, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
