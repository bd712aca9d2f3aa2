"""What a task's inputs are, for pictures: images, a table's columns, or an array.

From `task.json` `data.schema`, or from `result.json` `stream_description.input_shape`. Knows no weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from narrows.data import ImageInputs, Schema, TableInputs
from narrows.production.tasks import SCHEMA
from narrows.store import TaskRecord


@dataclass(frozen=True)
class TaskInputs:
    """One example as the network sees it.

    Attributes:
        shape: without the batch; images are (channels, height, width).
        kind: "images" (1 or 3 channels), "table" or "array".
        names: of a table's inputs, one for each; () otherwise.
    """

    shape: tuple[int, ...]
    kind: Literal["images", "table", "array"] = "array"
    names: tuple[str, ...] = ()

    @classmethod
    def of_shape(cls, shape: tuple[int, ...]) -> TaskInputs:
        """Inputs of which only the shape is known: images where it could be theirs.

        >>> TaskInputs.of_shape((3, 32, 32)).kind, TaskInputs.of_shape((5, 8)).kind
        ('images', 'array')
        """
        return cls(shape, "images" if len(shape) == 3 and shape[0] in (1, 3) else "array")

    @classmethod
    def of_schema(cls, schema: Schema) -> TaskInputs:
        """Inputs that were read by a schema; a category's inputs are named as "colour = red"."""
        inputs = schema.inputs
        if isinstance(inputs, TableInputs):
            categories = (f"{column.name} = {value}" for column in inputs.categories for value in column.values)
            names = (*(column.name for column in inputs.numbers), *categories)
            padding = tuple(f"(zero {count + 1})" for count in range(inputs.width - inputs.encoded))
            return cls(inputs.shape, "table", (*names, *padding))
        if isinstance(inputs, ImageInputs):
            return cls(inputs.shape, "images")
        return cls.of_shape(inputs.shape)


def inputs_of(record: TaskRecord, description: Mapping[str, Any] | None = None) -> TaskInputs | None:
    """Inputs of a stored task: by its schema, or by the `stream_description` of the run that made it.

    None where neither says. DataError where the record holds a schema that is none.
    """
    if SCHEMA in record.data:
        return TaskInputs.of_schema(Schema.from_json(record.data[SCHEMA]))
    shape = (description or {}).get("input_shape")
    if isinstance(shape, list) and shape and all(type(side) is int and side > 0 for side in shape):
        return TaskInputs.of_shape(tuple(shape))
    return None
