"""What a store says about itself in JSON: frozen dataclasses and their strict readers and writers.

Knows the shape of store.json and task.json; touches no disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final

from narrows.errors import StoreVersionError
from narrows.json_values import MisfitError, Most, Rule, from_plain
from narrows.store import names, strict_json
from narrows.store.durable import RESTORE, DamagedFileError, sha256
from narrows.subnet.spec import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor

VERSION: Final = 2
"""Of store.json: what writers make of any store. Version 1 has masks of version 1 only."""
TASK_VERSION: Final = 1
_USUAL: Final = ("float32", "float16", "bfloat16", "float64")
_MAX_SIZES: Final = 64  # of a shape: as many dimensions as torch knows; the product of more takes time without end
ISOLATIONS: Final = ("shared", "own", "none")
RESTORE_STORE: Final = (
    "restore store.json from a backup, or have it written anew by `narrows recover STORE`; the files of the tasks are "
    "untouched"
)
# No store is near these: who forges one may not take memory or time without end.
MAX_TASKS: Final = 50_000
MAX_SHARED: Final = 50_000  # parameters
MAX_PRIVATE: Final = 10_000  # patterns
MAX_BESIDE: Final = 256 << 20  # bytes of a file, beside 16 times those of the base
# The checksum of store.json stands at its very end and is computed with zeros in its own place.
_ZEROS: Final = b"0" * 64
_END: Final = re.compile(rb'"sha256": "([0-9a-f]{64})"\n\}\n\Z')


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


Sha256 = Annotated[str, Rule("be 64 lower-case hex digits", re.compile("[0-9a-f]{64}").fullmatch)]
Time = Annotated[str, Rule("be an ISO 8601 time", _is_time)]
Text = Annotated[str, Rule("be non-empty text", bool)]
TaskName = Annotated[str, Rule("be a task's name", lambda name: not names.name_fault(name))]
TaskDirectory = Annotated[
    str, Rule("be the plain name of a task's directory", lambda name: names.directory_index(name) is not None)
]


@dataclass(frozen=True)
class FileRef:
    """A file, its SHA-256 in hex and its size in bytes."""

    file: str
    sha256: Sha256
    bytes: int


@dataclass(frozen=True)
class CarryRef(FileRef):
    """Training state, and the name of the method that left it."""

    method: Text


@dataclass(frozen=True)
class SnapshotRef(FileRef):
    """What the first `tasks` of the list hold of the shared weights, gathered; it can be made anew from them."""

    tasks: int


@dataclass(frozen=True)
class TaskRef:
    """A task as store.json lists it; `sha256` is that of its task.json."""

    name: TaskName
    directory: TaskDirectory
    sha256: Sha256


@dataclass(frozen=True)
class StoreHeader:
    """The contents of store.json."""

    created: Time
    shared: Annotated[tuple[TensorSpec, ...], Most(MAX_SHARED)]
    private: Annotated[tuple[str, ...], Most(MAX_PRIVATE)]
    fingerprint: Sha256
    base: FileRef
    tasks: Annotated[tuple[TaskRef, ...], Most(MAX_TASKS)] = ()
    next_index: int = 0
    carry: CarryRef | None = None
    snapshot: SnapshotRef | None = None
    head: Text | None = None  # path of the module that tasks bring of their own; without meaning here
    model: dict[str, Any] | None = None  # how to build the network; without meaning here
    replaces: Sha256 | None = None  # SHA-256 of the store.json that this one takes the place of
    removing: tuple[str, ...] = ()  # SHA-256 of the task.json of each task directory that it no longer lists
    version: int = VERSION  # of the file that it was read from; the next change makes it the newest

    @cached_property
    def task_names(self) -> tuple[str, ...]:
        """The tasks' names, in order."""
        return tuple(task.name for task in self.tasks)

    @cached_property
    def positions(self) -> dict[str, int]:
        """Where each task stands in the list, by name."""
        return {name: position for position, name in enumerate(self.task_names)}

    @property
    def most_bytes(self) -> int:
        """The most that a file of the store may have, but for the base: masks, values, a head, a method's state."""
        return 16 * self.base.bytes + MAX_BESIDE


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
    task_json_bytes: int = field(default=0, compare=False)  # filled when read or written

    @property
    def bytes(self) -> int:
        """Size on disk of the task's files, task.json included, in bytes."""
        return self.task_json_bytes + sum(int(blob["bytes"]) for blob in self.blobs.values())


def utc_now() -> str:
    """The time now, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def fingerprint(shared: Sequence[TensorSpec], base: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names, shapes and dtypes of the shared parameters and of all base tensors."""
    listed = [asdict(TensorSpec.of(name, base[name])) for name in sorted(base)]
    return sha256(strict_json.canonical({"base": listed, "shared": [asdict(spec) for spec in shared]}))


def origin_of(header: StoreHeader) -> StoreHeader:
    """What origin.json holds: the same store without its tasks."""
    return replace(header, tasks=(), next_index=0, carry=None, snapshot=None, replaces=None, removing=())


def header_to_json(header: StoreHeader) -> bytes:
    """store.json, with its own checksum at its end."""
    strict_json.require_shallow(header.model, names.STORE_FILE)  # `asdict` goes as deep as it does
    values: dict[str, Any] = {"format": "narrows-store", "version": header.version} | asdict(header)
    for key in ("snapshot", "head", "model", "replaces", "removing"):
        if values[key] in (None, ()):
            del values[key]  # optional: stores without them are spelled as they always were
    values["sha256"] = _ZEROS.decode()
    data = strict_json.dump(values, names.STORE_FILE)
    start = data.rindex(_ZEROS)
    return data[:start] + sha256(data).encode() + data[start + len(_ZEROS) :]


