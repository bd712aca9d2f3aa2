"""Writing store.json anew from what is sound: after it was lost or damaged, or an older one was put back.

What store.json lists stays listed. Taken back are whole tasks that it does not list, in the order in which they were
learned, where everything they build on is there. Knows the format; only `recover` itself writes, and only store.json.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from narrows.errors import DamagedStoreError, StoreError, UnknownNameError
from narrows.memory import enough_memory
from narrows.store import bounded, commit, durable, names, strict_json
from narrows.store.compose import digest_of
from narrows.store.durable import DamagedFileError
from narrows.store.header import VERSION, StoreHeader, TaskRef, header_from_json
from narrows.store.listing import read_header
from narrows.store.lock import StoreLock
from narrows.store.reader import StoreReader
from narrows.store.records import TaskRecord
from narrows.store.unlisted import free_index, unlisted
from narrows.subnet import Composition, resolved

_REMEDY = "put any store.json of this store, however old, from a backup into its place, and recover again"
DAMAGED_COPY = "store.json.damaged"


@dataclass(frozen=True)
class Recovery:
    """What recovering a store does, or would do.

    Attributes:
        lost: what was wrong with store.json; None where it is sound.
        tasks: the tasks that the store has then, in order.
        taken_back: those of them that store.json did not list, or listed as they were before.
        damaged: name -> what is wrong with files of such a task: it is listed, so that they can be restored.
        left: whole tasks that are left out: path from the store -> why.
        drops_carry: whether the training state for the next task is given up: nothing says that it is as it was.
    """

    lost: str | None
    tasks: tuple[str, ...]
    taken_back: tuple[str, ...]
    damaged: dict[str, str]
    left: dict[str, str]
    drops_carry: bool

    @property
    def changes(self) -> bool:
        """Whether there is anything to be done."""
        return self.lost is not None or bool(self.taken_back) or self.drops_carry


@enough_memory("recover the store")
def recover(path: str | os.PathLike[str], *, also: Collection[str] = (), dry_run: bool = False) -> Recovery:
    """Write store.json anew from the whole tasks in the store at `path`, all or nothing; every file of theirs stays.

    Args:
        also: names of tasks to take back though this store has given them up: those that `Recovery.left` names.
        dry_run: only say what would happen.

    A damaged store.json is kept as store.json.damaged. Tasks that were forgotten are not taken back; but where
    store.json is lost nothing tells one whose removal was cut short from the others: look at the list first.

    Raises:
        DamagedStoreError: store.json and origin.json are lost, or the base is.
        StoreMissingError: there is no store. StoreVersionError: it is of another format.
        UnknownNameError: there is nothing to take back of a name in `also`.
        StoreLockedError: somebody is writing the store. StoreError: the disk fails.
    """
    root = Path(path)
    if dry_run:
        return _plan(root, also)[0]
    with StoreLock(root):
        recovery, header = _plan(root, also)
        if recovery.changes:
            try:
                if recovery.lost is not None and (root / names.STORE_FILE).is_file():
                    _keep(root / names.STORE_FILE, root / DAMAGED_COPY)
                commit.write_origin(root, header)
                commit.write_header(root, header)
            except OSError as error:
                raise StoreError(
                    f"nothing was recovered in {root}, which is as it was: {error}; make room or mend the disk, then "
                    "recover again"
                ) from error
        return recovery


def _keep(damaged: Path, copy: Path) -> None:
    try:
        durable.replace(copy, bounded.read_bytes(damaged, strict_json.MAX_JSON))
    except bounded.UnfitFileError:  # larger than any store.json: it is moved, and not read
        os.replace(damaged, copy)


@dataclass(frozen=True)
class _Candidate:
    """A task as store.json lists it, or as it lies there unlisted (`file`); `record` None where that is not sound."""

    ref: TaskRef
    record: TaskRecord | None
    rank: tuple[int, str, int]
    file: str = ""


def _plan(root: Path, also: Collection[str]) -> tuple[Recovery, StoreHeader]:
    old, lost = _header(root)
    StoreReader(root, old).base()  # no task can be begun without it
    left: dict[str, str] = {}
    damaged: dict[str, str] = {}
    kept: list[_Candidate] = []
    at: dict[str, int] = {}  # where in `kept` each stands
    composition = Composition(old.shared)
    for candidate in _in_order(_candidates(root, old, also, left), left):
        name = candidate.ref.name
        parents = set(candidate.record.parents if candidate.record else ())
        without = parents.difference(at)
        if without and candidate.file:
            left[candidate.file] = f"it builds on {', '.join(sorted(without))}, which is left out"
            continue
        try:
            before = [kept[position].ref for position in sorted(at[parent] for parent in parents - without)]
            header = replace(old, tasks=(*before, candidate.ref))
            whole = len(composition.tasks) == len(kept)
            why = _fault(StoreReader(root, header), name, composition, whole=whole)
        except DamagedStoreError as error:
            why, damaged[name] = None, str(error)
        if why and candidate.file:
            left[candidate.file] = why
        else:
            at[name] = len(kept)
            kept.append(candidate)
    taken = [item for item in kept if item.file]
    drops = _drops_carry(root, old, taken) if lost is None else bool(list((root / names.CARRY_DIR).glob("*")))
    header = replace(old, tasks=tuple(item.ref for item in kept), snapshot=None, carry=None if drops else old.carry)
    header = replace(
        header,
        version=VERSION,
        replaces=None,
        next_index=free_index(root, replace(header, next_index=_above(kept, old))),
    )
    all_names = tuple(item.ref.name for item in kept)
    return Recovery(lost, all_names, tuple(item.ref.name for item in taken), damaged, left, drops), header


def _header(root: Path) -> tuple[StoreHeader, str | None]:
    """What store.json says; where it is lost what origin.json says, and what is wrong with store.json."""
    try:
        return read_header(root), None
    except DamagedStoreError as error:
        lost = error.what if isinstance(error, DamagedFileError) else str(error)
    try:
        data = durable.read(root / names.ORIGIN_FILE, names.ORIGIN_FILE, strict_json.MAX_JSON, _REMEDY)
        return header_from_json(data, names.ORIGIN_FILE), lost
    except DamagedFileError as error:
        what = f"{lost}, and {names.ORIGIN_FILE}, by which it could be written anew, {error.what}"
        raise DamagedFileError(names.STORE_FILE, what, _REMEDY) from error


def _candidates(root: Path, old: StoreHeader, also: Collection[str], left: dict[str, str]) -> list[_Candidate]:
    """Every task there is or was, first those that are listed, then in the order in which they were learned."""
    place = {ref.name: at for at, ref in enumerate(old.tasks)}
    found: list[_Candidate] = []
    reader = StoreReader(root, old)
    for ref in old.tasks:
        try:
            record = reader.record(ref.name)
        except DamagedStoreError:
            record = None
        found.append(_Candidate(ref, record, (place[ref.name], "", -1)))
    there = [item for item in unlisted(root, old) if item.kind in ("newer", "older") and item.record]
    given = sorted(names.directory_index(ref.directory) or 0 for ref in old.tasks)
    given = sorted([*given, *(item.record.index for item in there if item.record)])
    # Where none was ever forgotten the index is the order of learning; else a rewritten task has a later index, and
    # the time at which it was learned.
    timed = given != list(range(len(given)))
    for item in there:
        assert item.record is not None
        record = item.record
        if item.kind == "older" and record.name not in also:
            left[item.file] = "it was forgotten, or left out before; `--also NAME` takes it back"
            continue
        at = place.get(record.name, len(place))
        rank = (at, record.created if timed and record.name not in place else "", record.index)
        found.append(_Candidate(TaskRef(record.name, record.directory, item.sha256), record, rank, item.file))
    unknown = set(also) - {item.ref.name for item in found}
    if unknown:
        raise UnknownNameError(f"there is no whole task {sorted(unknown)[0]!r} to take back in {root}")
    return sorted(found, key=lambda item: item.rank)


def _in_order(candidates: list[_Candidate], left: dict[str, str]) -> list[_Candidate]:
    """Those of which all that they build on comes before them; of several of a name the first that does so.

    A task whose record is lost keeps its place in the list, unless it lies there whole under another index.
    """
    whole = {item.ref.name for item in candidates if item.record}
    waiting = [item for item in candidates if item.record or item.ref.name not in whole]
    placed: list[_Candidate] = []
    known: dict[str, int] = {}  # where in `placed` each stands
    put_off: list[_Candidate] = []
    for item in waiting:
        put_off.append(item)
        while ready := next((item for item in put_off if _is_ready(item, known)), None):
            put_off.remove(ready)
            known[ready.ref.name] = len(placed)
            placed.append(ready)
    done = set(map(id, placed))
    for item in [item for item in candidates if id(item) not in done]:
        if item.file and item.record:
            missing = ", ".join(parent for parent in item.record.parents if parent not in known)
            other = "there is another of that name" if item.ref.name in known else "what it builds on comes after it"
            left[item.file] = f"it builds on {missing}, whose task.json is lost: restore it" if missing else other
        elif item.ref.name not in known:  # listed, and damaged: it stays listed, where it was
            at = sum(other.rank < item.rank for other in placed)
            placed.insert(at, item)
    return placed


def _is_ready(item: _Candidate, known: Mapping[str, int]) -> bool:
    if item.ref.name in known:
        return False
    places = [known.get(parent, -1) for parent in (item.record.parents if item.record else ())]
    return -1 not in places and all(one < next_one for one, next_one in pairwise(places))


def _fault(reader: StoreReader, name: str, before: Composition, *, whole: bool) -> str | None:
    """Why the task, the last of the list, cannot be what was committed, None where it is; takes it into `before`.

    `whole`: whether all tasks before it are in there. DamagedStoreError where its files are damaged. What builds on a
    damaged task cannot be judged, and passes.
    """
    record = reader.record(name)
    content = reader.content(name)
    shared = record.isolation == "shared"
    if not shared or set(record.parents) <= set(before.tasks):
        subnet = before.resolve(content.subnet) if shared else resolved(content.subnet, ())
        if digest_of(record, subnet, content.private) != record.weights_sha256:
            return "it does not give the weights that were committed"
        if shared and whole and record.parents != before.parents(content.subnet):
            return "it names other parents than the tasks whose weights it reuses"
    before.add(name, record.isolation, content.subnet)
    return None


def _drops_carry(root: Path, old: StoreHeader, taken: Sequence[_Candidate]) -> bool:
    """Whether the training state is gone, or older than a task of its method that is taken back."""
    if old.carry is None:
        return False
    if any(item.record and item.record.method["name"] == old.carry.method for item in taken):
        return True
    try:
        StoreReader(root, old).carry(old.carry.method)
    except DamagedStoreError:
        return True
    return False


def _above(kept: Sequence[_Candidate], old: StoreHeader) -> int:
    return max([old.next_index, *(1 + (names.directory_index(item.ref.directory) or 0) for item in kept)])
