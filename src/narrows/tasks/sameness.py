"""Whether the network that a store gives is the one that was trained: its tensors, and its outputs.

What a network is made of besides tensors (flags and counters kept as attributes, hooks, a forward put in) is no part of
a store. It shows in the outputs: so both are asked the same, and where they answer otherwise that is what is named.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import ModelMismatchError
from narrows.tasks.differences import attributes_of, differences
from narrows.tasks.partition import identical, live_tensors, named_tensors
from narrows.tasks.weights import listed
from narrows.training.device import device_of
from narrows.training.evaluation import evaluating
from narrows.training.randomness import undisturbed_generators
from narrows.training.seen_inputs import Inputs, copied_tensors

ROUNDING = 1e-5
"""Of the largest output: what another layout of the same tensors may change."""
HALF_PRECISION = 2e-2
"""The same where the forward was wrapped, as frameworks do to put autocast on."""


def require_same(trained: nn.Module, loaded: nn.Module, calls: Sequence[Inputs]) -> None:
    """Raises ModelMismatchError unless `loaded`, on the CPU, is what was trained: to the bit, outputs in eval mode too.

    Both are asked `calls`, and left as they are. Where outputs cannot be compared (the forward gives others each time,
    or nothing it was called with is known), attributes that differ are a warning.
    """
    ours, theirs = live_tensors(trained), live_tensors(loaded)
    differ = [name for name in named_tensors(trained) if name not in theirs or not identical(ours[name], theirs[name])]
    if differ:
        raise ModelMismatchError(
            f"What the store would give is not what was trained: {listed(differ)} would be other values. Nothing was "
            "committed. Two names for one piece of memory, or a tensor that is written to meanwhile, can do that."
        )
    if not calls:
        _warn(trained, loaded, "it was not seen what the network was called with")
    with _eagerly(trained):
        for call in calls:
            if not _require_same_outputs(trained, loaded, call):
                break  # and it was said


def _require_same_outputs(trained: nn.Module, loaded: nn.Module, seen: Inputs) -> bool:
    """Whether the outputs for this call could be compared; ModelMismatchError where they differ."""
    try:
        first = _answer(trained, trained, seen)
    except Exception as error:  # of the user's forward, which may want what only training gives it
        _warn(trained, loaded, f"in eval mode the network fails on what it was trained with ({_short(error)})")
        return False
    if not first:
        _warn(trained, loaded, "the network gives no tensors")
        return False
    failure: Exception | None = None
    try:
        second: list[Tensor] = _answer(loaded, trained, seen)
    except Exception as error:
        failure, second = error, []
    if failure is None and _alike(first, second, 0.0):
        return True
    if not _alike(first, _answer(trained, trained, seen), 0.0):
        _warn(trained, loaded, "the network gives other outputs each time it is asked")
        return False
    suspects = differences(trained, loaded)
    wrapped = bool(suspects) and all(name.rpartition(".")[2] == "forward" for name in suspects)
    if failure is None and _alike(first, second, HALF_PRECISION if wrapped else ROUNDING):
        return True
    answers = "gives other outputs" if failure is None else f"fails ({_short(failure)})"
    raise ModelMismatchError(
        f"Loaded from the store, the network {answers} where the trained one does not: it depends on what is no "
        f"parameter or buffer. Nothing was committed. {_named(suspects)}"
    )


def _named(suspects: list[str]) -> str:
    if not suspects:
        return (
            "No attribute of a module differs: look for state outside the model (globals, closures), and keep it in a "
            "tensor given to register_buffer."
        )
    return (
        f"Different in a fresh copy: {listed(suspects)}. Keep in a tensor given to register_buffer what training "
        "changes (a flag as torch.tensor(False), filled in place), and put hooks and wrapped forwards into the "
        "module's code, or take them off before the commit."
    )


def _warn(trained: nn.Module, loaded: nn.Module, why: str) -> None:
    suspects = differences(trained, loaded)
    if suspects:
        warnings.warn(
            f"The network that is loaded from the store may give other outputs than the trained one: {why}, so they "
            f"could not be compared. {_named(suspects)}",
            stacklevel=5,
        )


@torch.no_grad()
def _answer(model: nn.Module, trained: nn.Module, seen: Inputs) -> list[Tensor]:
    """The tensors that `model` gives, run as the trained network is: its device, its layouts, the same chance."""
    device = device_of(trained)
    arguments, keywords = copied_tensors(seen, device)  # a forward may change them in place
    with undisturbed_generators(device), _unchanged(model), evaluating(model), _moved_like(model, trained):
        return list(_tensors(model(*arguments, **keywords)))


@contextmanager
def _moved_like(model: nn.Module, trained: nn.Module) -> Iterator[None]:
    """The model on the device that the trained network is on, its tensors laid out like those, for a while."""
    before, device = device_of(model), device_of(trained)
    if before != device:
        model.to(device)
    theirs, laid_out = live_tensors(trained), []
    for name, tensor in live_tensors(model).items():
        like = theirs.get(name, tensor)
        if tensor.shape == like.shape and tensor.stride() != like.stride():
            laid_out.append((tensor, tensor.data))
            tensor.data = torch.empty_like(like.data, dtype=tensor.dtype).copy_(tensor.data)
    try:
        yield
    finally:
        for tensor, data in laid_out:
            tensor.data = data
        if before != device:
            model.to(before)


@contextmanager
def _unchanged(model: nn.Module) -> Iterator[None]:
    """What a forward changes besides parameters is put back: buffers, and attributes that are bound anew."""
    kept = [(module, attributes_of(module), dict(module._buffers)) for module in model.modules()]
    values = [(buffer, buffer.clone()) for _, _, buffers in kept for buffer in buffers.values() if buffer is not None]
    values += [(part, part.clone()) for _, own, _ in kept for part in own.values() if type(part) is Tensor]
    try:
        yield
    finally:
        for module, own, buffers in kept:
            for key in attributes_of(module).keys() - own.keys():
                del vars(module)[key]
            vars(module).update(own)
            module._buffers.clear()
            module._buffers.update(buffers)
        for tensor, value in values:
            if not identical(tensor, value):
                tensor.data.copy_(value)


def _eagerly(model: nn.Module) -> Any:
    """Without the compiled code of `module.compile()`, whose rounding is its own."""
    compiled = any(getattr(module, "_compiled_call_impl", None) is not None for module in model.modules())
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


def _alike(one: list[Tensor], other: list[Tensor], tolerance: float) -> bool:
    """Whether all are the same to the bit, or at least within `tolerance` of the largest number."""
    if len(one) != len(other):
        return False
    return all(identical(a, b) or (tolerance > 0 and _near(a, b, tolerance)) for a, b in zip(one, other, strict=True))


def _near(one: Tensor, other: Tensor, tolerance: float) -> bool:
    if one.shape != other.shape or not (one.is_floating_point() and other.is_floating_point()) or not one.numel():
        return False
    a, b = one.cpu().double(), other.cpu().double()  # not every device has float64
    finite = torch.isfinite(a) & torch.isfinite(b)
    largest = float(a[finite].abs().max()) if bool(finite.any()) else 0.0
    same = torch.nan_to_num(a[~finite]).equal(torch.nan_to_num(b[~finite]))
    return same and bool(((a - b)[finite].abs() <= tolerance * largest).all())


def _tensors(value: Any) -> Iterator[Tensor]:
    """Those in lists, tuples, dicts and dataclasses, in order."""
    if isinstance(value, Tensor):
        yield value.detach()
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)
    elif hasattr(value, "__dataclass_fields__"):
        yield from _tensors(vars(value))


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"
