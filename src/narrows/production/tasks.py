"""What is written down of a task beside its weights, and read back: schema, data, figures, the answer to the probe.

Plain JSON values in the record's `data` and `metrics`.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from typing import Any

import torch
from torch import nn

from narrows.data import DataOptions, HookInputs, Schema
from narrows.errors import DataError, ModelMismatchError
from narrows.production import probe
from narrows.production.learning_data import LearningData
from narrows.store.durable import DamagedFileError
from narrows.tasks import TaskStore
from narrows.training import evaluating

SCHEMA, PROBE = "schema", "probe"


def about(network: nn.Module, material: LearningData, options: DataOptions, training: dict[str, Any]) -> dict[str, Any]:
    """What stands in the record's `data`.

    Args:
        network: as the store will give it.
        training: epochs, learning rate and the like.
    """
    valid = material.valid
    return {
        SCHEMA: material.schema.to_json(),
        "source": material.source,
        "options": options.to_json(),
        "fingerprint": material.train.fingerprint,
        "examples": len(material.train),
        "validation_examples": 0 if valid is None else len(valid),
        "skipped": len(material.train.skipped),
        **training,
        "batch_size": material.batch_size,
        "seed": material.seed,
        "augment": material.augment,
        "narrows": version("narrows"),
        "torch": str(torch.__version__),
        PROBE: ask(network, material),
    }


def ask(network: nn.Module, material: LearningData) -> dict[str, Any] | None:
    """What the network, on the CPU, answers to its task's probe; None where it fails on it. ModelMismatchError."""
    x, inputs = material.train.x, material.schema.inputs
    # Other inputs reach the network scaled: what was whole is so no longer.
    as_they_are = isinstance(inputs, HookInputs) and inputs.dtype == "float32"
    try:
        with evaluating(network):
            return probe.answer(network, inputs.shape, probe.ranges_of(x) if as_they_are else None)
    except ModelMismatchError:
        raise
    except Exception:  # whatever the user's forward may raise on inputs that are made up
        return None


def tried(network: nn.Module, material: LearningData) -> LearningData:
    """The material, with a note where the network, not trained yet, fails on the probe. ModelMismatchError."""
    if ask(network, material) is not None:
        return material
    note = (
        "the network takes these data and fails on made-up inputs of their shape, so no answer is recorded, and verify "
        "--deep compares weights only"
    )
    return replace(material, train=replace(material.train, notes=(*material.train.notes, note)))


def schema_of(store: TaskStore, name: str) -> Schema:
    """What the task `name` takes and predicts.

    Raises:
        UnknownNameError: there is no such task; suggests the nearest name.
        DataError: it was committed without a schema, by a program of the user's own.
        DamagedStoreError: its record is damaged, or holds what is no schema.
    """
    record = store.directory.steadily(lambda reader: reader.record(name))
    if SCHEMA not in record.data:
        raise DataError(
            f"Task {name!r} says nothing of its data: it was not learned by narrows.production. Load it in Python, "
            f"store.load({name!r}), and give it inputs of your own making."
        )
    try:
        return Schema.from_json(record.data[SCHEMA])
    except DataError as error:
        raise DamagedFileError(f"tasks/{record.directory}/task.json", f"is not valid: {error}") from error
