"""The store that the torture is done to, all that can be seen of one, and the operations that are harmed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

import narrows as nw
import store_samples
from narrows.store import StoreDirectory, names
from narrows.store.compose import weights_of
from narrows.subnet import digest, digest_kept
from subnets import content_of

T = TypeVar("T")
LONG = os.environ.get("NARROWS_TORTURE") == "long"
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
    task.fit([(inputs, torch.arange(16) % 3)], nw.Training(6))
    return task


def prepare(path: Path) -> Path:
    """A store of three tasks: the second builds on the first, the third on both, and has left training state."""
    store = nw.TaskStore.create(path, network())
    for name, method in TASKS.items():
        with learn(store, name, method) as task:
            task.commit(metrics={"accuracy": 0.5})
    store.checkpoint(LEARNING).save({"step": 1, "rate": 0.5, "scores": [torch.arange(5.0)]})
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
    shared, private = weights_of(store.directory, name)
    with torch.no_grad():
        outputs = store.load(name)(torch.linspace(-2, 2, 20).reshape(5, 4))
    used = store.directory.subnet(name).kept_masks()
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
        "used": store.values_kept(),
        "progress": progress_state(store, LEARNING),
    }


def progress_state(store: nw.TaskStore, name: str) -> str | None:
    """The checkpoint of a task, as text with every bit of it. That of a committed task means nothing any more."""
    tree = store.checkpoint(name).load()
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
    private = {"0.bias": torch.zeros(6), "2.bias": torch.zeros(3)}
    content = content_of(directory.shared, used, {}, {}, private)
    record = store_samples.record(name, method={"name": "ibm"}, weights_sha256=digest_kept(content.subnet, private))
    with directory.lock():
        directory.append(record, content)
