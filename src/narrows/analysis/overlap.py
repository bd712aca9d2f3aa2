"""Which tasks keep the same weights, whether more than chance would have it, and who builds on whom.

Works from tasks/*/mask.bin. Only tasks of isolation "shared" have weights in common; the others are named and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from narrows.analysis.walk import WalkedTask, walk
from narrows.store.reader import StoreReader
from narrows.subnet.composing import NOBODY

MOST: Final = 1 << 24
"""Kept weights that are held at once, of all tasks; a store with more is walked more than once."""


@dataclass(frozen=True)
class Reuse:
    """Weights that `task` reuses at the value of `source`, a count: an edge of the graph of who builds on whom.

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
        left_out: tasks of isolation "own" and "none": each keeps a whole network, and none of it is shared.
        kept: weights each keeps, a count.
        common: weights that both keep, a count; `kept` on the diagonal.
        jaccard: common / kept by either, 0 to 1; None where neither keeps any.
        contained: [i][j]: the part of task i's weights that j keeps too, 0 to 1; None where i keeps none.
        expected: weights in common were the masks, with as many weights in each layer, drawn by chance: the sum over
            layers of kept_i * kept_j / weights.
        lift: common / expected; 1 is chance. None where chance gives none.
        reuse: the edges of the graph, by task and then by source, in order.
    """

    tasks: tuple[str, ...]
    left_out: tuple[str, ...]
    kept: tuple[int, ...]
    common: tuple[tuple[int, ...], ...]
    jaccard: tuple[tuple[float | None, ...], ...]
    contained: tuple[tuple[float | None, ...], ...]
    expected: tuple[tuple[float, ...], ...]
    lift: tuple[tuple[float | None, ...], ...]
    reuse: tuple[Reuse, ...]


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
            left_out.append(step.name)
            continue
        names.append(step.name)
        counts.append([len(part.claimed) + len(part.reused) for part in step.subnet.parts.values()])
        edges.extend(_edges(step, tasks))
    layers = np.array(counts, np.float64).reshape(len(names), len(reader.shared))
    weights = np.array([max(spec.numel, 1) for spec in reader.shared], np.float64)
    kept = layers.sum(1)
    common = _common(reader, len(names), int(kept.sum())) + np.diag(kept)
    expected = (layers / weights) @ layers.T
    return Overlap(
        tasks=tuple(names),
        left_out=tuple(left_out),
        kept=tuple(int(count) for count in kept),
        common=tuple(tuple(int(count) for count in row) for row in common),
        jaccard=_divide(common, kept[:, None] + kept[None, :] - common),
        contained=_divide(common, np.broadcast_to(kept[:, None], common.shape)),
        expected=tuple(tuple(row) for row in expected.tolist()),
        lift=_divide(common, expected),
        reuse=tuple(edges),
    )


def _edges(step: WalkedTask, tasks: Sequence[str]) -> list[Reuse]:
    """From whom a task has what it reuses."""
    held = np.zeros(len(tasks) + 1, np.int64)
    for name, part in step.subnet.parts.items():
        held += np.bincount(step.sources(name, part.reused.numpy()) + 1, minlength=len(held))
    sources = [position - 1 for position in np.flatnonzero(held).tolist()]
    return [Reuse(step.name, tasks[at], int(held[at + 1])) for at in sources if at != NOBODY]


def _common(reader: StoreReader, count: int, kept: int) -> NDArray[np.float64]:
    """How many weights each two different tasks have in common."""
    pairs = np.zeros((count, count))
    total = sum(spec.numel for spec in reader.shared) if count else 0
    every = -(-total // max(1, -(-kept // MOST)))
    for start in range(0, total, every or 1):
        found = [_between(step, start, start + every) for step in walk(reader) if step.shares]
        pairs += _pairs(found, count)
    return pairs + pairs.T


def _between(step: WalkedTask, start: int, end: int) -> NDArray[np.int64]:
    """What it keeps of so many weights, all layers counted on."""
    before, found = 0, []
    for spec in step.subnet.specs:
        found.append(step.subnet.parts[spec.name].kept.numpy().astype(np.int64) + before)
        before += spec.numel
    kept = np.concatenate(found)
    return kept[np.searchsorted(kept, start) : np.searchsorted(kept, end)]


def _pairs(found: Sequence[NDArray[np.int64]], count: int) -> NDArray[np.float64]:
    """[i, j], i < j: weights that both keep. Costs, for each weight, the square of how many tasks keep it."""
    pairs = np.zeros(count * count)
    weights, tasks = np.concatenate(found), np.repeat(np.arange(count), [len(kept) for kept in found])
    order = np.argsort(weights, kind="stable")
    weights, tasks = weights[order], tasks[order]
    first = np.arange(len(weights))
    for apart in range(1, count):  # the next but so many that keeps the same weight
        first = first[first + apart < len(weights)]
        first = first[weights[first] == weights[first + apart]]
        if not len(first):
            break
        pairs += np.bincount(tasks[first] * count + tasks[first + apart], minlength=len(pairs))
    return pairs.reshape(count, count)


def _divide(above: NDArray[np.float64], below: NDArray[np.float64]) -> tuple[tuple[float | None, ...], ...]:
    """Quotients; None where there is nothing to divide by."""
    rows = zip(above.tolist(), below.tolist(), strict=True)
    return tuple(tuple(a / b if b else None for a, b in zip(*row, strict=True)) for row in rows)
