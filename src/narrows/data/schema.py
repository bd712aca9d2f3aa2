"""The schema of a task's data: what was fitted on the training data and is applied to all that come later.

Plain values; saved as JSON with the task. Knows no files and no stores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from narrows.data.inputs import Inputs, TableInputs
from narrows.data.target import Target
from narrows.errors import DataError
from narrows.json_values import from_plain, to_plain

VERSION = 1


@dataclass(frozen=True)
class Schema:
    """Inputs and target of a task.

    `inputs` is an `ImageInputs`, `TableInputs`, `ArrayInputs` or `HookInputs`.

    >>> from narrows.data import ImageInputs, Target
    >>> schema = Schema(
    ...     ImageInputs(1, 28, 28, (0.5,), (0.25,)),
    ...     Target("classification", ("cat", "dog"), ("class",), True, (), (), "a folder for each class"),
    ... )
    >>> Schema.from_json(schema.to_json()) == schema
    True
    >>> schema.summary()
    'grey images of 28 x 28 pixels; classification, 2 classes (cat, dog): a folder for each class'
    """

    inputs: Inputs
    target: Target

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example, as the network sees it."""
        return self.inputs.shape

    def padded(self, width: int) -> Schema:
        """The same with zero columns up to `width` inputs, for a network with a given number of them.

        Raises:
            DataError: the table has more inputs, or it is no table.
        """
        if not isinstance(self.inputs, TableInputs):
            raise DataError(f"only tables can be padded with zero columns, not {self.inputs.summary()}")
        return replace(self, inputs=replace(self.inputs, padded_to=width))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; numbers keep every bit."""
        return {"version": VERSION, "inputs": to_plain(self.inputs), "target": to_plain(self.target)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Schema:
        """The schema that `to_json` gave.

        Raises:
            DataError: an unknown version, or an entry that is missing, unknown or not valid; the message names it.
        """
        if not isinstance(values, Mapping) or values.get("version") != VERSION:
            found = values.get("version") if isinstance(values, Mapping) else values
            raise DataError(f"schema.version should be {VERSION}, not {found!r}")
        return from_plain(cls, {key: value for key, value in values.items() if key != "version"}, "schema")

    def summary(self) -> str:
        """One plain line for people."""
        return f"{self.inputs.summary()}; {self.target.summary()}"
