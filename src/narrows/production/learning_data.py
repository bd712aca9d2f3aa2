"""What a task is learned from: a user's data, read and brought into the form that the network takes.

Knows files, schemas and the network's first layer; trains nothing.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from narrows.data import (
    Batches,
    DataOptions,
    Examples,
    ImageInputs,
    Schema,
    in_both,
    make_batches,
    read_training,
    read_with,
    split,
)
from narrows.data.names import readable
from narrows.errors import ConfigError
from narrows.production.defaults import batch_size_for, epochs_for
from narrows.production.network import fit_width
from narrows.training import Training

Source = str | os.PathLike[str]
Scale = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each channel, of values from 0 to 1."""

MEASURING = 256
"""Examples a batch where nothing is trained."""


@dataclass(frozen=True, eq=False)
class LearningData:
    """Examples to learn from and to measure on, under one schema.

    Attributes:
        source: where the examples were read.
        schema: fitted to `train`.
        train, valid: the examples; `valid` is None where there are none.
        epochs: passes over them.
        batch_size: examples a step.
        seed: of their order.
        augment: whether images are cropped and mirrored at random.
        accumulate: batches that a step averages over.
    """

    source: str
    schema: Schema
    train: Examples
    valid: Examples | None
    epochs: int
    batch_size: int
    seed: int
    augment: bool
    accumulate: int = 1

    @property
    def steps(self) -> int:
        """Optimizer steps of all passes."""
        return self.epochs * math.ceil(math.ceil(len(self.train) / self.batch_size) / self.accumulate)

    def training(self, device: str = "cpu") -> Batches:
        """Shuffled, anew for each epoch."""
        return make_batches(
            self.schema,
            self.train,
            self.batch_size,
            shuffle=True,
            seed=self.seed,
            augment=self.augment,
            device=device,
        )

    def validation(self, device: str = "cpu") -> Batches | None:
        """In order; None where there is none."""
        return None if self.valid is None else in_order(self.schema, self.valid, device)

    def sample(self) -> Tensor:
        """The first two examples, as the network takes them."""
        inputs, _ = next(iter(make_batches(self.schema, self.train, 2, shuffle=False)))
        return inputs

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should be told of how the data were read."""
        valid = self.valid.notes if self.valid is not None else ()
        held = (f"validation: {note}" for note in valid if note not in self.train.notes)
        return (*self.train.notes, *held, *self._alone())

    def _alone(self) -> tuple[str, ...]:
        """See `Batches`: a single example makes no batch to train on."""
        count, size = len(self.train), self.batch_size
        if count <= size or count % size != 1:
            return ()
        return (f"{count} examples leave one over batches of {size}: each epoch does without one, another each time",)


def in_order(schema: Schema, examples: Examples, device: str = "cpu") -> Batches:
    """The examples as they stand, to be measured or predicted."""
    return make_batches(schema, examples, MEASURING, shuffle=False, device=device)


def read_material(
    network: nn.Module,
    data: Source,
    valid: Source | None,
    options: DataOptions,
    training: Training,
    *,
    epochs: int | None,
    seed: int,
    augment: bool = False,
    scale: Scale | None = None,
) -> LearningData:
    """Reads what a task is to be learned from.

    Args:
        network: what it is for: tables get zero columns up to its inputs.
        training: how to learn from it.
        epochs: passes; by default, as its `batch_size`, what `defaults` says for so many examples.
        valid: data to measure on. With `options.holdout` they are a part of `data` instead.
        scale: what images are scaled with, in the place of the mean and deviation of their own channels.

    Raises:
        ConfigError: both `valid` and a part to hold out.
        DataError, DatasetMissingError: the data cannot be learned from; the message says what, where and what to do.
    """
    if valid is not None and options.holdout:
        raise ConfigError("valid and holdout are two ways to say what is measured on: say one of them.")
    found, train = read_training(_text(data), options)
    schema = _scaled(fit_width(found, network), scale)
    train = _padded(train, schema)
    held: Examples | None = None
    if valid is not None:
        held = read_with(schema, _text(valid), options)
    elif options.holdout:
        train, held = split(train, options.holdout, options.seed)
    if held is not None:
        held = held.noting(in_both(train, held))
    size = training.batch_size or batch_size_for(len(train))
    passes = epochs or epochs_for(len(train), size)
    return LearningData(readable(str(data)), schema, train, held, passes, size, seed, augment, training.accumulate)


def read_for(schema: Schema, data: Source, options: DataOptions, *, targets: bool) -> Examples:
    """Examples for a task that has been learned; with their targets where those are wanted. DataError."""
    return read_with(schema, _text(data), options, targets="required" if targets else "ignored")


def _padded(examples: Examples, schema: Schema) -> Examples:
    """A table read before it was known how wide the network is, with its columns of zeros."""
    missing = schema.shape[0] - examples.shape[0]
    if len(schema.shape) > 1 or not missing:
        return examples
    return replace(examples, x=functional.pad(examples.x, (0, missing)))


def _scaled(schema: Schema, scale: Scale | None) -> Schema:
    if scale is None:
        return schema
    if not isinstance(schema.inputs, ImageInputs):
        raise ConfigError(f"mean and std are those of images; these data are {schema.inputs.summary()}.")
    mean, std = scale
    return replace(schema, inputs=replace(schema.inputs, mean=mean, std=std))


def _text(data: Source) -> str | Path:
    return data if isinstance(data, str) else Path(data)
