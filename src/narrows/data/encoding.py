"""Target columns to tensors, as a `Target` says. Knows no inputs and decides nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from narrows.data.column import Column, Mask, any_in_row
from narrows.data.faults import Faults
from narrows.data.fitting import expanded
from narrows.data.labels import label_sets
from narrows.data.names import one_form
from narrows.data.target import Target
from narrows.errors import DataError


def find_missing(columns: Sequence[Column], multilabel_text: bool, faults: Faults) -> None:
    """Rows whose target is missing or infinite are faults. Text that lists labels may be empty: no label holds."""
    for column in columns:
        if not (multilabel_text and column.kind == "text"):
            faults.add(column.missing, f"the target {column.name!r} is missing")
        if column.kind == "float":
            infinite = any_in_row(np.isinf(column.values))
            faults.add(infinite, f"the target {column.name!r} is infinite")


def encode(target: Target, columns: Sequence[Column], faults: Faults) -> Tensor:
    """int64 (n,) classes, or float32 (n, outputs): standardised numbers, or 0 and 1 for labels.

    Rows whose target cannot be encoded are faults; what stands in them is of no meaning.
    DataError: other columns than those learned from.
    """
    if target.kind == "classification":
        return _encode_classes(target, columns[0], faults)
    if target.kind == "multilabel" and len(columns) == 1 and columns[0].kind in ("lists", "text"):
        return _encode_sets(target, columns[0], faults)
    if expanded(columns) != target.names:
        raise DataError(
            f"{faults.where}: the targets are {', '.join(expanded(columns))}; the task was learned with "
            f"{', '.join(target.names)}"
        )
    return _encode_numbers(target, columns, faults)


def _encode_classes(target: Target, column: Column, faults: Faults) -> Tensor:
    number = _numbers(target)
    labels = column.labels().tolist()
    y = np.array([number.get(label, -1) for label in labels], dtype=np.int64)

    def reason(row: int) -> str:
        if labels[row] is None:
            return f"the target {column.name!r} is missing, or a number that has no name"
        known = ", ".join(target.names[:8]) + (", ..." if target.outputs > 8 else "")
        return f"the label {labels[row]!r} is none of the classes ({known})"

    faults.add(y < 0, reason)
    return torch.from_numpy(y)


def _encode_sets(target: Target, column: Column, faults: Faults) -> Tensor:
    number = _numbers(target)
    y = torch.zeros(len(column), target.outputs)
    for row, labels in enumerate(label_sets(column, target.parted_by)):
        for label in labels:
            if label in number:
                y[row, number[label]] = 1.0
            else:
                faults.add([row], f"the label {label!r} is none of the labels ({', '.join(target.names[:8])})")
    return y


def _numbers(target: Target) -> dict[str, int]:
    """The output of each name; those of a task from before names had one form are known by it, too."""
    return {form(name): i for form in (one_form, str) for i, name in enumerate(target.names)}


def _encode_numbers(target: Target, columns: Sequence[Column], faults: Faults) -> Tensor:
    parts = []
    for column in columns:
        numbers, wrong = column.numbers()
        _add_wrong(column, wrong, faults)
        parts.append(numbers.reshape(len(numbers), -1))
    block = np.concatenate(parts, axis=1)
    if target.kind == "multilabel":
        faults.add(any_in_row(~np.isin(block, (0, 1))), "a label is neither 0 nor 1")
        return torch.from_numpy(block.astype(np.float32))
    with np.errstate(over="ignore", invalid="ignore"):
        y = ((block - np.array(target.mean)) / np.array(target.std)).astype(np.float32)
    faults.add(any_in_row(~np.isfinite(y)), "the target is missing, infinite or too large")
    return torch.from_numpy(y)


def _add_wrong(column: Column, wrong: Mask, faults: Faults) -> None:
    faults.add(wrong, lambda row: f"the target {column.name!r} is {column.values[row]!r}, which is not a number")
