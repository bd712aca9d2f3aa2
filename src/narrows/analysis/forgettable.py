"""What `forget` would do to each task of a store: who builds on it, what would be free again, what would go.

`StoreReader.forget` by a dry run reads all later tasks for every one and packs anew those that would be rewritten: for
200 tasks that is minutes. Here all numbers come from one walk over the masks (tasks/*/mask.bin) and the records; a test
holds them to the dry run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from narrows.analysis.walk import WalkedTask, walk
from narrows.store.reader import StoreReader
from narrows.store.records import TaskRecord


@dataclass(frozen=True)
class Forgettable:
    """What forgetting a task would do. Source: tasks/*/mask.bin, tasks/*/task.json, `carry` of store.json.

    Attributes:
        task: which.
        kept_for: tasks that reuse its weights, and how many of its values each would take over (0: an earlier one has
            them); they keep what they need to the last bit.
        freed: weights that would be free again, a count.
        values: values that would be given up, a count.
        bytes: that the tasks' files, and the training state for the next task, become smaller by: exact where no task
            reuses its weights, else about, as masks are packed anew. The snapshot, which is made anew, is not in it.
        learned_after: later tasks that may have started from its weights; they stay as they are.
        drops_carry: whether the training state for the next task of its method goes with it.
        reverts: tasks that it overwrote, which go back to the weights of the one before it.
    """

    task: str
    kept_for: tuple[tuple[str, int], ...]
    freed: int
    values: int
    bytes: int
    learned_after: tuple[str, ...]
    drops_carry: bool
    reverts: tuple[str, ...]


def forgettable(reader: StoreReader) -> tuple[Forgettable, ...]:
    """What forgetting would do, for each task in order. DamagedStoreError.

    >>> import tempfile, torch, narrows
    >>> from narrows.analysis.subject import open_subject
    >>> path = tempfile.mkdtemp() + "/store"
    >>> store = narrows.TaskStore.create(path, torch.nn.Linear(4, 2))
    >>> with store.begin("first", narrows.IBM(density=0.5)) as task:
    ...     _ = task.fit([(torch.randn(8, 4), torch.arange(8) % 2)], narrows.Training(9))
    ...     _ = task.commit()
    >>> [(found.task, found.freed) for found in forgettable(open_subject(path).reader)]
    [('first', 4)]
    """
    return reader.steadily(_forgettable)


def _forgettable(reader: StoreReader) -> tuple[Forgettable, ...]:
    tasks = reader.task_names()
    sizes = [torch.empty(0, dtype=spec.torch_dtype()).element_size() for spec in reader.shared]
    heritage = _Heritage(reader)
    records = []
    for step in walk(reader):
        records.append(step.record)
        if step.shares:
            heritage.add(step)
    freed = heritage.freed()
    return tuple(
        Forgettable(
            task=record.name,
            kept_for=tuple(
                (tasks[heir], int(heritage.taken[:, heir, at].sum()))
                for heir in range(at + 1, len(tasks))
                if heritage.reuses[heir, at]
            ),
            freed=freed[at],
            values=heritage.claimed[at] - int(heritage.taken[:, :, at].sum()),
            bytes=_bytes(reader, records, at) - int(heritage.taken[:, :, at].sum(1) @ np.array(sizes, np.int64)),
            learned_after=tuple(later.name for later in records[at + 1 :] if later.isolation != "own"),
            drops_carry=_drops_carry(reader, records, at),
            reverts=_reverts(records, at),
        )
        for at, record in enumerate(records)
    )


class _Heritage:
    """Who takes over what from whom, counted while tasks come.

    Attributes:
        taken: [layer, heir, task]: values of `task` that `heir` is the first to reuse.
        reuses: [heir, task]: whether it reuses any.
        claimed: weights that each task claims.
    """

    def __init__(self, reader: StoreReader) -> None:
        count, sizes = len(reader.task_names()), [spec.numel for spec in reader.shared]
        self.taken = np.zeros((len(sizes), count, count), np.int64)
        self.reuses = np.zeros((count, count), np.bool_)
        self.claimed = [0] * count
        self._found = [np.zeros(size, np.bool_) for size in sizes]  # the value that is there now is reused already
        self._only = [np.zeros(size, np.int32) for size in sizes]  # 1 + the only task that keeps it; -1: several do

    def add(self, step: WalkedTask) -> None:
        at, count = step.position, len(self.claimed)
        for layer, (name, part) in enumerate(step.subnet.parts.items()):
            reused, claimed, kept = part.reused.numpy(), part.claimed.numpy(), part.kept.numpy()
            sources = step.sources(name, reused) + 1
            self.reuses[at] |= np.bincount(sources, minlength=count + 1)[1:] > 0
            first = ~self._found[layer][reused]
            self.taken[layer, at] = np.bincount(sources[first], minlength=count + 1)[1:]
            self._found[layer][reused] = True
            self._found[layer][claimed] = False
            self._only[layer][kept] = np.where(self._only[layer][kept] == 0, at + 1, -1)
            self.claimed[at] += len(claimed)

    def freed(self) -> list[int]:
        """For each task the weights that it alone keeps."""
        total = np.zeros(len(self.claimed) + 1, np.int64)
        for only in self._only:
            total += np.bincount(np.maximum(only, 0), minlength=len(total))
        return [int(count) for count in total[1:]]


def _bytes(reader: StoreReader, records: Sequence[TaskRecord], at: int) -> int:
    carry = reader.header.carry
    return records[at].bytes + (carry.bytes if carry and _drops_carry(reader, records, at) else 0)


def _drops_carry(reader: StoreReader, records: Sequence[TaskRecord], at: int) -> bool:
    carry, method = reader.header.carry, records[at].method["name"]
    later = {record.method["name"] for record in records[at + 1 :]}
    return carry is not None and carry.method == method and method not in later


def _reverts(records: Sequence[TaskRecord], at: int) -> tuple[str, ...]:
    if records[at].isolation != "none" or any(later.isolation == "none" for later in records[at + 1 :]):
        return ()
    return tuple(earlier.name for earlier in records[:at] if earlier.isolation == "none")
