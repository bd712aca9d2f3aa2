"""What a change will put on disk, worked out and checked before the first byte is written.

Knows the format; touches no disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from narrows.errors import StoreError
from narrows.store import content, durable, names, records, snapshot, tensors_file
from narrows.store.content import TaskContent
from narrows.store.durable import DamagedFileError
from narrows.store.header import (
    MAX_PRIVATE,
    MAX_SHARED,
    MAX_TASKS,
    CarryRef,
    FileRef,
    SnapshotRef,
    StoreHeader,
    TaskRef,
    fingerprint,
)
from narrows.store.records import TaskRecord
from narrows.subnet import Held, TensorSpec


@dataclass(frozen=True)
class StoreChange:
    """The next store.json, and what it lists anew.

    Attributes:
        header: the next store.json.
        directories: of tasks, under tasks/: name -> its files by plain name; may make them when they are asked for.
        files: training state and the like: path from the store -> bytes.
    """

    header: StoreHeader
    directories: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


def new_header(
    base: Mapping[str, Tensor],
    shared: Sequence[TensorSpec],
    private: Sequence[str],
    model: Mapping[str, Any] | None = None,
    head: str | None = None,
) -> StoreHeader:
    """The header of a store without tasks, but for its base file's hash and size."""
    return StoreHeader(
        created=records.utc_now(),
        shared=_checked_shared(base, shared),
        private=_checked_private(private),
        fingerprint=fingerprint(shared, base),
        base=FileRef(names.BASE_FILE, "", 0),
        head=head,
        model=None if model is None else dict(model),
    )


def add_task(
    header: StoreHeader, record: TaskRecord, tensors: TaskContent, carry: Mapping[str, Tensor] | None
) -> tuple[TaskRecord, StoreChange]:
    """The completed record, as it will be read back, and the change that commits it.

    TaskExistsError, ConfigError for the name, StoreError if record or tensors cannot be stored.
    """
    names.require_new(record.name, header.task_names)
    if len(header.tasks) >= MAX_TASKS:
        raise StoreError(f"the store holds {len(header.tasks)} tasks, the most that one may; begin another store")
    index = header.next_index
    record, task_files = encode_task(record, content.encode(tensors, header.shared), index)
    _require_sizes(header, task_files)
    method = str(record.method["name"])
    files = {}
    # Another method's state outlives this task; this method's own would be stale.
    kept = header.carry if header.carry and header.carry.method != method else None
    if carry is not None:
        file = names.carry_file(index)
        files[file] = state = tensors_file.encode(carry, file)
        _require_sizes(header, files)
        kept = CarryRef(file, durable.sha256(state), len(state), method)
    changed = replace(header, tasks=(*header.tasks, ref_of(record, task_files)), next_index=index + 1, carry=kept)
    return record, StoreChange(changed, {record.directory: task_files}, files)


def with_snapshot(change: StoreChange, held: Held) -> StoreChange:
    """The same change with a snapshot of what all its tasks hold."""
    file = names.snapshot_file(change.header.next_index - 1)
    data = snapshot.encode(held, file)
    _require_sizes(change.header, {file: data})
    ref = SnapshotRef(file, durable.sha256(data), len(data), len(held.tasks))
    return replace(change, header=replace(change.header, snapshot=ref), files={**change.files, file: data})


def reshape(
    header: StoreHeader, base: Mapping[str, Tensor], shared: Sequence[TensorSpec], private: Sequence[str]
) -> StoreChange:
    """The change that shares other base tensors. StoreError if there are tasks, or they do not fit."""
    if header.tasks:
        raise StoreError(f"what is shared cannot change any more: the store holds {len(header.tasks)} tasks")
    fresh = new_header(base, shared, private)
    return StoreChange(replace(header, shared=fresh.shared, private=fresh.private, fingerprint=fresh.fingerprint))


def encode_task(record: TaskRecord, blobs: Mapping[str, bytes], index: int) -> tuple[TaskRecord, dict[str, bytes]]:
    """The record under this index, as it will be read back, and every file of its directory.

    A record that was created before keeps its time. StoreError if it cannot be stored.
    """
    filled = replace(
        record,
        index=index,
        directory=names.task_directory(index, record.name),
        created=record.created or records.utc_now(),
        blobs={name: {"sha256": durable.sha256(data), "bytes": len(data)} for name, data in blobs.items()},
    )
    data = records.task_to_json(filled)
    try:
        # What the reader would refuse must not be written.
        return records.task_from_json(data, names.TASK_FILE), {**blobs, names.TASK_FILE: data}
    except DamagedFileError as error:
        raise StoreError(f"the record of {record.name!r} cannot be stored: it {error.what}") from error


def ref_of(record: TaskRecord, files: Mapping[str, bytes]) -> TaskRef:
    """How store.json lists the task."""
    return TaskRef(record.name, record.directory, durable.sha256(files[names.TASK_FILE]))


def _checked_private(private: Sequence[str]) -> tuple[str, ...]:
    if len(private) > MAX_PRIVATE:
        raise StoreError(f"{len(private)} patterns of what is private cannot be kept, {MAX_PRIVATE} are the most")
    return tuple(private)


def _require_sizes(header: StoreHeader, files: Mapping[str, bytes]) -> None:
    """StoreError where a file is larger than readers will take it to be."""
    for name, data in files.items():
        if len(data) > header.most_bytes:
            raise StoreError(
                f"{name} would have {len(data)} bytes, more than {header.most_bytes}, the most beside a base of "
                f"{header.base.bytes}: let tasks keep less for themselves, or begin from a larger network"
            )


def _checked_shared(base: Mapping[str, Tensor], shared: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    for spec in shared:
        if spec.name not in base or TensorSpec.of(spec.name, base[spec.name]) != spec:
            raise StoreError(f"the shared parameter {spec} is not a tensor of the base network")
    if len(shared) > MAX_SHARED:
        raise StoreError(f"{len(shared)} parameters cannot be shared, {MAX_SHARED} are the most")
    if len({spec.name for spec in shared}) != len(shared):
        raise StoreError("a shared parameter is listed twice")
    return tuple(shared)
