"""Who holds what of each layer, and how the network filled up as tasks came.

Works from the masks (tasks/*/mask.bin) and `isolation` of task.json. Tasks of isolation "shared" divide the network
among them. A task of isolation "own" has a network of its own, and those of "none" have one between them: both count
towards `used` as whole networks, as docs/result.md has it, and hold nothing of the shared layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.analysis.walk import FREE, WalkedTask, walk
from narrows.store.reader import StoreReader


@dataclass(frozen=True)
class LayerCapacity:
    """One shared parameter after the last task, or all together; counts of weights. Source: tasks/*/mask.bin.

    Attributes:
        name: the parameter; "" for all together.
        weights: how many it has.
        free: used by no task.
        used_by: [k - 1]: used by exactly k tasks. Their sum and `free` make up `weights`.
        kept: values that tasks keep; more than `weights - free` where weights were refined.
        claimed: values each task keeps, in the order of `Capacity.tasks`; their sum is `kept`.
        held: weights whose latest value is each task's, in the same order; their sum is `weights - free`.
    """

    name: str
    weights: int
    free: int
    used_by: tuple[int, ...]
    kept: int
    claimed: tuple[int, ...]
    held: tuple[int, ...]


@dataclass(frozen=True)
class Growth:
    """The store once a task had come. Source: tasks/*/mask.bin, `isolation` and `method` of task.json.

    Attributes:
        task, isolation: of the task.
        method: name and options, as in task.json.
        used: values kept by all tasks so far / shared weights; each network kept apart counts 1.
        taken: weights of the shared network that are not free / shared weights; never above 1.
        claimed: values it keeps, a count.
        fresh: those of them at weights that were free before it; a count, by layer. None are for "own" and "none".
        reused: weights it takes over from earlier tasks, a count.
        layers_used: `used` of each layer, networks kept apart left out.
    """

    task: str
    isolation: str
    method: dict[str, Any]
    used: float
    taken: float
    claimed: int
    fresh: tuple[int, ...]
    reused: int
    layers_used: tuple[float, ...]


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

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"used": self.used}


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


@dataclass
class _Layer:
    """What is counted in a layer while tasks come."""

    name: str
    weights: int
    users: NDArray[np.uint32] = field(init=False)
    claimed: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.users = np.zeros(self.weights, np.uint32)


def _capacity(reader: StoreReader) -> Capacity:
    layers = [_Layer(spec.name, spec.numel) for spec in reader.shared]
    total = sum(layer.weights for layer in layers)
    growth: list[Growth] = []
    names: dict[str, list[str]] = {"shared": [], "own": [], "none": []}
    positions: list[int] = []
    taken = 0
    owners: Sequence[NDArray[np.int32]] = [np.zeros(layer.weights, np.int32) + FREE for layer in layers]
    for step in walk(reader):
        owners = step.owners
        names[step.record.isolation].append(step.record.name)
        fresh = tuple(_fresh(step))
        taken += sum(fresh)
        if step.shares:
            positions.append(step.position)
            for layer, used, claimed in zip(layers, step.used, step.claimed, strict=True):
                layer.users += used
                layer.claimed.append(int(claimed.sum()))
        apart = len(names["own"]) + bool(names["none"])
        growth.append(_growth(step, layers, apart, fresh, taken / total if total else 0.0))
    counted = [_count(layer, owner, positions) for layer, owner in zip(layers, owners, strict=True)]
    return Capacity(
        tuple(names["shared"]),
        tuple(names["own"]),
        tuple(names["none"]),
        tuple(counted),
        _together(counted, len(positions)),
        tuple(growth),
    )


def _fresh(step: WalkedTask) -> Iterator[int]:
    for claimed, owner in zip(step.claimed, step.owners, strict=True):
        yield int((claimed & (owner == FREE)).sum()) if step.shares else 0


def _growth(step: WalkedTask, layers: Sequence[_Layer], apart: int, fresh: tuple[int, ...], taken: float) -> Growth:
    claimed = sum(int(mask.sum()) for mask in step.claimed)
    kept, total = [sum(layer.claimed) for layer in layers], sum(layer.weights for layer in layers)
    return Growth(
        task=step.record.name,
        isolation=step.record.isolation,
        method=step.record.method,
        used=(sum(kept) / total if total else 0.0) + apart,
        taken=taken,
        claimed=claimed,
        fresh=fresh,
        reused=sum(int(mask.sum()) for mask in step.used) - claimed,
        layers_used=tuple(
            values / layer.weights if layer.weights else 0.0 for values, layer in zip(kept, layers, strict=True)
        ),
    )


def _count(layer: _Layer, owner: NDArray[np.int32], positions: Sequence[int]) -> LayerCapacity:
    users = np.bincount(layer.users, minlength=1).tolist()
    held = np.bincount(owner + 1, minlength=max(positions, default=0) + 2).tolist()
    return LayerCapacity(
        name=layer.name,
        weights=layer.weights,
        free=users[0],
        used_by=tuple(users[1:]),
        kept=sum(layer.claimed),
        claimed=tuple(layer.claimed),
        held=tuple(held[position + 1] for position in positions),
    )


def _together(layers: Sequence[LayerCapacity], tasks: int) -> LayerCapacity:
    most = max((len(layer.used_by) for layer in layers), default=0)
    return LayerCapacity(
        name="",
        weights=sum(layer.weights for layer in layers),
        free=sum(layer.free for layer in layers),
        used_by=tuple(sum(layer.used_by[k] for layer in layers if k < len(layer.used_by)) for k in range(most)),
        kept=sum(layer.kept for layer in layers),
        claimed=tuple(sum(layer.claimed[task] for layer in layers) for task in range(tasks)),
        held=tuple(sum(layer.held[task] for layer in layers) for task in range(tasks)),
    )
