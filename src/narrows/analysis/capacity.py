"""Whose the weights of each layer are, and how the network filled up as tasks came.

Works from the masks (tasks/*/mask.bin) and `isolation` of task.json. Tasks of isolation "shared" divide the network
among them. A task of isolation "own" has a network of its own, and those of "none" have one between them: both count
towards `used` as whole networks, as docs/result.md has it, and hold nothing of the shared layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.analysis.walk import walk
from narrows.store.reader import StoreReader


@dataclass(frozen=True)
class LayerCapacity:
    """One shared parameter after the last task, or all together; counts of weights. Source: tasks/*/mask.bin.

    Attributes:
        name: the parameter; "" for all together.
        weights: how many it has.
        free: kept by no task.
        kept_by: [k - 1]: kept by exactly k tasks. Their sum and `free` make up `weights`.
        claimed: values that tasks claim; more than `weights - free` where weights have values of several tasks.
    """

    name: str
    weights: int
    free: int
    kept_by: tuple[int, ...]
    claimed: int


@dataclass(frozen=True)
class Growth:
    """The store once a task had come. Source: tasks/*/mask.bin, `isolation` and `method` of task.json.

    Attributes:
        task, isolation: of the task.
        method: name and options, as in task.json.
        used: values kept by all tasks so far / shared weights; each network kept apart counts 1.
        taken: weights of the shared network that are not free / shared weights; never above 1.
        claimed: weights it claims, a count.
        fresh: those of them at weights that were free before it; a count, by layer. None are for "own" and "none".
        reused: weights it reuses of earlier tasks, a count.
    """

    task: str
    isolation: str
    method: dict[str, Any]
    used: float
    taken: float
    claimed: int
    fresh: tuple[int, ...]
    reused: int


@dataclass(frozen=True)
class Capacity:
    """A store's weights: whose they are, and since when.

    Attributes:
        tasks: those of isolation "shared", in order.
        own: tasks with a network of their own.
        overwriting: tasks that overwrite one another in one network.
        layers: in the store's order.
        total: all layers together.
        growth: after each task, whatever its isolation.
    """

    tasks: tuple[str, ...]
    own: tuple[str, ...]
    overwriting: tuple[str, ...]
    layers: tuple[LayerCapacity, ...]
    total: LayerCapacity
    growth: tuple[Growth, ...]

    @property
    def used(self) -> float:
        """Values kept / shared weights, and 1 for each network kept apart; 0 without tasks."""
        return self.growth[-1].used if self.growth else 0.0


def capacity(reader: StoreReader) -> Capacity:
    """The store's capacity. DamagedStoreError.

    >>> import tempfile, torch, narrows
    >>> from narrows.analysis.subject import open_subject
    >>> path = tempfile.mkdtemp() + "/store"
    >>> store = narrows.TaskStore.create(path, torch.nn.Linear(4, 2))
    >>> found = capacity(open_subject(path).reader)
    >>> found.used, found.total.free
    (0.0, 8)
    """
    return reader.steadily(_capacity)


def _capacity(reader: StoreReader) -> Capacity:
    users = {spec.name: np.zeros(spec.numel, np.uint32) for spec in reader.shared}
    claimed, taken = dict.fromkeys(users, 0), 0
    total = sum(spec.numel for spec in reader.shared) or 1
    names: dict[str, list[str]] = {"shared": [], "own": [], "none": []}
    growth: list[Growth] = []
    for step in walk(reader):
        names[step.record.isolation].append(step.name)
        fresh = step.claimed_anew()
        taken += sum(fresh)
        if step.shares:
            for layer, part in step.subnet.parts.items():
                users[layer][part.kept.numpy()] += 1
                claimed[layer] += len(part.claimed)
        growth.append(
            Growth(
                task=step.name,
                isolation=step.record.isolation,
                method=step.record.method,
                used=sum(claimed.values()) / total + len(names["own"]) + bool(names["none"]),
                taken=taken / total,
                claimed=step.subnet.claimed,
                fresh=fresh,
                reused=step.subnet.reused,
            )
        )
    layers = tuple(_count(name, counts, claimed[name]) for name, counts in users.items())
    shared, own, overwriting = (tuple(names[isolation]) for isolation in ("shared", "own", "none"))
    return Capacity(shared, own, overwriting, layers, together(layers), tuple(growth))


def _count(name: str, users: NDArray[np.uint32], claimed: int) -> LayerCapacity:
    free, *kept_by = np.bincount(users, minlength=1).tolist()
    return LayerCapacity(name, len(users), free, tuple(kept_by), claimed)


def together(layers: Sequence[LayerCapacity]) -> LayerCapacity:
    """Several layers as one, without a name."""
    kept_by = zip_longest(*(layer.kept_by for layer in layers), fillvalue=0)
    counts = ("weights", "free", "claimed")
    weights, free, claimed = (sum(getattr(layer, count) for layer in layers) for count in counts)
    return LayerCapacity("", weights, free, tuple(map(sum, kept_by)), claimed)
