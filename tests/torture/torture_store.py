"""The store that the torture is done to, all that can be seen of one, and the operations that are harmed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import store_samples
import torch
from disk_faults import Fault, Killed
from torch import Tensor, nn

import narrows as nw
from narrows.store import StoreDirectory, TaskContent, names
from narrows.store.compose import baked_weights, digest

T = TypeVar("T")
TASKS = {
    "root": nw.IBM(density=0.3, prune_every=1),
    "middle": nw.IBM(new=0.2, reuse=0.2, prune_every=1, refine=True),
    "leaf": nw.WSN(density=0.6),  # leaves training state for the next of its method
}

LEARNING = "newest"  # a task that has a checkpoint and is not committed yet


def network() -> nn.Sequential:
    """Every network of the torture: 42 shared weights, and a head and biases of each task."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def learn(store: nw.TaskStore, name: str, method: nw.Method) -> AbstractContextManager[nw.Task]:
    """A task of the store, trained by a few steps that depend on its name alone, and not yet committed."""
    task = store.begin(name, method)
    torch.manual_seed(len(name))
    generator = torch.Generator().manual_seed(len(name))
    inputs = torch.randn(16, 4, generator=generator)
    task.fit([(inputs, torch.arange(16) % 3)], epochs=6)
    return task


def prepare(path: Path) -> Path:
    """A store of three tasks: the second builds on the first, the third on both, and has left training state."""
    store = nw.TaskStore.create(path, network())
    for name, method in TASKS.items():
        with learn(store, name, method) as task:
            task.commit(metrics={"accuracy": 0.5})
    store.progress(LEARNING).save({"step": 1, "rate": 0.5, "scores": [torch.arange(5.0)]})
    return path


def thin(items: Sequence[T], most: int, long: bool) -> Sequence[T]:
    """All of them in the long form, else about so many, evenly spread, from the first to the last."""
    if long or len(items) <= most:
        return items
    return [items[round(at * (len(items) - 1) / (most - 1))] for at in range(most)]


def fingerprint(tensors: dict[str, Tensor] | None) -> str | None:
    """A digest of named tensors."""
    return None if tensors is None else digest({}, tensors)


def task_state(store: nw.TaskStore, name: str) -> dict[str, Any]:
    """What must stay the same of a task as long as it is there: what is known of it, its weights, what it answers."""
    record = store.directory.record(name)
    shared, private = baked_weights(store.directory, name)
    with torch.no_grad():
        outputs = store.load(name)(torch.linspace(-2, 2, 20).reshape(5, 4))
    used = store.directory.content(name).used
    return {
        "known": (record.isolation, record.method, record.head, record.data, record.metrics, record.layers),
        "recorded": record.weights_sha256,
        "weights": digest(shared, private),
        "private": fingerprint(private),
        "used": fingerprint(used),
        "outputs": hashlib.sha256(outputs.numpy().tobytes()).hexdigest(),
    }


def state(path: Path) -> dict[str, Any] | None:
    """All that can be seen of the store at `path` but for times and file names; None where there is none."""
    if not (path / names.STORE_FILE).exists():
        return None
    store = nw.TaskStore.open(path, network())
    return {
        "tasks": {name: task_state(store, name) for name in store.directory.task_names()},
        "base": fingerprint(store.directory.base()),
        "shared": store.shared,
        "carry": {method: fingerprint(store.directory.carry(method)) for method in ("ibm", "wsn")},
        "used": store.used(),
        "progress": progress_state(store, LEARNING),
    }


def progress_state(store: nw.TaskStore, name: str) -> str | None:
    """The checkpoint of a task, as text with every bit of it. That of a committed task means nothing any more."""
    tree = store.progress(name).load()
    if tree is None or name in store.directory.task_names():
        return None
    scores = [(str(tensor.dtype), tensor.tolist()) for tensor in tree.pop("scores")]
    return repr((sorted(tree.items()), scores))


def harmful(path: Path) -> list[str]:
    """What verification finds in the store at `path` that is not merely left over."""
    return [str(problem) for problem in nw.TaskStore.open(path, network()).verify(deep=True) if not problem.harmless]


def append_another(path: Path, name: str = "another") -> None:
    """Commit a small task to the store at `path`, as the next user would."""
    directory = StoreDirectory.open(path)
    used = {spec.name: torch.zeros(spec.shape, dtype=torch.bool) for spec in directory.shared}
    shared = {spec.name: torch.zeros(spec.shape) for spec in directory.shared}
    private = {"0.bias": torch.zeros(6), "2.bias": torch.zeros(3)}
    content = TaskContent(used, {}, {}, private)
    record = store_samples.record(name, method={"name": "ibm"}, weights_sha256=digest(shared, private))
    with directory.lock():
        directory.append(record, content)


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
    yield lambda: nw.TaskStore.create(path, network())


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
def _save(path: Path) -> Iterator[Callable[[], object]]:
    yield lambda: nw.TaskStore.open(path).progress(LEARNING).save({"step": 2, "scores": [torch.ones(5)]})


@contextmanager
def _drop(path: Path) -> Iterator[Callable[[], object]]:
    yield nw.TaskStore.open(path).progress(LEARNING).drop


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("create", _create, starts_empty=True),
        Operation("commit", _commit),
        Operation("commit with snapshot", _commit_with_snapshot),
        Operation("forget, two dependants", _forget("root")),
        Operation("forget, none", _forget("leaf")),
        Operation("compact", _compact),
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