def header_from_json(data: bytes, label: str = names.STORE_FILE) -> StoreHeader:
    """The header in `data`; `label` names the file. StoreVersionError, or DamagedFileError if amiss."""
    values = strict_json.parse(data, label, RESTORE_STORE)
    _require_version(values, "narrows-store", VERSION, label, RESTORE_STORE)
    end = _END.search(data)
    if not end or sha256(data[: end.start(1)] + _ZEROS + data[end.end(1) :]) != end[1].decode():
        raise DamagedFileError(label, "was altered: its own SHA-256 does not fit", RESTORE_STORE)
    with _misfits_named(label, RESTORE_STORE):
        for key in ("tasks", "next_index", "carry"):
            if key not in values:
                raise MisfitError(key, "is missing")
        header = from_plain(StoreHeader, values, unknown=True)
        _require_fitting(header)
    for file in filter(None, (header.carry, header.snapshot)):
        require_size(header, file.file, file.bytes, label, RESTORE_STORE)
    return header


def _require_fitting(header: StoreHeader) -> None:
    """MisfitError where what store.json says at one place does not go with what it says at others."""
    for i, spec in enumerate(header.shared):
        _require_spec(spec, f"shared[{i}]")
    for key, ref, fits in (
        ("base", header.base, lambda file: file == names.BASE_FILE),
        ("carry", header.carry, lambda file: names.carry_index(file) is not None),
        ("snapshot", header.snapshot, lambda file: names.snapshot_index(file) is not None),
    ):
        if ref and not fits(ref.file):
            raise MisfitError(f"{key}.file", "should be the plain name of a file of the store")
    if header.snapshot and not 0 < header.snapshot.tasks <= len(header.tasks):
        raise MisfitError("snapshot", "should be of 1 or more of the tasks listed")
    for key, found in (
        ("shared", [spec.name for spec in header.shared]),
        ("tasks", header.task_names),
        ("tasks", [names.directory_index(task.directory) for task in header.tasks]),
    ):
        if len(set(found)) != len(found):
            raise MisfitError(key, "holds an entry twice")
    if any((names.directory_index(task.directory) or 0) >= header.next_index for task in header.tasks):
        raise MisfitError("next_index", "should be above every task's index")
    # Every shared parameter lies in the base: this bounds what a mask may ask of the memory.
    if sum(spec.numel for spec in header.shared) > header.base.bytes:
        raise MisfitError("shared", "holds more elements than the base file has bytes")


def require_size(header: StoreHeader, file: str, size: int, label: str, remedy: str = RESTORE) -> None:
    """DamagedFileError where `label` says that `file` has more bytes than one of this store may."""
    if size > header.most_bytes:
        what = f"says that {file} has {size} bytes, more than {header.most_bytes}, the most in this store"
        raise DamagedFileError(label, what, remedy)


def task_to_json(record: TaskRecord) -> bytes:
    """task.json."""
    for part in (record.method, record.head, record.data, record.metrics, record.layers, record.blobs, record.history):
        strict_json.require_shallow(part, names.TASK_FILE)  # `asdict` goes as deep as they do
    values = {"format": "narrows-task", "version": TASK_VERSION} | asdict(record)
    del values["task_json_bytes"]
    if record.history is None:
        del values["history"]  # optional: tasks without it are spelled as they always were
    return strict_json.dump(values, names.TASK_FILE)


def task_from_json(data: bytes, label: str, remedy: str = RESTORE) -> TaskRecord:
    """The record in `data`; `label` names the file. StoreVersionError, or DamagedFileError if amiss."""
    values = strict_json.parse(data, label, remedy)
    _require_version(values, "narrows-task", TASK_VERSION, label, remedy)
    with _misfits_named(label, remedy):
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


@contextmanager
def _misfits_named(label: str, remedy: str) -> Iterator[None]:
    """What does not fit is damage of the file `label`."""
    try:
        yield
    except MisfitError as error:
        raise DamagedFileError(label, f"is not valid: {error}", remedy) from None


def _require_version(values: dict[str, Any], expected: str, newest: int, label: str, remedy: str) -> None:
    with _misfits_named(label, remedy):
        if values.get("format") != expected:
            raise MisfitError("format", f"is not {expected!r}")
        version = from_plain(int, values.get("version"), "version")
    if not 1 <= version <= newest:
        raise StoreVersionError(
            f"{label} is of format version {version}, and this narrows knows versions up to {newest} only; "
            "use the narrows that wrote it, or a newer one"
        )


def _require_spec(spec: TensorSpec, key: str) -> None:
    if len(spec.shape) > _MAX_SIZES:
        raise MisfitError(f"{key}.shape", f"has {len(spec.shape)} entries, more than {_MAX_SIZES}")
    if not spec.name:
        raise MisfitError(f"{key}.name", "should be non-empty text")
    if not _is_dtype(spec.dtype):
        raise MisfitError(f"{key}.dtype", "should be a dtype")


def _is_dtype(name: str) -> bool:
    """Whether torch has it; torch itself is asked about unusual ones only, as importing it takes seconds."""
    if name in _USUAL:
        return True
    import torch

    return isinstance(getattr(torch, name, None), torch.dtype)
