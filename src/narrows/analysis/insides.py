"""The first-layer filters and the dead units of tasks: what can be seen with the network and without data.

Builds the network as the store or the result says. Knows subjects and stores; no examples.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from narrows.analysis.connections import Connections, connections
from narrows.analysis.filters import MOST, Filters, first_filters
from narrows.analysis.inputs import inputs_of
from narrows.analysis.subject import Subject
from narrows.analysis.walk import walk
from narrows.benchmarks.results import Result
from narrows.errors import DataError
from narrows.networks import make_network
from narrows.production import open_store
from narrows.store.reader import StoreReader
from narrows.tasks import TaskStore


@dataclass(frozen=True)
class Inside:
    """A task's sub-network, looked into (`tasks/*/mask.bin`, `claimed.safetensors`).

    Attributes:
        task: its name.
        filters: of the first layer; None where they make no picture.
        connections: kept weights of each input and unit, and the units without.
    """

    task: str
    filters: Filters | None
    connections: Connections


def store_of(subject: Subject) -> TaskStore:
    """The subject's store with its network: a run's as its result says, another as the store says.

    Raises:
        DataError: there is no store, or the result does not say which network it is.
        UntrustedModelError: the network is of the user's own code, and nobody has said yet that it may be called.
        ConfigError, ModelBuildError, ModelMismatchError, DamagedStoreError: it cannot be built, or is another one.
    """
    if subject.reader is None:
        raise DataError("there is no store")
    if subject.result is None:
        return open_store(subject.reader.path)
    return TaskStore.open(subject.reader.path, _network(subject.result))


def insides(
    store: TaskStore,
    tasks: Collection[str],
    description: Mapping[str, Any] | None = None,
    *,
    most: int = MOST,
) -> tuple[Inside, ...]:
    """These tasks, in the store's order: one pass over its files.

    Args:
        store: with its network.
        description: `stream_description` of the run that made it, which says what an example is.
        most: filters of each.

    Raises:
        DamagedStoreError: a file is damaged.

    >>> import tempfile, narrows
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> store = TaskStore.create(tempfile.mkdtemp() + "/store", model)
    >>> with store.begin("first", narrows.IBM(density=0.5)) as task:
    ...     _ = task.fit([(torch.randn(16, 4), torch.arange(16) % 2)], narrows.Training(20))
    ...     _ = task.commit()
    >>> [(found.task, len(found.connections.layers)) for found in insides(store, ["first"])]
    [('first', 2)]
    """
    found = []
    reader = StoreReader.open(store.path)
    for step in walk(reader):
        record, subnet = step.record, step.own
        if record.name not in tasks:
            continue
        model = store.load(record.name)
        inputs = inputs_of(record, description)
        head = None if record.head is None else str(record.head["path"])
        filters = None if inputs is None else first_filters(record.name, model, subnet, inputs, most=most)
        found.append(Inside(record.name, filters, connections(record.name, model, subnet, head=head, inputs=inputs)))
    return tuple(found)


def _network(result: Result) -> torch.nn.Module:
    """The shared network of a run; its weights do not matter, as the store has its own."""
    try:
        network, description = str(result.config["network"]), result.stream_description
        shape, classes = tuple(description["input_shape"]), len(description["tasks"][0]["classes"])
    except (KeyError, TypeError, IndexError) as error:
        raise DataError(f"result.json does not say which network it is of ({error})") from error
    return make_network(network, shape, classes)
