"""What a task is to predict: plain values, saved with the task, and the way back to the user's units.

Knows no files; `fitting` decides what a target is, `encoding` turns values into tensors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from narrows.data.options import Kind
from narrows.data.spelling import Spelling
from narrows.errors import DataError


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Attributes:
        kind: "classification" (one of the classes), "regression" (numbers) or "multilabel" (any of the labels).
        names: classes, outputs or labels, in the order of the network's outputs.
        columns: where the target stands in a table or NPZ file.
        text: whether the labels are text where they stand, so that those of a CSV file are read as text.
        mean, std: of each output over the training data, in the user's units; () but for a regression. The network
            learns (value - mean) / std.
        why: how the kind was decided.
        spellings: how each column of text spells numbers, for a regression on such; () where none does.
        parted_by: what stands between the labels of one text; "[]" where they are written as a list.
    """

    kind: Kind
    names: tuple[str, ...]
    columns: tuple[str, ...]
    text: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    why: str
    spellings: tuple[Spelling | None, ...] = ()
    parted_by: str = "|"

    def __post_init__(self) -> None:
        if not self.names or len(set(self.names)) < len(self.names):
            raise DataError("target: names must be there, each once")
        if not self.columns:
            raise DataError("target: there is no column")
        if self.spellings and len(self.spellings) != len(self.columns):
            raise DataError(f"target: {len(self.spellings)} spellings for {len(self.columns)} columns")
        scales = len(self.names) if self.kind == "regression" else 0
        if (len(self.mean), len(self.std)) != (scales, scales) or not all(value > 0 for value in self.std):
            raise DataError(f"target: needs {scales} means and as many standard deviations above zero")

    @property
    def outputs(self) -> int:
        """Outputs that the network needs."""
        return len(self.names)

    def restore(self, values: Tensor) -> Tensor:
        """Standardised values (n, outputs) in the user's units, float64; those of another kind as they are.

        >>> height = Target("regression", ("cm",), ("cm",), False, (170.0,), (10.0,), "asked for")
        >>> height.restore(torch.tensor([[0.0], [1.5]])).tolist()
        [[170.0], [185.0]]
        """
        if self.kind != "regression":
            return values
        mean, std = (torch.tensor(part, dtype=torch.float64) for part in (self.mean, self.std))
        return values.detach().cpu().double() * std + mean

    def summary(self) -> str:
        """In plain words."""
        what = {"classification": "classes", "regression": "outputs", "multilabel": "labels"}[self.kind]
        more = f", and {self.outputs - 8} more" if self.outputs > 8 else ""
        return f"{self.kind}, {self.outputs} {what} ({', '.join(self.names[:8])}{more}): {self.why}"
