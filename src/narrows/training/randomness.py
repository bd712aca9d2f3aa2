"""What chance depends on, written down: the global generators, and the order that batches come in."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from narrows.errors import DataError

State = dict[str, Any]


def generators(device: torch.device) -> State:
    """The global generators of PyTorch (those of all GPUs in use, too), Python and NumPy, as a tree."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    state: State = {
        "torch": torch.get_rng_state(),
        "python": {"version": version, "words": torch.tensor(words), "gauss": gauss},
        "numpy": {
            "name": name,
            "keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "cached": float(cached),
        },
    }
    if device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state | {name: module.get_rng_state_all() for name, module in _in_use()}


def set_generators(state: State, device: torch.device) -> None:
    """Puts the global generators where they were."""
    torch.set_rng_state(state["torch"].cpu())
    python, numpy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    keys = numpy["keys"].cpu().numpy().astype(np.uint32)
    np.random.set_state((numpy["name"], keys, numpy["position"], numpy["has_gauss"], numpy["cached"]))
    if device.type == "mps" and "mps" in state:
        torch.mps.set_rng_state(state["mps"].cpu())
    for name, module in _in_use():
        kept = state.get(name, [])
        if isinstance(kept, torch.Tensor):  # as it was written before there were several: that of the model's device
            module.set_rng_state(kept.cpu(), device)
            continue
        for index, one in enumerate(kept[: module.device_count()]):
            module.set_rng_state(one.cpu(), index)


def _in_use() -> Iterator[tuple[str, Any]]:
    """Kinds of which there may be several devices, in use in this process: the name, and PyTorch's module."""
    for name in ("cuda", "xpu"):
        module = getattr(torch, name)
        if module.is_available() and module.is_initialized():
            yield name, module


@contextmanager
def undisturbed_generators(device: torch.device) -> Iterator[None]:
    """Afterwards the global generators are where they were."""
    before = generators(device)
    try:
        yield
    finally:
        set_generators(before, device)


def order_of(batches: Any, device: torch.device) -> State:
    """What fixes the order of the pass over `batches` that begins next.

    That is their own count of epochs (an `epoch` attribute), the generators of a `DataLoader` and its samplers,
    and the global ones.
    """
    own = [generator.get_state() for generator in _own_generators(batches)]
    epoch = getattr(batches, "epoch", None)
    return {
        "epoch": epoch if type(epoch) is int else None,
        "own": own,
        "global": generators(device),
    }


def set_order(batches: Any, order: State, device: torch.device) -> None:
    """Makes the next pass over `batches` come in that order.

    Raises:
        DataError: these are batches of another kind.
    """
    own = _own_generators(batches)
    counts = type(getattr(batches, "epoch", None)) is int
    if len(own) != len(order["own"]) or counts != (order["epoch"] is not None):
        raise DataError(
            "The batches are of another kind than those that training began with: their order is drawn otherwise. Go "
            "on with batches made alike, or begin the task anew without the checkpoint."
        )
    if counts:
        batches.epoch = order["epoch"]
    for generator, state in zip(own, order["own"], strict=True):
        generator.set_state(state.cpu())
    set_generators(order["global"], device)


def _own_generators(batches: Any) -> list[torch.Generator]:
    found: list[torch.Generator] = []
    for place in _places(batches):
        generator = getattr(place, "generator", None)
        if isinstance(generator, torch.Generator) and not any(generator is known for known in found):
            found.append(generator)
    return found


def _places(batches: Any) -> Iterator[Any]:
    """The batches and the samplers behind them."""
    yield batches
    for name in ("sampler", "batch_sampler"):
        sampler = getattr(batches, name, None)
        if sampler is not None:
            yield from (sampler, getattr(sampler, "sampler", None))
