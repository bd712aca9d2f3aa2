"""What store.json says of a store: frozen dataclasses and their strict reader and writer. Touches no disk."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final

from narrows.json_values import MisfitError, Most, from_plain
from narrows.store import names, strict_json
from narrows.store.durable import RESTORE, DamagedFileError, sha256
from narrows.store.rules import Sha256, TaskDirectory, TaskName, Text, Time, misfits_named, version_of
from narrows.subnet.spec import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor

VERSION: Final = 2
"""Of store.json: what writers make of any store. Version 1 has masks of version 1 only."""
_USUAL: Final = ("float32", "float16", "bfloat16", "float64")
_MAX_SIZES: Final = 64  # of a shape: as many dimensions as torch knows; the product of more takes time without end
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
    version_of(values, "narrows-store", VERSION, label, RESTORE_STORE)
    end = _END.search(data)
    if not end or sha256(data[: end.start(1)] + _ZEROS + data[end.end(1) :]) != end[1].decode():
        raise DamagedFileError(label, "was altered: its own SHA-256 does not fit", RESTORE_STORE)
    with misfits_named(label, RESTORE_STORE):
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
