"""Which tasks use the same weights, whether more than chance would have it, and who builds on whom.

Works from tasks/*/mask.bin. Only tasks of isolation "shared" have weights in common; the others are named and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.analysis.walk import FREE, WalkedTask, walk
from narrows.store.reader import StoreReader

BLOCK_BYTES = 1 << 28
"""Packed masks held at once; a store with more is walked more than once."""

CHUNK = 1 << 16
"""Weights that are unpacked at once, of all tasks."""


@dataclass(frozen=True)
class Reuse:
    """Weights that `task` uses at the value of `source`, a count: an edge of the graph of who builds on whom.

    The source is the latest task before it that claimed the weight. Source: tasks/*/mask.bin.
    """

    task: str
    source: str
    weights: int


@dataclass(frozen=True)
class Overlap:
    """Masks compared two by two; row and column i are of `tasks[i]`. Source: tasks/*/mask.bin.

    Attributes:
        tasks: those that share weights, in order.
        left_out: tasks of isolation "own" and "none": each uses a whole network, and none of it is shared.
        used: weights each uses, a count.
        common: weights that both use, a count; `used` on the diagonal.
        jaccard: common / used by either, 0 to 1; None where neither uses any.
        contained: [i][j]: the part of task i's weights that j uses too, 0 to 1; None where i uses none.
        expected: weights in common were the masks, with as many weights in each layer, drawn by chance: the sum over
            layers of used_i * used_j / weights.
        lift: common / expected; 1 is chance. None where chance gives none.
        reuse: the edges of the graph, by task and then by source, in order.
    """

    tasks: tuple[str, ...]
    left_out: tuple[str, ...]
    used: tuple[int, ...]
    common: tuple[tuple[int, ...], ...]
    jaccard: tuple[tuple[float | None, ...], ...]
    contained: tuple[tuple[float | None, ...], ...]
    expected: tuple[tuple[float, ...], ...]
    lift: tuple[tuple[float | None, ...], ...]
    reuse: tuple[Reuse, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def overlap(reader: StoreReader) -> Overlap:
    """The overlaps of a store's tasks, two by two, and its graph of reuse. DamagedStoreError.

    >>> import tempfile, torch, narrows
    >>> from narrows.analysis.subject import open_subject
    >>> path = tempfile.mkdtemp() + "/store"
    >>> store = narrows.TaskStore.create(path, torch.nn.Linear(4, 2))
    >>> overlap(open_subject(path).reader).tasks
    ()
    """
    return reader.steadily(_overlap)


def _overlap(reader: StoreReader) -> Overlap:
    names, left_out, counts, edges = [], [], [], []
    tasks = reader.task_names()
    for step in walk(reader):
        if not step.shares:
            left_out.append(step.record.name)
            continue
        names.append(step.record.name)
        counts.append([int(used.sum()) for used in step.used])
        edges.extend(_edges(step, tasks))
    layers = np.array(counts, np.float64).reshape(len(names), len(reader.shared))
    weights = np.array([max(spec.numel, 1) for spec in reader.shared], np.float64)
    used = layers.sum(1)
    common = _common(reader, len(names))
    expected = (layers / weights) @ layers.T
    return Overlap(
        tasks=tuple(names),
        left_out=tuple(left_out),
        used=tuple(int(count) for count in used),
        common=tuple(tuple(int(count) for count in row) for row in common),
        jaccard=_divide(common, used[:, None] + used[None, :] - common),
        contained=_divide(common, np.broadcast_to(used[:, None], common.shape)),
        expected=tuple(tuple(row) for row in expected.tolist()),
        lift=_divide(common, expected),
        reuse=tuple(edges),
    )


def _edges(step: WalkedTask, tasks: Sequence[str]) -> list[Reuse]:
    """From whom a task has what it reuses."""
    held = np.zeros(len(tasks) + 1, np.int64)
    for used, claimed, owner in zip(step.used, step.claimed, step.owners, strict=True):
        held += np.bincount(owner[used & ~claimed] + 1, minlength=len(held))
    sources = [position - 1 for position in np.flatnonzero(held).tolist()]
    return [Reuse(step.record.name, tasks[at], int(held[at + 1])) for at in sources if at != FREE]


def _common(reader: StoreReader, count: int) -> NDArray[np.float64]:
    """How many weights each two tasks have in common.

    As many columns of all masks as fit in BLOCK_BYTES, packed, are held at once; a larger store is walked again.
    """
    common = np.zeros((count, count))
    total = sum(spec.numel for spec in reader.shared)
    columns = max(CHUNK, BLOCK_BYTES * 8 // max(count, 1))
    for start in range(0, total, columns):
        steps = (step for step in walk(reader) if step.shares)
        packed = [np.packbits(np.concatenate(step.used)[start : start + columns]) for step in steps]
        if packed:
            _add_products(np.stack(packed), common)
    return common


def _add_products(packed: NDArray[np.uint8], common: NDArray[np.float64]) -> None:
    """Adds how many bits each two rows have in common; sums of a chunk are exact in float32."""
    for at in range(0, packed.shape[1], CHUNK // 8):
        bits = np.unpackbits(packed[:, at : at + CHUNK // 8], axis=1).astype(np.float32)
        common += bits @ bits.T


def _divide(above: NDArray[np.float64], below: NDArray[np.float64]) -> tuple[tuple[float | None, ...], ...]:
    """Quotients; None where there is nothing to divide by."""
    rows = zip(above.tolist(), below.tolist(), strict=True)
    return tuple(tuple(a / b if b else None for a, b in zip(*row, strict=True)) for row in rows)
