"""What became of every weight of a layer for a task: kept (claimed or reused) or dropped; and the values kept.

From the store's files alone: a task's `mask.bin` and `claimed.safetensors`, and those of the tasks before it. Knows no
module: a layer is a parameter, drawn as a matrix of (first dimension) x (all others), so (out) x (in * kh * kw) for a
convolution, (words) x (width) for an embedding, (4 * hidden) x (in) for an LSTM.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from narrows.analysis.picture import Array, Picture, pooled_sums
from narrows.analysis.walk import WalkedTask, walk
from narrows.store.compose import resolved
from narrows.store.reader import StoreReader
from narrows.subnet import dense
from narrows.subnet.composing import NOBODY
from narrows.tasks import TaskStore

STATES = ("free", "passed", "reused", "claimed", "again")
"""Codes 0 to 4. free: not kept, and no earlier task has it; passed: not kept though an earlier task has it; reused:
kept at an earlier task's value; claimed: kept at a value of the task's own, the first there; again: claimed, though an
earlier task has it."""

HEIGHT, WIDTH = 128, 192
"""Cells of a picture, at most."""


@dataclass(frozen=True, eq=False)
class LayerStates:
    """States of the weights of a layer (`tasks/*/mask.bin`).

    Attributes:
        task, layer: names; the layer's is its parameter's.
        codes: uint8 of the parameter's shape, places in `STATES`.
    """

    task: str
    layer: str
    codes: Tensor

    @property
    def counts(self) -> tuple[int, ...]:
        """Weights in each state, in the order of `STATES`.

        claimed + again is `claimed` of the task's account (task.json `layers`), and with reused it is what the task
        keeps, `used` there.
        """
        return tuple(torch.bincount(self.codes.flatten(), minlength=len(STATES)).tolist())

    @property
    def matrix(self) -> Array:
        """The codes as they are drawn."""
        return _matrix(self.codes)

    def cells(self, height: int = HEIGHT, width: int = WIDTH) -> Picture:
        """(height, width, 5), at most: fraction of each cell's weights that are in each state."""
        matrix = self.matrix
        areas = pooled_sums(np.ones(matrix.shape, dtype=np.uint8), height, width)
        shares = [pooled_sums(matrix == code, height, width) / areas for code in range(len(STATES))]
        return Picture.of(np.stack(shares, axis=-1), 0, 1)


@dataclass(frozen=True)
class LayerMagnitudes:
    """Values of the weights that a task keeps of a layer (`tasks/*/claimed.safetensors`).

    Attributes:
        task, layer: names.
        kept: weights.
        positive: fraction of them above 0.
        quantiles: of their absolute values: 0, 25, 50, 75 and 100%; () where none is kept.
        signed: (height, width): mean value of the kept weights of each cell, 0 where it has none.
        strength: (height, width): mean absolute value, likewise.
    """

    task: str
    layer: str
    kept: int
    positive: float
    quantiles: tuple[float, ...]
    signed: Picture
    strength: Picture


def layer_states(store: TaskStore, task: str) -> tuple[LayerStates, ...]:
    """What became of the weights of each layer for a task.

    Raises:
        UnknownNameError: there is no such task; suggests the nearest name.
        DamagedStoreError: a file is damaged.

    >>> import tempfile, narrows
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> store = TaskStore.create(tempfile.mkdtemp() + "/store", model)
    >>> with store.begin("first", narrows.IBM(density=0.5)) as task:
    ...     _ = task.fit([(torch.randn(16, 4), torch.arange(16) % 2)], narrows.Training(20))
    ...     _ = task.commit()
    >>> [(found.layer, sum(found.counts), found.cells().shape) for found in layer_states(store, "first")]
    [('0.weight', 32, (8, 4, 5)), ('2.weight', 16, (2, 8, 5))]
    """
    return states_of(store.directory.steadily(lambda reader: walked_to(reader, task)))


def states_of(step: WalkedTask) -> tuple[LayerStates, ...]:
    """The same of a task while a store is walked.

    Tasks of methods that do not share ("own", "none") find nothing of earlier ones.
    """
    found = []
    for spec in step.subnet.specs:
        owners, part = step.earlier.owners[spec.name], step.subnet.parts[spec.name]
        earlier = (owners != NOBODY) & step.shares
        codes = earlier.to(torch.uint8)
        codes[part.claimed] = torch.where(earlier[part.claimed], 4, 3).to(torch.uint8)
        codes[part.reused] = 2
        found.append(LayerStates(step.name, spec.name, codes.view(spec.shape)))
    return tuple(found)


def magnitudes(
    store: TaskStore, task: str, *, height: int = HEIGHT, width: int = WIDTH, layer: str | None = None
) -> tuple[LayerMagnitudes, ...]:
    """The weights that a task keeps of each layer, or of one, by sign and size.

    Raises:
        UnknownNameError: there is no such task; suggests the nearest name.
        DamagedStoreError: a file is damaged.
    """
    subnet = store.directory.steadily(lambda reader: resolved(reader, task))
    kept = subnet.kept_masks()
    return tuple(
        _pooled_values(task, name, value, kept[name], height, width)
        for name, value in dense(subnet).items()
        if layer in (None, name)
    )


def walked_to(reader: StoreReader, task: str) -> WalkedTask:
    """One task with what those before it hold. UnknownNameError or DamagedStoreError."""
    reader.record(task)  # an unknown name is said before anything is read
    return next(found for found in walk(reader) if found.name == task)


def _pooled_values(task: str, name: str, value: Tensor, mask: Tensor, height: int, width: int) -> LayerMagnitudes:
    weights, kept = _matrix(value.double()), _matrix(mask)
    count = np.maximum(pooled_sums(kept, height, width), 1)
    sizes = np.abs(weights[kept])
    strength = pooled_sums(np.abs(weights), height, width) / count
    return LayerMagnitudes(
        task=task,
        layer=name,
        kept=int(kept.sum()),
        positive=float((weights[kept] > 0).mean()) if len(sizes) else 0.0,
        quantiles=tuple(np.quantile(sizes, (0, 0.25, 0.5, 0.75, 1)).tolist()) if len(sizes) else (),
        signed=Picture.signed(pooled_sums(weights, height, width) / count),
        strength=Picture.of(strength, 0, float(strength.max(initial=0.0))),
    )


def _matrix(tensor: Tensor) -> Array:
    found: Array = tensor.reshape(tensor.shape[0], -1).numpy()
    return found
