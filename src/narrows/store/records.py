"""What task.json says of a task: a frozen dataclass and its strict reader and writer. Touches no disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from narrows.store import names, strict_json
from narrows.store.durable import RESTORE
from narrows.store.fields import version_of

TASK_VERSION: Final = 2
"""Of task.json. Version 1 has a digest of the task's whole network, version 2 of what the task consists of."""
ISOLATIONS: Final = ("shared", "own", "none")


@dataclass(frozen=True)
class TaskRecord:
    """The contents of a task.json. The caller of `append` leaves index, directory and blobs to it."""

    name: str
    index: int
    directory: str
    created: str
    isolation: str
    method: dict[str, Any]
    head: dict[str, Any] | None
    data: dict[str, Any]
    metrics: dict[str, Any]
    seconds: float | None
    parents: tuple[str, ...]
    layers: dict[str, Any]
    weights_sha256: str
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
    fields = strict_json.parse(data, label, remedy)
    version = version_of(fields, "narrows-task", TASK_VERSION)
    fields.inside("method").text("name")
    record = TaskRecord(
        name=fields.text("name", lambda name: not names.name_fault(name), "be a task's name"),
        index=fields.integer("index"),
        directory=fields.text("directory", names.is_task_directory, "be a task's directory"),
        created=fields.time("created"),
        isolation=fields.text("isolation", ISOLATIONS.__contains__, f"be one of {', '.join(ISOLATIONS)}"),
        method=fields.mapping("method"),
        head=fields.optional_mapping("head"),
        data=fields.mapping("data"),
        metrics=fields.mapping("metrics"),
        seconds=fields.seconds("seconds"),
        parents=fields.texts("parents"),
        layers=fields.mapping("layers"),
        weights_sha256=fields.sha256("weights_sha256"),
        blobs=fields.mapping("blobs"),
        history=fields.mapping("history") if fields.has("history") else None,
        version=version,
        task_json_bytes=len(data),
    )
    blobs = fields.inside("blobs")
    if set(record.blobs) != set(names.BLOB_FILES):
        fields.fail("blobs", f"should list {', '.join(names.BLOB_FILES)}")
    for name in names.BLOB_FILES:
        blobs.inside(name).sha256("sha256")
        blobs.inside(name).integer("bytes")
    if names.directory_index(record.directory) != record.index:
        fields.fail("index", "is not that of its directory")
    return record
