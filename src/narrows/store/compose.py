"""Putting a task's weights together from the tasks that claimed them. Tensors by name; no modules, no disk.

A kept weight has the value that the task itself claimed or else the latest task before it that did: later claims,
refinements, do not reach it, so an older task cannot change. A task of isolation "own" consists of its own
claims; tasks of isolation "none" all have the weights of the last of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from narrows.store.durable import DamagedFileError
from narrows.store.mask_file import Outline
from narrows.store.names import TASKS_DIR
from narrows.store.records import TaskRecord
from narrows.subnet import Composition, Held, Part, SubNetwork, TensorSpec, dense, digest, digest_kept
from narrows.subnet import resolved as together


class Reader(Protocol):
    """Where tasks are read from: a store, or one as it would be."""

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """The parameters that tasks share, in order."""

    def task_names(self) -> tuple[str, ...]:
        """The tasks' names, in the order they were learned."""

    def record(self, name: str) -> TaskRecord:
        """What is written down of a task."""

    def subnet(self, name: str) -> SubNetwork:
        """What others may reuse of a task."""

    def private_of(self, name: str) -> dict[str, Tensor]:
        """What a task keeps for itself."""

    def outline(self, name: str) -> Outline:
        """What a task claims and what it reuses, without values."""

    def snapshot(self) -> Held | None:
        """What the first tasks hold, gathered before; None where it must be gathered from the tasks."""


def composed(reader: Reader, *, anew: bool = False) -> Composition:
    """All tasks of a store, composed.

    Costs no more in a store of many tasks than of few, where a snapshot was kept; `anew` reads every task instead.
    """
    composition = Composition(reader.shared, None if anew else reader.snapshot())
    for name in reader.task_names()[len(composition.tasks) :]:
        isolation = reader.record(name).isolation
        composition.add(name, isolation, reader.subnet(name) if isolation == "shared" else None)
    return composition


def resolved(reader: Reader, name: str) -> SubNetwork:
    """The sub-network of a task with a value at all that it keeps. Costs what the task and its parents claim."""
    record = reader.record(name)
    if record.isolation == "none" and (last := last_overwriting(reader)) not in (None, name):
        values = dense(reader.subnet(last or name))
        return _of(reader.outline(name), values, reader.shared)
    parents = record.parents if record.isolation == "shared" else ()
    return together(reader.subnet(name), map(reader.subnet, parents))


def weights_of(reader: Reader, name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(shared, private) tensors of a task: shared weights as its network has them, 0 where it keeps none.

    Only what they consist of is read: damage to what other tasks keep for themselves does not matter.
    """
    return dense(resolved(reader, name)), reader.private_of(name)


def digest_of(record: TaskRecord, subnet: SubNetwork, private: Mapping[str, Tensor]) -> str:
    """The digest of a resolved sub-network and what the task keeps for itself, as the task's record has it."""
    return digest(dense(subnet), private) if record.version == 1 else digest_kept(subnet, private)


def proven(reader: Reader, name: str) -> tuple[SubNetwork, dict[str, Tensor]]:
    """`resolved` and what the task keeps for itself, held to the digest of its commit.

    Files of others, whose hashes fit, do not pass: DamagedFileError. Not compared for tasks of isolation "none" but the
    last of them, whose weights the others have by design.
    """
    record, subnet, private = reader.record(name), resolved(reader, name), reader.private_of(name)
    compared = record.isolation != "none" or name == last_overwriting(reader)
    if compared and digest_of(record, subnet, private) != record.weights_sha256:
        raise DamagedFileError(
            f"{TASKS_DIR}/{record.directory}",
            f"does not give the weights with which {name!r} was committed, though each file is what it should be",
            "restore the whole store from a backup: files of different stores were mixed",
        )
    return subnet, private


def last_overwriting(reader: Reader) -> str | None:
    """The last task of isolation "none", whose weights all such tasks have."""
    names = reversed(reader.task_names())
    return next((name for name in names if reader.record(name).isolation == "none"), None)


def _of(outline: Outline, values: dict[str, Tensor], specs: tuple[TensorSpec, ...]) -> SubNetwork:
    """The weights of `outline`, all claimed, at the values of a whole network."""
    parts = {}
    for name, (claimed, reused) in outline.items():
        kept = Part(claimed, claimed, reused).kept
        parts[name] = Part(kept, values[name].view(-1)[kept], reused[:0])
    return SubNetwork(specs, parts)
