"""The inputs of a source, read but not yet scaled: what a schema is fitted to, and what it is applied to.

Knows no targets but their columns' names, which are no inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from narrows.data.arrays import fit_array, read_array
from narrows.data.choosing import choose
from narrows.data.column import Values
from narrows.data.decoding import Pixels
from narrows.data.faults import Faults
from narrows.data.images import fit_images, fit_shape, images_in, read_images
from narrows.data.inputs import ArrayInputs, HookInputs, ImageInputs, Inputs, TableInputs
from narrows.data.options import DataOptions
from narrows.data.sources import Raw
from narrows.data.tables import Blocks, apply_table, blocks_of, fit_table
from narrows.errors import DataError, nearest

Rows = npt.NDArray[np.int64]


class Prepared(Protocol):
    """Inputs of all rows. In rows with a fault stands something of no meaning."""

    def fit(self, rows: Rows, faults: Faults) -> Inputs:
        """What these rows are like."""

    def tensor(self, inputs: Inputs, faults: Faults) -> Tensor:
        """All rows as `inputs` says."""


@dataclass(frozen=True, eq=False)
class PreparedImages:
    """uint8 (n, C, H, W), in their final size."""

    x: Pixels

    def fit(self, rows: Rows, faults: Faults) -> Inputs:  # noqa: ARG002
        """Shape, mean and standard deviation."""
        return fit_images(self.x if len(rows) == len(self.x) else self.x[rows])

    def tensor(self, inputs: Inputs, faults: Faults) -> Tensor:  # noqa: ARG002
        """As they are; batches are normalised when they are made."""
        return torch.from_numpy(np.ascontiguousarray(self.x))


@dataclass(frozen=True, eq=False)
class PreparedTable:
    """Columns of numbers and categories; `ids` and `without` are as in `TableInputs`."""

    blocks: Blocks
    ids: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def fit(self, rows: Rows, faults: Faults) -> Inputs:
        """Medians, means, categories."""
        return replace(fit_table(self.blocks.take(rows), faults), ids=self.ids, without=self.without)

    def tensor(self, inputs: Inputs, faults: Faults) -> Tensor:
        """float32 (n, width)."""
        assert isinstance(inputs, TableInputs)
        return torch.from_numpy(apply_table(inputs, self.blocks, faults))


@dataclass(frozen=True, eq=False)
class PreparedArray:
    """float32 (n, ...), or what a function gave, to be taken as it is."""

    x: Values
    as_is: bool = False

    def fit(self, rows: Rows, faults: Faults) -> Inputs:  # noqa: ARG002
        """Shape and scale."""
        if self.as_is:
            return HookInputs(tuple(self.x.shape[1:]), "uint8" if self.x.dtype == np.uint8 else "float32")
        return fit_array(self.x if len(rows) == len(self.x) else self.x[rows])

    def tensor(self, inputs: Inputs, faults: Faults) -> Tensor:  # noqa: ARG002
        """As they are; batches are scaled when they are made."""
        return torch.from_numpy(np.ascontiguousarray(self.x))


def prepare_new(raw: Raw, options: DataOptions, targets: Sequence[str], faults: Faults) -> Prepared:
    """The inputs of training data.

    Columns that are not there or of no use are refused in `faults`. DataError: images of different sizes, an array of
    no use.
    """
    if raw.is_table:
        return _new_table(raw, options, targets, faults)
    if options.without or options.id:
        faults.refuse("it is no table: without and id name columns of one")
    unused = [name for name in raw.names if name not in targets]
    if unused:
        faults.note(f"not used: {', '.join(unused[:10])}{', ...' if len(unused) > 10 else ''}")
    if raw.as_is:
        return _as_is(raw, faults)
    found = None if raw.array is None else images_in(raw.array)
    if found is not None or raw.image is not None:
        return PreparedImages(read_images(raw, found, fit_shape(raw, found, options, faults), faults))
    assert raw.array is not None
    return PreparedArray(read_array(raw.array, faults))


def require_kind(raw: Raw, inputs: Inputs) -> None:
    """Raises DataError where the data are of another kind than those that a task was learned from."""
    match inputs:
        case TableInputs():
            fits = raw.is_table
        case HookInputs():
            fits = raw.as_is
        case ImageInputs() | ArrayInputs():
            fits = raw.array is not None or (raw.image is not None and isinstance(inputs, ImageInputs))
    if not fits:
        raise _another_kind(raw, inputs)


def prepare_known(raw: Raw, inputs: Inputs, targets: Sequence[str], faults: Faults) -> Prepared:
    """The inputs of data for a task that has been learned from `inputs`.

    Columns that are missing are refused in `faults`. DataError: data of another kind or shape.
    """
    match inputs:
        case TableInputs() if raw.is_table:
            return _known_table(raw, inputs, targets, faults)
        case HookInputs() if raw.as_is:
            return PreparedArray(_require_shape(_as_is(raw, faults).x, inputs, raw.where), as_is=True)
        case ArrayInputs() if raw.array is not None:
            return PreparedArray(_require_shape(read_array(raw.array, faults), inputs, raw.where))
        case ImageInputs():
            found = None if raw.array is None else images_in(raw.array)
            if found is not None or raw.image is not None:
                return PreparedImages(read_images(raw, found, (inputs.channels, inputs.height, inputs.width), faults))
    raise _another_kind(raw, inputs)


def _another_kind(raw: Raw, inputs: Inputs) -> DataError:
    held = "columns" if raw.is_table else "images" if raw.image is not None else "an array"
    if raw.as_is:
        held = "what a function gave"
    return DataError(f"{raw.where} holds {held}; the task was learned from {inputs.summary()}")


def _new_table(raw: Raw, options: DataOptions, targets: Sequence[str], faults: Faults) -> PreparedTable:
    apart = {*targets, *options.without, *options.id}
    names = [name for name in options.features or raw.names if options.features or name not in apart]
    for name in names:
        if name in apart:
            what = "target" if name in targets else "column of without or id"
            faults.refuse(f"the {what} {name!r} is among the features")
    for what in ("without", "id"):
        for name in getattr(options, what):
            if name not in raw.known:
                faults.refuse(f"{what} names {name!r}, which is no column; {nearest(name, raw.names)}")
            elif name in targets:
                faults.refuse(f"{what} names the target {name!r}")
    for name in options.categorical:
        if name not in names:
            faults.refuse(f"categorical names {name!r}, which is no feature; {nearest(name, names)}")
    chosen = choose(raw, names, options, faults)
    if not (chosen.numbers or chosen.categories):
        faults.refuse(f"there is no column to predict {', '.join(targets)} from{_because(chosen.without)}")
    blocks = blocks_of(chosen.numbers, chosen.categories, len(raw), faults)
    return PreparedTable(blocks, options.id, (*options.without, *chosen.without))


def _because(left_out: Sequence[str]) -> str:
    shown = ", ".join(map(repr, left_out[:20])) + (", ..." if len(left_out) > 20 else "")
    return f": {shown} cannot be learned from (name features to do so)" if left_out else ""


def _known_table(raw: Raw, inputs: TableInputs, targets: Sequence[str], faults: Faults) -> PreparedTable:
    known = frozenset(map(raw.spelled, (*inputs.names, *inputs.ids, *inputs.without, *targets)))
    missing = [name for name in inputs.names if raw.spelled(name) not in raw.known]
    if missing:
        other = [name for name in raw.names if name not in known]
        faults.refuse(
            f"{len(missing)} columns that the task was learned from are missing: "
            f"{', '.join(map(repr, missing[:5]))}{', ...' if len(missing) > 5 else ''}. For {missing[0]!r}: "
            f"{nearest(missing[0], other)}"
        )
        faults.settle()
    extra = [name for name in raw.names if name not in known]
    if extra:
        faults.note(f"columns that the task does not use: {', '.join(extra[:10])}{', ...' if len(extra) > 10 else ''}")
    numbers = [raw.column(column.name).spelled(column.spelling) for column in inputs.numbers]
    categories = [raw.column(column.name) for column in inputs.categories]
    return PreparedTable(blocks_of(numbers, categories, len(raw), faults))


def _as_is(raw: Raw, faults: Faults) -> PreparedArray:
    assert raw.array is not None
    return PreparedArray(
        raw.array if raw.array.dtype == np.uint8 and raw.array.ndim > 1 else read_array(raw.array, faults), True
    )


def _require_shape(x: Values, inputs: ArrayInputs | HookInputs, where: str) -> Values:
    wanted = inputs.dtype if isinstance(inputs, HookInputs) else "float32"
    if x.shape[1:] != inputs.shape or str(x.dtype) != wanted:
        raise DataError(
            f"{where}: an example is {x.dtype} {tuple(x.shape[1:])}; the task was learned from {wanted} {inputs.shape}"
        )
    return x
