"""Taking a task out of a store, and what later tasks need of it: worked out and checked before anything is written.

A value that the forgotten task claimed, and that later tasks reuse, is taken over by the first of them: it claims the
weight with that value, and those after it find it there. So every other task stays as it is to the last bit. Tasks
that take over, or had the forgotten one among their parents, get a new directory. Knows the format; touches no disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from narrows.errors import StoreError
from narrows.store import change, content, snapshot
from narrows.store.change import Change
from narrows.store.compose import Frozen, Reader, digest, frozen_weights, scatter, zeros
from narrows.store.content import Claims, TaskContent
from narrows.store.reading import StoreReader
from narrows.store.records import StoreHeader, TaskRecord, TensorSpec

Revise = Callable[[TaskRecord, TaskContent], TaskRecord]
"""Brings what a record says of the task's layers up to its new content."""


@dataclass(frozen=True)
class Forgetting:
    """What forgetting a task does, or would do.

    Attributes:
        name: the task.
        kept_for: tasks that reuse its weights -> how many values each takes over; 0 where an earlier one has them.
        freed: weights that no task uses any more; None where a damaged task keeps it from being known.
        values: values of its own that are given up; None as above.
        bytes: that the store becomes smaller by (negative where it becomes larger).
        learned_after: later tasks that may have started from its weights; their values stay as they are.
        drops_carry: whether the training state for the next task of its method goes with it.
        reverts: tasks that had its weights because it overwrote them, and go back to those of the one before it.
        leftovers: of its files, those that could not be removed (paths from the store); the next change tries again.
    """

    name: str
    kept_for: dict[str, int]
    freed: int | None
    values: int | None
    bytes: int
    learned_after: tuple[str, ...]
    drops_carry: bool
    reverts: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()


def forget(reader: StoreReader, name: str, revise: Revise) -> tuple[Forgetting, Change]:
    """What forgetting `name` does, and the change that does it.

    StoreError if a rewritten task would not have the weights it was committed with. DamagedStoreError where a damaged
    task keeps it from being known what later tasks reuse; a task that nobody builds on goes whatever is damaged,
    itself included, but for its record.
    """
    header, record = reader.header, reader.record(name)
    order = reader.task_names()
    later = {other: reader.record(other) for other in order[order.index(name) + 1 :]}
    heirs = _inherit(reader, name, later) if any(name in other.parents for other in later.values()) else {}
    rewritten = {
        other: revise(replace(later[other], parents=heir.parents), heir.content) for other, heir in heirs.items()
    }
    after = _After(reader, name, rewritten, {other: heir.content for other, heir in heirs.items() if heir.taken})
    then = _gather(after, rewritten)
    method = record.method["name"]
    left_by_it = method not in {other.method["name"] for other in later.values()}
    kept = None if header.carry and header.carry.method == method and left_by_it else header.carry
    changed = _change(replace(header, carry=kept), after, rewritten, then)
    return _account(reader, record, later, heirs, then, changed), changed


@dataclass
class _Heir:
    content: TaskContent
    parents: tuple[str, ...]
    taken: int


def _inherit(reader: Reader, name: str, later: dict[str, TaskRecord]) -> dict[str, _Heir]:
    """The tasks that reuse weights of `name`, with the content and the parents they have without it."""
    gone = reader.claims(name)
    values = zeros(reader.shared)
    scatter(gone, values)
    # Where a task that comes now would find the forgotten value: with the forgotten task, or with whom it went to.
    nowhere, here = -1, 0
    holder = {key: torch.where(claimed, here, nowhere).to(torch.int32) for key, claimed in gone.claimed.items()}
    heirs: dict[str, _Heir] = {}
    holders = [name]
    for other, record in later.items():
        if record.isolation != "shared":
            continue
        theirs = reader.claims(other)
        mine: dict[str, Tensor] = {}
        found: set[int] = set()
        for key, used in theirs.used.items():
            reused = used & ~theirs.claimed[key]
            mine[key] = reused & (holder[key] == here)
            found.update(torch.unique(holder[key][reused]).tolist())
            holder[key][theirs.claimed[key]] = nowhere  # refined: those who come later find the new value
            holder[key][mine[key]] = len(holders)
        taken = sum(int(mask.sum()) for mask in mine.values())
        heirs_before = {holders[at] for at in found - {nowhere, here}}
        if name in record.parents:
            parents = heirs_before | set(record.parents) - {name}
            order = tuple(known for known in reader.task_names() if known in parents)
            whole = _take_over(theirs, mine, values) if taken else theirs
            full = TaskContent(whole.used, whole.claimed, whole.values, reader.kept(other))
            heirs[other] = _Heir(full, order, taken)
        elif taken or heirs_before:
            raise StoreError(f"{other!r} reuses weights of {name!r} and does not name it among its parents")
        holders.append(other)
    return heirs


