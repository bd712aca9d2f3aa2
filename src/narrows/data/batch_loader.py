"""Batches for a network out of examples and the schema they were read with."""

from __future__ import annotations

import torch

from narrows.data.batches import Batches
from narrows.data.examples import Examples
from narrows.data.inputs import ArrayInputs, ImageInputs
from narrows.data.schema import Schema
from narrows.errors import DataError


def make_batches(
    schema: Schema,
    examples: Examples,
    batch_size: int,
    *,
    shuffle: bool,
    seed: int = 0,
    augment: bool = False,
    device: torch.device | str = "cpu",
) -> Batches:
    """Normalised float32 inputs with their targets, batch by batch, anew for each epoch.

    Images and arrays become (x - mean) / std by the schema; tables are scaled already. Targets are as in
    `Examples.y`; of examples without targets, the number of each, int64 (n,).

    Args:
        shuffle: for training; the order is fixed by the seed and the epoch's number.
        augment: crop and mirror images at random (training only).

    Raises:
        DataError: examples of another shape than the schema's, or augmentation of what is no image.
        ConfigError: batch_size below 1.

    >>> from narrows.data import ArrayInputs, Target
    >>> schema = Schema(
    ...     ArrayInputs((2,), (1.0, 2.0), (1.0, 2.0)),
    ...     Target("classification", ("no", "yes"), ("y",), False, (), (), "as asked for"),
    ... )
    >>> x, y = torch.tensor([[1.0, 2.0], [2.0, 4.0]]), torch.tensor([0, 1])
    >>> for inputs, targets in make_batches(schema, Examples(x, y, ("0", "1")), 2, shuffle=False):
    ...     print(inputs.tolist(), targets.tolist())
    [[0.0, 0.0], [1.0, 1.0]] [0, 1]
    """
    if examples.shape != schema.shape:
        raise DataError(f"examples have the shape {examples.shape}, the schema says {schema.shape}")
    inputs = schema.inputs
    mean, std = (inputs.mean, inputs.std) if isinstance(inputs, ImageInputs | ArrayInputs) else (0.0, 1.0)
    return Batches(
        examples.x,
        torch.arange(len(examples)) if examples.y is None else examples.y,
        batch_size,
        shuffle=shuffle,
        generator_seed=seed,
        augment=augment,
        mean=mean,
        std=std,
        device=device,
    )
