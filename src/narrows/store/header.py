"""What store.json says of a store: frozen dataclasses and their strict reader and writer. Touches no disk."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from narrows.store import names, strict_json
from narrows.store.durable import RESTORE, DamagedFileError, sha256
from narrows.store.fields import Fields, version_of
from narrows.subnet.spec import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor

VERSION: Final = 2
"""Of store.json: what writers make of any store. Version 1 has masks of version 1 only."""
_USUAL: Final = ("float32", "float16", "bfloat16", "float64")
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


@dataclass(frozen=True)
class FileRef:
    """A file, its SHA-256 in hex and its size in bytes."""

    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class CarryRef(FileRef):
    """Training state, and the name of the method that left it."""

    method: str


@dataclass(frozen=True)
class SnapshotRef(FileRef):
    """What the first `tasks` of the list hold of the shared weights, gathered; it can be made anew from them."""

    tasks: int


@dataclass(frozen=True)
class TaskRef:
    """A task as store.json lists it; `sha256` is that of its task.json."""

    name: str
    directory: str
    sha256: str


@dataclass(frozen=True)
class StoreHeader:
    """The contents of store.json."""

    created: str
    shared: tuple[TensorSpec, ...]
    private: tuple[str, ...]
    fingerprint: str
    base: FileRef
    tasks: tuple[TaskRef, ...] = ()
    next_index: int = 0
    carry: CarryRef | None = None
    snapshot: SnapshotRef | None = None
    head: str | None = None  # path of the module that tasks bring of their own; without meaning here
    model: dict[str, Any] | None = None  # how to build the network; without meaning here
    replaces: str | None = None  # SHA-256 of the store.json that this one takes the place of
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
    fields = strict_json.parse(data, label, RESTORE_STORE)
    version = version_of(fields, "narrows-store", VERSION)
    end = _END.search(data)
    if not end or sha256(data[: end.start(1)] + _ZEROS + data[end.end(1) :]) != end[1].decode():
        raise DamagedFileError(label, "was altered: its own SHA-256 does not fit", RESTORE_STORE)
    header = StoreHeader(
        created=fields.time("created"),
        shared=tuple(_spec(item) for item in fields.objects("shared", MAX_SHARED)),
        private=fields.texts("private", MAX_PRIVATE),
        fingerprint=fields.sha256("fingerprint"),
        base=_file(fields.inside("base"), lambda file: file == names.BASE_FILE),
        tasks=tuple(_task_ref(item) for item in fields.objects("tasks", MAX_TASKS)),
        next_index=fields.integer("next_index"),
        carry=None if fields.get("carry") is None else _carry(fields.inside("carry")),
        snapshot=_snapshot(fields.inside("snapshot")) if fields.has("snapshot") else None,
        head=fields.text("head") if fields.has("head") else None,
        model=fields.mapping("model") if fields.has("model") else None,
        replaces=fields.sha256("replaces") if fields.has("replaces") else None,
        removing=fields.texts("removing") if fields.has("removing") else (),
        version=version,
    )
    if header.snapshot and not 0 < header.snapshot.tasks <= len(header.tasks):
        fields.fail("snapshot", "should be of 1 or more of the tasks listed")
    for key, found in (
        ("shared", [spec.name for spec in header.shared]),
        ("tasks", header.task_names),
        ("tasks", [names.directory_index(task.directory) for task in header.tasks]),
    ):
        if len(set(found)) != len(found):
            fields.fail(key, "holds an entry twice")
    if any((names.directory_index(task.directory) or 0) >= header.next_index for task in header.tasks):
        fields.fail("next_index", "should be above every task's index")
    for file in filter(None, (header.carry, header.snapshot)):
        require_size(header, file.file, file.bytes, label, RESTORE_STORE)
    # Every shared parameter lies in the base: this bounds what a mask may ask of the memory.
    if sum(spec.numel for spec in header.shared) > header.base.bytes:
        fields.fail("shared", "holds more elements than the base file has bytes")
    return header


def require_size(header: StoreHeader, file: str, size: int, label: str, remedy: str = RESTORE) -> None:
    """DamagedFileError where `label` says that `file` has more bytes than one of this store may."""
    if size > header.most_bytes:
        what = f"says that {file} has {size} bytes, more than {header.most_bytes}, the most in this store"
        raise DamagedFileError(label, what, remedy)


def _spec(fields: Fields) -> TensorSpec:
    dtype = fields.text("dtype", _is_dtype, "be a dtype")
    return TensorSpec(fields.text("name"), fields.shape("shape"), dtype)


def _is_dtype(name: str) -> bool:
    """Whether torch has it; torch itself is asked about unusual ones only, as importing it takes seconds."""
    if name in _USUAL:
        return True
    import torch

    return isinstance(getattr(torch, name, None), torch.dtype)


def _file(fields: Fields, accept: Any) -> FileRef:
    file = fields.text("file", accept, "be the plain name of a file of the store")
    return FileRef(file, fields.sha256("sha256"), fields.integer("bytes"))


def _carry(fields: Fields) -> CarryRef:
    file = _file(fields, lambda file: names.carry_index(file) is not None)
    return CarryRef(file.file, file.sha256, file.bytes, fields.text("method"))


def _snapshot(fields: Fields) -> SnapshotRef:
    file = _file(fields, lambda file: names.snapshot_index(file) is not None)
    return SnapshotRef(file.file, file.sha256, file.bytes, fields.integer("tasks"))


def _task_ref(fields: Fields) -> TaskRef:
    name = fields.text("name", lambda name: not names.name_fault(name), "be a task's name")
    directory = fields.text("directory", names.is_task_directory, "be the plain name of a task's directory")
    return TaskRef(name, directory, fields.sha256("sha256"))