def _take_over(theirs: Claims, mine: dict[str, Tensor], values: dict[str, Tensor]) -> Claims:
    """The claims with the weights in `mine` claimed too, at the given values."""
    claimed = {key: mask | mine[key] for key, mask in theirs.claimed.items()}
    packed = {}
    for key, mask in claimed.items():
        if bool(mask.any()):
            whole = values[key].clone()
            if key in theirs.values:
                whole[theirs.claimed[key]] = theirs.values[key]
            packed[key] = whole[mask]
    return Claims(theirs.used, claimed, packed)


class _After:
    """The store as it will be, to be read before it is written."""

    def __init__(
        self, reader: StoreReader, gone: str, records: dict[str, TaskRecord], contents: dict[str, TaskContent]
    ) -> None:
        self._reader, self._gone, self._records, self._contents = reader, gone, records, contents

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        return self._reader.shared

    def task_names(self) -> tuple[str, ...]:
        return tuple(name for name in self._reader.task_names() if name != self._gone)

    def record(self, name: str) -> TaskRecord:
        return self._records.get(name) or self._reader.record(name)

    def claims(self, name: str) -> Claims:
        return self._contents.get(name) or self._reader.claims(name)

    def kept(self, name: str) -> dict[str, Tensor]:
        return self._reader.kept(name)

    def blobs(self, name: str) -> dict[str, bytes]:
        changed = self._contents.get(name)
        return content.encode(changed, self.shared) if changed else self._reader.blobs(name)


def _gather(after: _After, rewritten: dict[str, TaskRecord]) -> Frozen | None:
    """What the tasks that are left hold; nothing may be written that gives one other weights than it had.

    None where a damaged task keeps it from being known, and none is rewritten.
    """
    try:
        return _check(after, rewritten)
    except StoreError:
        if rewritten:
            raise
        return None


def _check(after: _After, rewritten: dict[str, TaskRecord]) -> Frozen:
    frozen = Frozen.nothing(after.shared)
    for name in after.task_names():
        isolation = after.record(name).isolation
        claims = after.claims(name) if isolation == "shared" else None
        expected = rewritten[name].weights_sha256 if name in rewritten else None
        if claims and expected and digest(frozen.bake(claims), after.kept(name)) != expected:
            raise StoreError(
                f"{name!r} would not keep the weights it was committed with; nothing was changed. "
                "Verify the store: `narrows verify --deep`"
            )
        frozen.add(name, isolation, claims)
    return frozen


def _change(header: StoreHeader, after: _After, rewritten: dict[str, TaskRecord], then: Frozen | None) -> Change:
    """The next store.json, the directories of the tasks that are rewritten, and a snapshot where there was one."""
    index, tasks, directories = header.next_index, [], {}
    for ref in header.tasks:
        if ref.name in rewritten:
            record, files = change.encode_task(rewritten[ref.name], after.blobs(ref.name), index)
            tasks.append(change.ref_of(record, files))
            directories[record.directory] = files
            index += 1
        elif ref.name in after.task_names():
            tasks.append(ref)
    # One more index than tasks need: a snapshot's name, too, is never used twice.
    changed = Change(replace(header, tasks=tuple(tasks), next_index=index + 1, snapshot=None), directories)
    if then and snapshot.due(changed.header):
        return change.with_snapshot(changed, then)
    return changed


def _account(
    reader: StoreReader,
    record: TaskRecord,
    later: dict[str, TaskRecord],
    heirs: dict[str, _Heir],
    then: Frozen | None,
    changed: Change,
) -> Forgetting:
    header = reader.header
    written = [*changed.files.values(), *(data for files in changed.directories.values() for data in files.values())]
    gone = record.bytes + sum(later[other].bytes for other in heirs)
    drops_carry = header.carry is not None and changed.header.carry is None
    gone += sum(ref.bytes for ref in (header.snapshot, header.carry if drops_carry else None) if ref)
    try:
        before = frozen_weights(reader) if then else None
    except StoreError:
        before = None
    last = record.isolation == "none" and not any(other.isolation == "none" for other in later.values())
    return Forgetting(
        name=record.name,
        kept_for={other: heir.taken for other, heir in heirs.items()},
        freed=_freed(before, then) if before and then else None,
        values=before.kept - then.kept if before and then else None,
        bytes=gone - sum(map(len, written)),
        learned_after=tuple(name for name, other in later.items() if other.isolation != "own"),
        drops_carry=drops_carry,
        reverts=_overwritten(reader, record.name) if last else (),
    )


def _freed(before: Frozen, then: Frozen) -> int:
    return sum(int((mask & ~then.masks[key]).sum()) for key, mask in before.masks.items())


def _overwritten(reader: StoreReader, name: str) -> tuple[str, ...]:
    """The other tasks that have the weights of `name` because it overwrote theirs."""
    earlier = reader.task_names()[: reader.task_names().index(name)]
    return tuple(other for other in earlier if reader.record(other).isolation == "none")
