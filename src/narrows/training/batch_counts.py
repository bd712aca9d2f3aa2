"""How many batches and examples there are, without passing over them where they say so."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sized
from typing import Any

import torch

from narrows.training.randomness import order_of, set_order

Batches = Iterable[tuple[Any, Any]]


def sized(batches: Batches, steps_per_epoch: int | None, device: torch.device) -> tuple[Batches, int]:
    """The batches to iterate over, and how many an epoch has.

    Warns where they had to be passed over to be counted; their order, and all
    that is drawn afterwards, is then as if they had not been.
    """
    if steps_per_epoch is not None:
        return batches, steps_per_epoch
    if isinstance(batches, Iterator):
        batches = list(batches)  # a generator gives its batches once only
    try:
        if isinstance(batches, Sized):
            return batches, len(batches)
    except TypeError:  # a DataLoader over an IterableDataset has __len__ and cannot say
        pass
    order = order_of(batches, device)
    length = sum(1 for _ in batches)
    set_order(batches, order, device)
    warnings.warn(
        f"The batches do not say how many they are, and were passed over once to count them: {length}. Say "
        f"steps_per_epoch={length}, and they are not.",
        stacklevel=4,
    )
    return batches, length


def batch_size_of(batches: Any) -> int | None:
    """Of a `DataLoader`, say; None where it is not said."""
    size = getattr(batches, "batch_size", None)
    return None if size is None else int(size)


def examples_of(batches: Any) -> int | None:
    """In one pass over the batches; None where it is not said."""
    if hasattr(batches, "examples"):
        return int(batches.examples)
    dataset = getattr(batches, "dataset", None)
    return len(dataset) if isinstance(dataset, Sized) else None
