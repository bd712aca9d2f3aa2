"""The operations that are harmed, and the range where each is harmed again and again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torture_store import LEARNING, append_another, harmful, learn, network, state

import narrows as nw
from disk_faults import Fault, Killed
from narrows.store import recover


@dataclass(frozen=True)
class Operation:
    """Something done to a store. `ready` makes all ready and gives the call that touches the disk.

    `exact`: where it raises, nothing was changed. Otherwise the disk's last word may have been lost.
    """

    name: str
    ready: Callable[[Path], AbstractContextManager[Callable[[], object]]]
    starts_empty: bool = False
    exact: bool = True


@contextmanager
def _create(path: Path) -> Iterator[Callable[[], object]]:
    model = network()
    yield lambda: nw.TaskStore.create(path, model)


@contextmanager
def _commit(path: Path) -> Iterator[Callable[[], object]]:
    with learn(nw.TaskStore.open(path, network()), LEARNING, nw.WSN(density=0.3)) as task:
        yield task.commit


def _forget(name: str) -> Callable[[Path], AbstractContextManager[Callable[[], object]]]:
    @contextmanager
    def ready(path: Path) -> Iterator[Callable[[], object]]:
        store = nw.TaskStore.open(path, network())
        yield lambda: store.forget(name)

    return ready


@contextmanager
def _compact(path: Path) -> Iterator[Callable[[], object]]:
    (path / "tasks/.new-0099-killed").mkdir()
    (path / "tasks/.new-0099-killed/mask.bin").write_bytes(b"half")
    yield nw.TaskStore.open(path, network()).compact


@contextmanager
def _commit_with_snapshot(path: Path) -> Iterator[Callable[[], object]]:
    """The eighth task, with which a snapshot is written."""
    for number in range(4):
        append_another(path, f"small {number}")
    with _commit(path) as act:
        yield act


@contextmanager
def _recover_older(path: Path) -> Iterator[Callable[[], object]]:
    """An older store.json is put back: two tasks are not listed."""
    older = (path / "store.json").read_bytes()
    append_another(path, "small 0")
    append_another(path, "small 1")
    (path / "store.json").write_bytes(older)
    yield lambda: recover(path)


@contextmanager
def _save(path: Path) -> Iterator[Callable[[], object]]:
    tree = {"step": 2, "scores": [torch.ones(5)]}
    yield lambda: nw.TaskStore.open(path).checkpoint(LEARNING).save(tree)


@contextmanager
def _drop(path: Path) -> Iterator[Callable[[], object]]:
    yield nw.TaskStore.open(path).checkpoint(LEARNING).drop


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("create", _create, starts_empty=True),
        Operation("commit", _commit),
        Operation("commit with snapshot", _commit_with_snapshot),
        Operation("forget, two dependants", _forget("root")),
        Operation("forget, none", _forget("leaf")),
        Operation("compact", _compact),
        Operation("recover", _recover_older),
        Operation("save checkpoint", _save, exact=False),
        Operation("drop checkpoint", _drop, exact=False),
    )
}


@dataclass
class Range:
    """Where an operation is harmed again and again: each time on a fresh copy of the same store, beside a neighbour."""

    operation: Operation
    here: Path
    prepared: Path
    old: Any = field(init=False)
    new: Any = field(init=False)

    def __post_init__(self) -> None:
        self.neighbour = {"neighbour/mine.txt": b"mine", "neighbour/tasks/0000-mine/task.json": b"mine"}
        root = self.fresh()
        with self.operation.ready(root) as act:
            self.old = state(root)
            act()
        self.new = state(root)
        assert (self.old != self.new) == (self.operation.name != "compact")

    def fresh(self) -> Path:
        """A fresh copy of the store, as it is before the operation."""
        shutil.rmtree(self.here, ignore_errors=True)
        for name, data in self.neighbour.items():
            (self.here / name).parent.mkdir(parents=True, exist_ok=True)
            (self.here / name).write_bytes(data)
        root = self.here / "store"
        if not self.operation.starts_empty:
            shutil.copytree(self.prepared, root)
        return root

    def calls(self) -> list[str]:
        """The calls of the counting layer that the operation makes, unharmed."""
        count = Fault(1 << 30, Killed, for_ever=False)
        with self.operation.ready(self.fresh()) as act, count.active():
            act()
        return count.passed

    def check(self) -> str:
        """Which of the two the store is, "old" or "new". Fails where it is neither, or cannot be gone on with."""
        root = self.here / "store"
        found = state(root)
        which = "new" if found == self.new else "old"
        assert found in (self.old, self.new), f"{self.operation.name} left a store that is neither the old nor the new"
        if self.operation.name == "recover":  # until it is done nothing else is
            recover(root)
            found = state(root)
            assert found == self.new
        if found is None:
            nw.TaskStore.create(root, network())
            found = state(root)
        assert harmful(root) == []
        append_another(root)
        assert nw.TaskStore.open(root).verify(deep=True) == [], "what was left over was not swept by the next commit"
        assert nw.TaskStore.open(root).directory.task_names() == (*found["tasks"], "another")
        beside = {p.relative_to(self.here).as_posix(): p.read_bytes() for p in self.here.rglob("*") if p.is_file()}
        assert {name: data for name, data in beside.items() if not name.startswith("store/")} == self.neighbour
        assert {p.name for p in self.here.iterdir()} <= {"store", "neighbour"}
        return which
