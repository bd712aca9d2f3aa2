"""Taking a task out of a store, and what later tasks need of it: worked out and checked before anything is written.

A value that the forgotten task claimed, and that later tasks reuse, is taken over by the first of them: it claims the
weight with that value, and those after it find it there. So every other task stays as it is to the last bit. Tasks
that take over, or had the forgotten one among their parents, get a new directory. Knows the format; touches no disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from narrows.errors import DamagedStoreError, StoreError
from narrows.store import change, content, snapshot
from narrows.store.change import StoreChange
from narrows.store.compose import composed, digest_of
from narrows.store.content import TaskContent
from narrows.store.durable import DamagedFileError
from narrows.store.header import StoreHeader
from narrows.store.reader import StoreReader
from narrows.store.records import TaskRecord
from narrows.subnet import Composition, Part, SubNetwork, TensorSpec

Revise = Callable[[TaskRecord, SubNetwork], TaskRecord]
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


def forget(reader: StoreReader, name: str, revise: Revise) -> tuple[Forgetting, StoreChange]:
    """What forgetting `name` does, and the change that does it.

    StoreError if a rewritten task would not have the weights it was committed with. DamagedStoreError where a damaged
    task keeps it from being known what later tasks reuse; a task that nobody builds on goes whatever is damaged,
    itself included. Where its record is lost its files are taken as they are: tasks that take values over must have
    the weights that they were committed with.
    """
    header, record = reader.header, _record_if_sound(reader, name)
    order = reader.task_names()
    later = {other: reader.record(other) for other in order[order.index(name) + 1 :]}
    needed = any(name in other.parents for other in later.values())
    gone = _subnet(reader, name, [other for other, one in later.items() if name in one.parents]) if needed else None
    after = _After(reader, name, gone, {} if gone is None else _inherit(reader, name, gone, later), later, revise)
    then = _gather(after)
    # Nobody knows whose the training state is where the record is lost: it goes with it.
    method = record.method["name"] if record else header.carry and header.carry.method
    left_by_it = method not in {other.method["name"] for other in later.values()}
    kept = None if header.carry and header.carry.method == method and left_by_it else header.carry
    changed, written = _change(replace(header, carry=kept), after, then)
    return _account(reader, name, record, later, after, then, changed, written), changed


def _record_if_sound(reader: StoreReader, name: str) -> TaskRecord | None:
    try:
        return reader.record(name)
    except DamagedStoreError:
        return None


def _subnet(reader: StoreReader, name: str, heirs: list[str]) -> SubNetwork:
    """What the task claims, whether or not its record is there to say that the files are as they were."""
    try:
        return reader.subnet(name) if _record_if_sound(reader, name) else reader.unproven_subnet(name)
    except DamagedFileError as error:
        remedy = f"restore this file from a backup, or forget first, the last first, what reuses it: {', '.join(heirs)}"
        raise DamagedFileError(error.file, error.what, remedy) from error


@dataclass(frozen=True, eq=False)
class _Heir:
    """A task that reuses weights of the forgotten one: the positions it takes over, by parameter, and its parents."""

    taken_over: dict[str, Tensor]
    parents: tuple[str, ...]

    @property
    def taken(self) -> int:
        return sum(map(len, self.taken_over.values()))


def _inherit(reader: StoreReader, name: str, gone: SubNetwork, later: dict[str, TaskRecord]) -> dict[str, _Heir]:
    """The tasks that reuse weights of `name`, with what they take over and the parents they have without it."""
    # Where a task that comes now would find the forgotten value: with the forgotten task, or with whom it went to.
    nowhere, here = -1, 0
    holder = {spec.name: torch.full((spec.numel,), nowhere, dtype=torch.int32) for spec in reader.shared}
    for key, part in gone.parts.items():
        holder[key][part.claimed] = here
    heirs: dict[str, _Heir] = {}
    holders = [name]
    for other, record in later.items():
        if record.isolation != "shared":
            continue
        mine: dict[str, Tensor] = {}
        found: set[int] = set()
        for key, (claimed, reused) in reader.outline(other).items():
            whose = holder[key][reused]
            mine[key] = reused[whose == here]
            found.update(torch.unique(whose).tolist())
            holder[key][claimed] = nowhere  # refined: those who come later find the new value
            holder[key][mine[key]] = len(holders)
        heirs_before = {holders[at] for at in found - {nowhere, here}}
        if name in record.parents:
            parents = heirs_before | set(record.parents) - {name}
            heirs[other] = _Heir(mine, tuple(known for known in reader.task_names() if known in parents))
        elif heirs_before or any(map(len, mine.values())):
            raise StoreError(f"{other!r} reuses weights of {name!r} and does not name it among its parents")
        holders.append(other)
    return heirs


def _with(theirs: SubNetwork, taken_over: dict[str, Tensor], gone: SubNetwork) -> SubNetwork:
    """The sub-network with these of its reused weights claimed, at the values of the forgotten task."""
    parts = {}
    for key, part in theirs.parts.items():
        mine, source = taken_over[key], gone.parts[key]
        values = source.values[torch.searchsorted(source.claimed, mine)]
        claimed, order = torch.cat([part.claimed, mine]).sort()
        reused = part.reused[~torch.isin(part.reused, mine, assume_unique=True)]
        parts[key] = Part(claimed, torch.cat([part.values, values])[order], reused)
    return SubNetwork(theirs.specs, parts)


class _After:
    """The store as it will be, to be read before it is written; it holds no tensor of the tasks that are left."""

    def __init__(
        self,
        reader: StoreReader,
        name: str,
        gone: SubNetwork | None,
        heirs: dict[str, _Heir],
        later: dict[str, TaskRecord],
        revise: Revise,
    ) -> None:
        self._reader, self._name, self._gone, self.heirs = reader, name, gone, heirs
        self.records = {other: replace(later[other], parents=heir.parents) for other, heir in heirs.items()}
        for other, heir in heirs.items():
            if heir.taken:
                self.records[other] = revise(self.records[other], self.subnet(other))

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        return self._reader.shared

    def task_names(self) -> tuple[str, ...]:
        return tuple(name for name in self._reader.task_names() if name != self._name)

    def record(self, name: str) -> TaskRecord:
        return self.records.get(name) or self._reader.record(name)

    def subnet(self, name: str) -> SubNetwork:
        found, heir = self._reader.subnet(name), self.heirs.get(name)
        return _with(found, heir.taken_over, self._gone) if heir and self._gone and heir.taken else found

    def private_of(self, name: str) -> dict[str, Tensor]:
        return self._reader.private_of(name)

    def blobs(self, name: str) -> dict[str, bytes]:
        if not self.heirs[name].taken:
            return self._reader.blobs(name)
        return content.encode(TaskContent(self.subnet(name), self.private_of(name)), self.shared)


class _Directories(Mapping[str, Mapping[str, bytes]]):
    """The files of the tasks that are rewritten, made anew when they are asked for: there may be a thousand.

    `tasks`: directory -> (record as it was, index).
    """

    def __init__(self, after: _After, tasks: dict[str, tuple[TaskRecord, int]]) -> None:
        self._after, self._tasks = after, tasks

    def __getitem__(self, directory: str) -> Mapping[str, bytes]:
        record, index = self._tasks[directory]
        return change.encode_task(record, self._after.blobs(record.name), index)[1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)


def _gather(after: _After) -> Composition | None:
    """What the tasks that are left hold; nothing may be written that gives one other weights than it had.

    None where a damaged task keeps it from being known. Tasks that are rewritten must not build on such a one.
    """
    composition = Composition(after.shared)
    for name in after.task_names():
        try:
            isolation = after.record(name).isolation
            subnet = after.subnet(name) if isolation == "shared" else None
        except StoreError:
            if name in after.records:
                raise
            continue
        if subnet and name in after.records:
            found = digest_of(after.records[name], composition.resolve(subnet), after.private_of(name))
            if found != after.records[name].weights_sha256:
                raise StoreError(
                    f"{name!r} would not keep the weights it was committed with; nothing was changed. "
                    "Verify the store: `narrows verify --deep`"
                )
        composition.add(name, isolation, subnet)
    return composition if composition.tasks == after.task_names() else None


def _change(header: StoreHeader, after: _After, then: Composition | None) -> tuple[StoreChange, int]:
    """The next store.json, the directories of the tasks that are rewritten, and a snapshot where there was one.

    And the bytes of what it writes beside store.json.
    """
    index, tasks, rewritten, written = header.next_index, [], {}, 0
    for ref in header.tasks:
        if ref.name in after.records:
            before = after.records[ref.name]
            record, files = change.encode_task(before, after.blobs(ref.name), index)
            tasks.append(change.ref_of(record, files))
            rewritten[record.directory] = (before, index)
            written += record.bytes
            index += 1
        elif ref.name in after.task_names():
            tasks.append(ref)
    # One more index than tasks need: a snapshot's name, too, is never used twice.
    header = replace(header, tasks=tuple(tasks), next_index=index + 1, snapshot=None)
    changed = StoreChange(header, _Directories(after, rewritten))
    if then and snapshot.due(changed.header):
        changed = change.with_snapshot(changed, then.held())
    return changed, written + sum(map(len, changed.files.values()))


def _account(
    reader: StoreReader,
    name: str,
    record: TaskRecord | None,
    later: dict[str, TaskRecord],
    after: _After,
    then: Composition | None,
    changed: StoreChange,
    written: int,
) -> Forgetting:
    header = reader.header
    gone = (record.bytes if record else 0) + sum(later[other].bytes for other in after.heirs)
    drops_carry = header.carry is not None and changed.header.carry is None
    gone += sum(ref.bytes for ref in (header.snapshot, header.carry if drops_carry else None) if ref)
    try:
        before = composed(reader) if then else None
    except StoreError:
        before = None
    last = (
        record is not None
        and record.isolation == "none"
        and not any(other.isolation == "none" for other in later.values())
    )
    return Forgetting(
        name=name,
        kept_for={other: heir.taken for other, heir in after.heirs.items()},
        freed=_freed(before, then) if before and then else None,
        values=before.kept - then.kept if before and then else None,
        bytes=gone - written,
        learned_after=tuple(name for name, other in later.items() if other.isolation != "own"),
        drops_carry=drops_carry,
        reverts=_overwritten(reader, name) if last else (),
    )


def _freed(before: Composition, then: Composition) -> int:
    then_held = then.masks()
    return sum(int((mask & ~then_held[key]).sum()) for key, mask in before.masks().items())


def _overwritten(reader: StoreReader, name: str) -> tuple[str, ...]:
    """The other tasks that have the weights of `name` because it overwrote theirs."""
    earlier = reader.task_names()[: reader.task_names().index(name)]
    return tuple(other for other in earlier if reader.record(other).isolation == "none")
