"""Examples of a task with their targets, as a network takes them, to measure on.

Knows tensors; no store, file or network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from narrows.analysis.inputs import TaskInputs
from narrows.data.options import Kind
from narrows.errors import DataError

BATCH = 256


@dataclass(frozen=True, eq=False)
class Labelled:
    """Examples.

    Attributes:
        x: inputs, normalised: (n, ...).
        y: classes, int64 (n,); or float32 (n, k): numbers of a regression, or 0 and 1 for each label.
        kind: of the target: "classification", "regression" or "multilabel".
        names: of the classes, outputs or labels; () where they have none.
        inputs: what an example is.
        batch: examples a batch. Results are the same for every batch size but for rounding.
    """

    x: Tensor
    y: Tensor
    kind: Kind = "classification"
    names: tuple[str, ...] = ()
    inputs: TaskInputs = field(default_factory=lambda: TaskInputs(()))
    batch: int = BATCH

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or not len(self.x):
            raise DataError(
                f"{len(self.x)} inputs and {len(self.y)} targets: as many as each other are needed, above 0"
            )
        if (self.kind == "classification") != (self.y.dim() == 1 and self.y.dtype == torch.int64):
            raise DataError(f"targets {self.y.dtype} {tuple(self.y.shape)} are none of a {self.kind}")
        if not self.inputs.shape:
            object.__setattr__(self, "inputs", TaskInputs.of_shape(tuple(self.x.shape[1:])))

    def __len__(self) -> int:
        return len(self.x)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """In order."""
        for start in range(0, len(self), self.batch):
            yield self.x[start : start + self.batch], self.y[start : start + self.batch]

    def take(self, rows: Tensor) -> Labelled:
        """The examples of these rows, int64."""
        return replace(self, x=self.x[rows], y=self.y[rows])

    def sample(self, count: int, seed: int) -> Labelled:
        """So many examples, drawn by the seed, in the order they were in; all where there are no more."""
        rows = sample_rows(len(self), count, seed)
        return self if len(rows) == len(self) else self.take(rows)

    def halves(self, seed: int) -> tuple[Labelled, Labelled]:
        """Two parts of (almost) one size, drawn by the seed; of each class, half in each."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        if self.kind == "classification":
            order = order[self.y[order].argsort(stable=True)]
        return self.take(order[::2].sort().values), self.take(order[1::2].sort().values)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of inputs, targets and what they are, in hex."""
        total = hashlib.sha256(repr((self.kind, self.names, self.inputs)).encode())
        for tensor in (self.x, self.y):
            total.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
            total.update(tensor.detach().cpu().contiguous().numpy().data)
        return total.hexdigest()


def sample_rows(length: int, count: int, seed: int) -> Tensor:
    """Numbers of `count` of `length` rows, int64, in order, drawn by the seed.

    >>> sample_rows(3, 5, seed=0).tolist()
    [0, 1, 2]
    """
    if length <= count:
        return torch.arange(length)
    return torch.randperm(length, generator=torch.Generator().manual_seed(seed))[:count].sort().values
