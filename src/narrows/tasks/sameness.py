"""Whether the network that a store gives is the one that was trained: its tensors, and its outputs.

What a network is made of besides tensors (flags and counters kept as attributes, hooks, a forward put in) is no part of
a store. It shows in the outputs: so both are asked the same, and where they answer otherwise that is what is named.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from narrows.errors import ModelMismatchError
from narrows.tasks.partition import identical, live_tensors, named_tensors
from narrows.tasks.weights import listed
from narrows.training.device import device_of
from narrows.training.evaluation import evaluating
from narrows.training.randomness import undisturbed_generators

ROUNDING = 1e-5
"""Of the largest output: what another layout of the same tensors may change."""
HALF_PRECISION = 2e-2
"""The same where the forward was wrapped, as frameworks do to put autocast on."""

# Compiling leaves the last two.
_OF_EVERY_MODULE = {*vars(nn.Module()), "_is_torch_compile", "_compiled_call_impl"}
_HOOKS = ("_forward_pre_hooks", "_forward_hooks")


Inputs = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and keyword arguments of a call."""


class SeenInputs:
    """Keeps what a model is first called with, and what in the first call after `again`; else the model is as it was.

    The first alone may be a batch that shows nothing: zeros, or a warming up. Under `torch.compile` nothing is seen:
    there the hook would become part of the graph.

    Attributes:
        calls: what was kept, at most two.
    """

    def __init__(self, model: nn.Module) -> None:
        calls: list[Inputs] = []
        waiting: list[Any] = []

        # A function and no method: a copy of the model, for an average say, must not take this task along.
        def note(_: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            if not torch.compiler.is_compiling() and waiting:
                waiting.pop().remove()
                calls[1:] = [_copied((arguments, keywords), None)]

        self.calls, self._waiting, self._model, self._note = calls, waiting, model, note
        self.again()

    def again(self) -> None:
        """Keeps the next call, too, in the place of the last but the first."""
        if not self._waiting:
            self._waiting.append(self._model.register_forward_pre_hook(self._note, with_kwargs=True))

    def stop(self) -> None:
        """Waits no longer for a call."""
        while self._waiting:
            self._waiting.pop().remove()

    def let_go(self) -> None:
        """Forgets what was seen, too."""
        self.stop()
        self.calls.clear()


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
    suspects = _differences(trained, loaded)
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
    suspects = _differences(trained, loaded)
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
    arguments, keywords = _copied(seen, device)  # a forward may change them in place
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
    kept = [(module, _attributes(module), dict(module._buffers)) for module in model.modules()]
    values = [(buffer, buffer.clone()) for _, _, buffers in kept for buffer in buffers.values() if buffer is not None]
    values += [(part, part.clone()) for _, own, _ in kept for part in own.values() if type(part) is Tensor]
    try:
        yield
    finally:
        for module, own, buffers in kept:
            for key in _attributes(module).keys() - own.keys():
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


def _differences(trained: nn.Module, loaded: nn.Module) -> list[str]:
    """What differs besides parameters and persistent buffers: attributes, modules, hooks, as module.attribute."""
    found = []
    ours, theirs = dict(trained.named_modules()), dict(loaded.named_modules())
    for path, module in ours.items():
        other = theirs.get(path)
        if other is None or type(other) is not type(module):
            found.append(f"{path or 'the model'} (a {type(module).__name__})")
            continue
        found += [_path(path, name) for name in _unlike_parts(_attributes(module), _attributes(other))]
        found += [_path(path, kind[1:]) for kind in _HOOKS if len(getattr(module, kind)) != len(getattr(other, kind))]
    return [*found, *_unlike_parts(live_tensors(trained), live_tensors(loaded))]


def _attributes(module: nn.Module) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if name not in _OF_EVERY_MODULE}


def _unlike_parts(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The keys that only one of them has, or whose values are unlike."""
    absent = object()
    return [key for key in {**one, **other} if _unlike(one.get(key, absent), other.get(key, absent))]


def _path(module: str, name: str) -> str:
    return f"{module}.{name}" if module else name


def _unlike(one: Any, other: Any) -> bool:
    """Whether two attributes differ in what can be told: tensors, numbers and texts, also in lists and dicts."""
    if type(one) is not type(other):
        return True
    if isinstance(one, Tensor):
        return not identical(one, other)
    if isinstance(one, Mapping):
        return bool(_unlike_parts(one, other))
    if isinstance(one, list | tuple):
        return len(one) != len(other) or any(map(_unlike, one, other))
    if isinstance(one, np.ndarray):
        return not np.array_equal(one, other)
    return isinstance(one, bool | int | float | complex | str | bytes | np.generic) and repr(one) != repr(other)


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


def _copied(value: Any, device: torch.device | None) -> Any:
    """`value` with every tensor in it detached and, with a device, copied there."""
    if isinstance(value, Tensor):
        return value.detach() if device is None else value.to(device, copy=True)
    if isinstance(value, Mapping) and type(value) is dict:
        return {key: _copied(part, device) for key, part in value.items()}
    if isinstance(value, list):
        return [_copied(part, device) for part in value]
    if isinstance(value, tuple):
        parts = [_copied(part, device) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"
