"""Adopting a network that is already trained: what of it its own task needs stays, the rest becomes free.

The trained network is the store's base, so the store's first task starts exactly at it, running statistics included
(free weights are scaled for later tasks only). A short fine-tuning with a gradual method then keeps the weights that
carry the most information about the task. docs/benchmarks.md has what this costs in accuracy; the defaults are the
recipe that was measured there.

Knows a store and batches; it does not know where data come from, nor how the network was trained.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from narrows.errors import DataError, TaskExistsError
from narrows.methods import IBM, Method
from narrows.store import TaskRecord
from narrows.tasks.fit import Fit
from narrows.tasks.heads import Head, find_head
from narrows.tasks.recipe import DENSITY, EPOCHS, LEARNING_RATE
from narrows.tasks.settling import Told
from narrows.tasks.task import Task
from narrows.training import accuracy
from narrows.training.device import device_of
from narrows.training.evaluation import evaluating

Batches = Iterable[tuple[Any, Any]]
Measure = Callable[[nn.Module, Batches], float]


class Store(Protocol):
    """What `adopt` needs of a `TaskStore`."""

    @property
    def head(self) -> str | None: ...
    def tasks(self) -> tuple[TaskRecord, ...]: ...
    def network(self) -> nn.Module: ...
    def begin(self, name: str, method: Method, *, head: Head | None = None) -> Task: ...
    def values_kept(self) -> float: ...


@dataclass(frozen=True)
class Adoption:
    """How an adoption went.

    Attributes:
        before: the trained network's accuracy (a fraction), or what `measure` gave.
        after: the same of the sub-network that was kept.
        used: weights kept / shared weights.
        seconds: of the fine-tuning.
        fit: how the fine-tuning went.
        record: the task as it stands in the store.
    """

    before: float
    after: float
    used: float
    seconds: float
    fit: Fit
    record: TaskRecord

    @property
    def freed(self) -> float:
        """Capacity won: shared weights that are free for later tasks / all of them."""
        return 1 - self.used


def adopt(
    store: Store,
    name: str,
    batches: Batches,
    *,
    head: str | None = None,
    density: float = DENSITY,
    method: Method | None = None,
    epochs: int = EPOCHS,
    lr: float = LEARNING_RATE,
    valid: Batches | None = None,
    measure: Measure = accuracy,
    metrics: Told | None = None,
    data: Told | None = None,
    device: torch.device | str | None = None,
    **options: Any,
) -> Adoption:
    """Makes the trained network that `store` was created from its first task, with a part of its weights.

    The other weights are free for later tasks. Stopped or failed, it leaves the store as it was.

    Args:
        store: an empty store, made from the trained network: `TaskStore.create(path, trained)`.
        name: the task's name.
        batches: (inputs, targets) of the task the network was trained on, iterable anew for each epoch.
        head: path of the network's head, which stays the task's own and whole; default: the store's, or found by
            `find_head`.
        density: fraction of the shared weights to keep.
        method: what chooses them, in the place of `IBM(density=density)`.
        epochs, lr: of the fine-tuning; say half to two thirds of the epochs that the network was trained for.
        valid: batches to measure on. Without them it is measured on `batches`, which flatters.
        measure: (model in eval mode, batches) -> a figure, the higher the better; accuracy of a classifier by default.
            Say one for regression and multi-label, beside `loss`.
        metrics: figures to keep with the task beside `adopted`, `before` and `after`; see `Task.commit`.
        data: what it was learned on, to keep with the task; see `Task.commit`.
        device: where to train; default: the CPU.
        **options: given to `Task.fit` (`loss`, `optimizer`, `progress`, ...). With `patience`, `valid` and `measure`
            are too.

    Raises:
        TaskExistsError: the store holds a task.
        ModelMismatchError: no module at `head`, or no head was found.
        DataError: there is no batch.
        CapacityError: the budget leaves no weight.

    >>> import tempfile, narrows
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))  # trained, say
    >>> store = narrows.TaskStore.create(tempfile.mkdtemp() + "/store", model)
    >>> batches = [(torch.randn(16, 4), torch.arange(16) % 2)]
    >>> adoption = adopt(store, "first", batches, density=0.25, epochs=20)
    >>> adoption.freed, adoption.record.head["path"], store.values_kept()
    (0.75, '2', 0.25)
    """
    if store.tasks():
        names = ", ".join(repr(record.name) for record in store.tasks()[:3])
        raise TaskExistsError(
            f"Only an empty store can adopt: this one holds {names}, which may build on its weights. Make a new store "
            "from the trained network, or learn the task as any other."
        )
    if isinstance(batches, Iterator):
        batches = list(batches)  # a generator gives its batches once only
    network = store.network()
    path = head or store.head or find_head(network, _first_inputs(batches))
    measured_on = batches if valid is None else valid
    if options.get("patience") is not None:
        options |= {"valid": valid, "measure": measure}
    with store.begin(name, method or IBM(density=density), head=_own_head(network, path)) as task:
        if device is not None:
            task.model.to(device)
        before = _measured(measure, task.model, measured_on)
        fit = task.fit(batches, epochs, lr=lr, **options)
        after: list[float] = []

        def figures(settled: nn.Module) -> dict[str, Any]:
            after.append(_measured(measure, settled.to(device_of(task.model)), measured_on))
            settled.cpu()
            told = metrics(settled) if callable(metrics) else metrics or {}
            return {"adopted": True, "before": before, "after": after[0], **told}

        record = task.commit(metrics=figures, data=data)
    return Adoption(before, after[0], store.values_kept(), fit.seconds, fit, record)


def _own_head(network: nn.Module, path: str) -> Head:
    """The network's own head, trained values and all; `begin` says where the path is wrong."""
    modules = dict(network.named_modules(remove_duplicate=False))
    return Head(path, copy.deepcopy(modules.get(path, nn.Identity())))


def _measured(measure: Measure, model: nn.Module, batches: Batches) -> float:
    # A copy: shuffled batches may count their passes, which is for the training.
    with evaluating(model):
        return measure(model, copy.copy(batches))


def _first_inputs(batches: Batches) -> Any:
    for inputs, _ in copy.copy(batches):
        return inputs
    raise DataError("There is nothing to adopt the network with: no batch. Check the data set and drop_last.")
