"""What a task says of some examples, in its own names and units, and as a table on disk.

Knows no store and no model. Writing needs pyarrow.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from narrows.data import Skipped, Target
from narrows.data.extras import require
from narrows.errors import ConfigError, DataError
from narrows.production import spreadsheet
from narrows.store import outside

SEPARATOR = "|"
"""Between the labels of one example in a table."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """A row for each example.

    Attributes:
        task: the task that was asked.
        target: what it predicts: its kind, and the names of its outputs.
        ids: of the examples: a file's path, or a row.
        outputs: the network's, float32 (n, outputs).
        skipped: examples that were left out.
        notes: what people should be told of how the data were read.
        kept: the columns of the data that say which row is which.
    """

    task: str
    target: Target
    ids: tuple[str, ...]
    outputs: Tensor
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    kept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def probabilities(self) -> Tensor:
        """float64 (n, outputs): of the classes, summing to 1; of each label by itself. ConfigError for a regression."""
        if self.target.kind == "regression":
            raise ConfigError(f"the task {self.task!r} predicts numbers, which have no probabilities: see values")
        outputs = self.outputs.double()
        return outputs.softmax(1) if self.target.kind == "classification" else outputs.sigmoid()

    @property
    def values(self) -> Tensor:
        """float64 (n, outputs), in the units of the data it was learned on. ConfigError but for a regression."""
        if self.target.kind != "regression":
            raise ConfigError(f"the task {self.task!r} predicts {self.target.kind}: see labels and probabilities")
        return self.target.restore(self.outputs)

    @property
    def labels(self) -> list[Any]:
        """For each example its class, or the list of its labels (above one half). ConfigError for a regression."""
        names, probabilities = self.target.names, self.probabilities
        if self.target.kind == "classification":
            return [names[index] for index in probabilities.argmax(1).tolist()]
        return [[name for name, holds in zip(names, row, strict=True) if holds] for row in (self.outputs > 0).tolist()]

    def columns(self) -> dict[str, list[Any]]:
        """The table: id, and the columns that are kept (one named id in its place); then prediction, probability (of
        the prediction) and p_NAME of every class; or labels and p_NAME of every label; or predicted_NAME of every
        number."""
        predicted = self._predicted()
        table: dict[str, list[Any]] = {"id": list(self.ids)}
        for name, values in self.kept.items():
            while name in predicted:
                name = f"id_{name}"  # nothing of either is lost
            table[name] = list(values)
        return table | predicted

    def _predicted(self) -> dict[str, list[Any]]:
        table: dict[str, list[Any]] = {}
        if self.target.kind == "regression":
            return table | self._each("predicted_", self.values)
        if self.target.kind == "classification":
            table |= {"prediction": self.labels, "probability": self.probabilities.amax(1).tolist()}
        else:
            table["labels"] = [SEPARATOR.join(labels) for labels in self.labels]
        return table | self._each("p_", self.probabilities)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Writes `columns` as .csv or .parquet, whole or not at all, in the place of what is there.

        A text that a spreadsheet would take for a formula has an apostrophe before it in a .csv file: `spreadsheet`.

        Raises:
            ConfigError: another suffix.
            DataError: the file cannot be written, or what is there is a link or no file.
        """
        file = Path(path)
        if file.suffix not in (".csv", ".parquet"):
            raise ConfigError(f"predictions are written as .csv or .parquet, not {file.name!r}")
        pyarrow = require("pyarrow")
        columns = self.columns()
        if file.suffix == ".csv":
            columns = {spreadsheet.cell(name): list(map(_cell, values)) for name, values in columns.items()}
        table, sink = pyarrow.table(columns), pyarrow.BufferOutputStream()
        if file.suffix == ".csv":
            require("pyarrow.csv").write_csv(table, sink)
        else:
            require("pyarrow.parquet").write_table(table, sink)
        try:
            outside.replace(file, sink.getvalue().to_pybytes())
        except OSError as error:
            raise DataError(f"{file} cannot be written: {error.strerror or error}") from error
        return file

    def _each(self, prefix: str, numbers: Tensor) -> dict[str, list[Any]]:
        return {f"{prefix}{name}": numbers[:, column].tolist() for column, name in enumerate(self.target.names)}


def _cell(value: Any) -> Any:
    return spreadsheet.cell(value) if isinstance(value, str) else value
