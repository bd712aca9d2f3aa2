"""Examples of a task as tensors, and their split into two parts. Knows no files and no schema."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from narrows.data.seeds import VALIDATION, generator
from narrows.errors import ConfigError, DataError


@dataclass(frozen=True)
class Skipped:
    """A row that was left out, by its id, and why."""

    id: str
    reason: str


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples in memory.

    Attributes:
        x: uint8 images (n, C, H, W), or float32 (n, ...).
        y: classes, int64 (n,); 0 or 1 for each label, or standardised numbers (`Target.restore` gives them back),
            float32 (n, k); or None where there are no targets.
        ids: of each example: its file's path in the folder, or its row, counted from 0.
        skipped: rows that were left out (`bad="skip"`).
        notes: what people should be told of how the data were read.
        kept: columns of a table that say which row is which, as text, by their names.

    >>> examples = Examples(torch.zeros(2, 3), torch.tensor([0, 1]), ("0", "1"))
    >>> len(examples), examples.shape, examples.fingerprint[:8]
    (2, (3,), '87f8ddf3')
    """

    x: Tensor
    y: Tensor | None
    ids: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    kept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.x) or (self.y is not None and len(self.y) != len(self.x)):
            targets = "no" if self.y is None else len(self.y)
            raise DataError(f"{len(self.x)} inputs, {targets} targets and {len(self.ids)} ids do not belong together")

    def __len__(self) -> int:
        return len(self.x)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of one example."""
        return tuple(self.x.shape[1:])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the inputs and targets, in hex: the same for the same data under the same schema."""
        total = hashlib.sha256()
        for tensor in (self.x, self.y):
            if tensor is not None:
                total.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
                total.update(tensor.detach().cpu().contiguous().numpy().data)
        return total.hexdigest()

    def take(self, rows: Tensor) -> Examples:
        """The examples of these rows, int64; what was skipped and noted stays with both parts of a split."""
        y = None if self.y is None else self.y[rows]
        numbers = rows.tolist()
        kept = {name: tuple(values[row] for row in numbers) for name, values in self.kept.items()}
        return replace(self, x=self.x[rows], y=y, ids=tuple(self.ids[row] for row in numbers), kept=kept)

    def noting(self, note: str) -> Examples:
        """The same with one more note, unless it is empty."""
        return replace(self, notes=(*self.notes, note)) if note else self

    def padded(self, width: int) -> Examples:
        """The same with zero columns up to `width`, as `Schema.padded` has them.

        Raises:
            DataError: the table has more inputs, or these are no rows of a table.
        """
        if self.x.dim() != 2:
            raise DataError(f"only tables can be padded with zero columns, not examples of the shape {self.shape}")
        if width < self.x.shape[1]:
            raise DataError(f"there are {self.x.shape[1]} inputs, which cannot be padded to {width}")
        return replace(self, x=torch.nn.functional.pad(self.x, (0, width - self.x.shape[1])))


def split(examples: Examples, fraction: float, seed: int) -> tuple[Examples, Examples]:
    """Two parts, (training, validation), each in the order it was in; the second is `fraction` of the examples.

    With classes, of each class that fraction, rounded, and never all of it. The same seed and examples give the same
    parts.

    Raises:
        ConfigError: a fraction that is not above 0 and below 1.
        DataError: so few examples that a part would be empty.

    >>> x = torch.arange(20.0)[:, None]
    >>> train, valid = split(Examples(x, torch.arange(20) % 2, tuple(map(str, range(20)))), 0.2, seed=0)
    >>> len(train), len(valid), valid.y.tolist().count(1)
    (16, 4, 2)
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"the part for validation is a fraction above 0 and below 1; got {fraction}")
    draw = generator(seed, VALIDATION)
    y = examples.y
    classes = torch.unique(y).tolist() if y is not None and y.dtype == torch.int64 else [None]
    held = torch.zeros(len(examples), dtype=torch.bool)
    for label in classes:
        rows = torch.arange(len(examples)) if label is None or y is None else (y == label).nonzero().squeeze(1)
        count = min(round(fraction * len(rows)), len(rows) - 1)
        held[rows[torch.randperm(len(rows), generator=draw)[:count]]] = True
    if not held.any():
        raise DataError(
            f"{len(examples)} examples are too few to hold out {fraction} of them (of each class) for validation; "
            "give validation data of its own, or a larger fraction"
        )
    train, valid = ((held == part).nonzero().squeeze(1) for part in (False, True))
    return examples.take(train), examples.take(valid)
