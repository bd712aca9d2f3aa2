"""From a user's data to tensors: fitting a schema to training data, and applying it to any later ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from narrows.data.choosing import note_spaces
from narrows.data.column import Column, Values
from narrows.data.duplicate_examples import in_two_classes
from narrows.data.encoding import encode, find_missing
from narrows.data.examples import Examples
from narrows.data.faults import Faults
from narrows.data.fitting import fit_target, spell_targets, target_columns
from narrows.data.inputs import Inputs, TableInputs
from narrows.data.labels import are_lists
from narrows.data.names import one_form
from narrows.data.options import DataOptions
from narrows.data.prepare import prepare_known, prepare_new, require_kind
from narrows.data.schema import Schema
from narrows.data.sources import Raw, Targets, open_data
from narrows.errors import DataError

_DEFAULTS = DataOptions()


def read_training(data: str | Path, options: DataOptions = _DEFAULTS) -> tuple[Schema, Examples]:
    """Reads training data and fits the schema that all later data of the task are read with.

    Means, medians, categories and classes are those of the rows that can be used. `options.holdout` is left to the
    caller: `split(examples, options.holdout, options.seed)`.

    Args:
        data: a folder of class folders of images, a .csv, .parquet or .npz file, a folder of parquet files, a data
            set of the Hugging Face hub ("hf:owner/name:split"), or a function
            ("hook:package.module:function"), which is run: pass on no such name that you have not chosen yourself.

    Raises:
        DatasetMissingError: there is nothing at `data`.
        DataError: it cannot be learned from; the message says what, where and what to do.

    >>> import tempfile, pathlib
    >>> table = pathlib.Path(tempfile.mkdtemp()) / "fruit.csv"
    >>> _ = table.write_text("weight,colour,label\\n150,red,apple\\n120,yellow,banana\\n170,green,apple\\n")
    >>> schema, examples = read_training(table)
    >>> examples.shape, examples.y.tolist()
    ((4,), [0, 1, 0])
    >>> schema.target.names
    ('apple', 'banana')
    """
    as_text = (*options.categorical, *options.id)
    raw = open_data(
        data,
        features=options.features,
        as_text=as_text,
        targets="required",
        training=True,
        decimal=options.decimal,
    )
    faults = Faults(raw.where, raw.ids, options.bad, raw.broken, raw.notes)
    chosen = target_columns(raw, options)
    columns = _targets(raw, chosen, options, faults)
    several = options.kind == "multilabel" or options.parted_by is not None or any(map(are_lists, columns))
    find_missing(columns, several, faults)
    with_target = faults.good()
    prepared = prepare_new(raw, options, chosen, faults)
    # Rows to be left out count for nothing; those to be corrected should not make other faults.
    keep = faults.good() if options.bad == "skip" else with_target
    target = None
    if columns:
        with faults.refusing():
            target = fit_target([column.take(keep) for column in columns], options, faults, raw.why)
    y = None if target is None else encode(target, columns, faults)
    inputs = prepared.fit(faults.good(), faults)
    x = prepared.tensor(inputs, faults)
    examples = _examples(x, y, faults, _kept(raw, inputs, faults))
    assert target is not None  # or it was refused
    if target.kind == "classification":
        _require_each(columns[0].labels(), faults.good(), options.classes, raw.where)
        examples = examples.noting(in_two_classes(examples, target.names))
    return Schema(inputs, target), examples


def read_with(
    schema: Schema, data: str | Path, options: DataOptions = _DEFAULTS, *, targets: Targets = "required"
) -> Examples:
    """Reads data with the schema of a task that has been learned: the same columns, categories, classes and sizes.

    Of `options` only `bad` counts, and `features` where it names the array of an NPZ file or a column of images. The
    columns of the schema's `ids` are in `Examples.kept`, where they are there.

    Args:
        data: see `read_training`.
        targets: "required"; "optional", read where they are there; or "ignored", not looked at.

    Raises:
        DatasetMissingError: there is nothing at `data`.
        DataError: it does not fit the schema; the message says what, where and what to do.

    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "train.csv").write_text("size,y\\n1,a\\n3,b\\n")
    >>> _ = (folder / "new.csv").write_text("size\\n2\\n")
    >>> schema, _ = read_training(folder / "train.csv")
    >>> read_with(schema, folder / "new.csv", targets="ignored").x.tolist()
    [[0.0]]
    """
    inputs, target = schema.inputs, schema.target
    as_text = set(target.columns) if target.text else set()
    if isinstance(inputs, TableInputs):
        as_text.update(column.name for column in inputs.categories)
        as_text.update(column.name for column in inputs.numbers if column.spelling is not None)
        as_text.update(inputs.ids)
    features = inputs.names if isinstance(inputs, TableInputs) else options.features
    if isinstance(inputs, TableInputs) and str(data).lower().endswith(".npz"):
        raise DataError(f"{data} holds arrays; the task was learned from {inputs.summary()}")
    raw = open_data(data, features=features, as_text=set(map(one_form, as_text)), targets=targets, decimal=".")
    require_kind(raw, inputs)
    faults = Faults(raw.where, raw.ids, options.bad, raw.broken, raw.notes)
    there = all(raw.spelled(name) in raw.known for name in target.columns)
    columns: list[Column] = []
    if targets == "required" or (targets == "optional" and there):
        spellings = target.spellings or (None,) * len(target.columns)
        with faults.refusing():
            columns = [raw.column(n).spelled(how) for n, how in zip(target.columns, spellings, strict=True)]
    find_missing(columns, target.kind == "multilabel", faults)
    prepared = prepare_known(raw, inputs, target.columns, faults)
    y = None
    with faults.refusing():
        y = encode(target, columns, faults) if columns else None
    x = prepared.tensor(inputs, faults)
    return _examples(x, y, faults, _kept(raw, inputs, faults))


def _targets(raw: Raw, names: Sequence[str], options: DataOptions, faults: Faults) -> list[Column]:
    """The columns of a new task's target; [] where they are refused."""
    with faults.refusing():
        columns = spell_targets([raw.column(name) for name in names], raw, options, faults)
        for column in columns:
            note_spaces(column, faults)
        return columns
    return []


def _kept(raw: Raw, inputs: Inputs, faults: Faults) -> dict[str, tuple[str, ...]]:
    """The columns that are kept beside the predictions, as text."""
    kept = {}
    for name in inputs.ids if isinstance(inputs, TableInputs) else ():
        if raw.spelled(name) in raw.known:
            kept[name] = tuple(label or "" for label in raw.column(name).labels())
        else:
            faults.note(f"there is no column {name!r} to keep beside the predictions")
    return kept


def _examples(x: Tensor, y: Tensor | None, faults: Faults, kept: dict[str, tuple[str, ...]]) -> Examples:
    """The rows that can be used."""
    keep = faults.settle()
    read = Examples(x, y, tuple(faults.ids), kept=kept)
    if len(keep) < len(read):
        read = read.take(torch.from_numpy(keep))
    return replace(read, skipped=faults.skipped, notes=faults.all_notes())


def _require_each(labels: Values, kept: npt.NDArray[np.int64], classes: tuple[str, ...] | None, where: str) -> None:
    """DataError where leaving rows out has left a class without any example: the task would not know it."""
    lost = set(labels.tolist()) - set(labels[kept].tolist()) - {None}
    if classes is not None:
        lost &= set(classes)
    if lost:
        raise DataError(
            f"{where}: all examples of the class {min(lost)!r} had to be left out. Correct some of them, or remove the "
            "class"
        )
