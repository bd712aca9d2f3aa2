"""What task.json says of a task: a frozen dataclass and its strict reader and writer. Touches no disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from narrows.json_values import MisfitError, Rule, from_plain
from narrows.store import names, strict_json
from narrows.store.durable import RESTORE
from narrows.store.rules import Sha256, TaskDirectory, TaskName, Text, Time, misfits_named, version_of

TASK_VERSION: Final = 2
"""Of task.json. Version 1 has a digest of the task's whole network, version 2 of what the task consists of."""
ISOLATIONS: Final = ("shared", "own", "none")


@dataclass(frozen=True)
class TaskRecord:
    """The contents of a task.json. The caller of `append` leaves index, directory and blobs to it."""

    name: TaskName
    index: int
    directory: TaskDirectory
    created: Time
    isolation: Annotated[str, Rule(f"be one of {', '.join(ISOLATIONS)}", ISOLATIONS.__contains__)]
    method: dict[str, Any]
    head: dict[str, Any] | None
    data: dict[str, Any]
    metrics: dict[str, Any]
    seconds: Annotated[float, Rule("be seconds, zero or more", lambda seconds: 0 <= seconds < 1e18)] | None
    parents: tuple[str, ...]
    layers: dict[str, Any]
    weights_sha256: Sha256
    blobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    history: dict[str, Any] | None = None  # how it was trained; without meaning here
    version: int = TASK_VERSION  # a task that is rewritten keeps its own
    task_json_bytes: int = field(default=0, compare=False)  # filled when read or written

    @property
    def bytes(self) -> int:
        """Size on disk of the task's files, task.json included, in bytes."""
        return self.task_json_bytes + sum(int(blob["bytes"]) for blob in self.blobs.values())


def utc_now() -> str:
    """The time now, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def task_to_json(record: TaskRecord) -> bytes:
    """task.json."""
    for part in (record.method, record.head, record.data, record.metrics, record.layers, record.blobs, record.history):
        strict_json.require_shallow(part, names.TASK_FILE)  # `asdict` goes as deep as they do
    values = {"format": "narrows-task", "version": record.version} | asdict(record)
    del values["task_json_bytes"]
    if record.history is None:
        del values["history"]  # optional: tasks without it are spelled as they always were
    return strict_json.dump(values, names.TASK_FILE)


def task_from_json(data: bytes, label: str, remedy: str = RESTORE) -> TaskRecord:
    """The record in `data`; `label` names the file. StoreVersionError, or DamagedFileError if amiss."""
    values = strict_json.parse(data, label, remedy)
    version_of(values, "narrows-task", TASK_VERSION, label, remedy)
    with misfits_named(label, remedy):
        record = replace(from_plain(TaskRecord, values, unknown=True), task_json_bytes=len(data))
        from_plain(_Named, record.method, "method", unknown=True)
        if set(record.blobs) != set(names.BLOB_FILES):
            raise MisfitError("blobs", f"should list {', '.join(names.BLOB_FILES)}")
        for name, blob in record.blobs.items():
            from_plain(_Blob, blob, f"blobs.{name}", unknown=True)
        if names.directory_index(record.directory) != record.index:
            raise MisfitError("index", "is not that of its directory")
    return record


@dataclass(frozen=True)
class _Named:
    name: Text


@dataclass(frozen=True)
class _Blob:
    sha256: Sha256
    bytes: int
