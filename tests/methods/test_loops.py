"""Every method in every kind of training loop: the same bits where loops mean the same, and isolation in all."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import narrows as nw
from toys import METHODS, MLP, same, state, violations

STEPS, INFINITE = 8, 3
DATA: dict[str, Any] = {"examples": 16, "batch_size": 8}
PLAN: dict[str, Any] = {"total_steps": STEPS, **DATA}
ADAM: dict[str, Any] = {"lr": 0.02, "weight_decay": 0.1}
Optimizers = list[torch.optim.Optimizer]


class Branches(nn.Module):
    """Takes what MLP takes; one of its layers is used in the first half of the training only."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.side = nn.Linear(6, 12), nn.Linear(12, 16), nn.Linear(6, 16)
        self.head = nn.Linear(16, 2)
        self.beside = True

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.two(torch.relu(self.one(x)))
        return self.head(torch.tanh(hidden + self.side(x) if self.beside else hidden))


@dataclass(frozen=True)
class Loop:
    """A loop as people write it.

    Attributes:
        make: the optimizers.
        clear: takes the gradients away; after the step or, where `early`, between forward and backward.
        closure: whether the backward pass is handed to the step.
        scaled: whether `GradScaler` is at work; there is one batch more then, an infinite one.
        parts: forwards and backwards to a step.
        within: the context of all parts of a step.
    """

    make: Callable[[nw.Task], Optimizers]
    clear: Callable[[nw.Task, Optimizers], None]
    early: bool = False
    closure: bool = False
    scaled: bool = False
    parts: int = 1
    within: Callable[[], AbstractContextManager[Any]] = nullcontext
    dtype: torch.dtype = torch.float32

    def train(self, task: nw.Task) -> None:
        optimizers = self.make(task)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, enabled=self.scaled)
        for step in range(STEPS):
            task.model.beside = step < STEPS // 2
            for factor in (float("inf"), 1.0) if self.scaled and step == INFINITE else (1.0,):

                def backward(step: int = step, factor: float = factor) -> Tensor:
                    return self.backward(task, optimizers, scaler, step, factor)

                first, *rest = optimizers
                if self.closure:
                    first.step(closure=backward)
                else:
                    backward()
                    if self.scaled:
                        for optimizer in optimizers:
                            scaler.unscale_(optimizer)
                    scaler.step(first)
                for optimizer in rest:
                    scaler.step(optimizer)
                if self.scaled:
                    scaler.update()
                if not self.early:
                    self.clear(task, optimizers)
                assert violations(task) == []

    def backward(self, task: nw.Task, optimizers: Optimizers, scaler: Any, step: int, factor: float) -> Tensor:
        torch.manual_seed(step)
        with self.within():
            for part in range(self.parts):
                x, y = MLP.batch(8, 3, seed=(step + part) % 2)
                with task.sample():
                    loss = F.cross_entropy(task.model(x.to(self.dtype)).float(), y)
                    if self.early and not part:
                        self.clear(task, optimizers)
                    scaler.scale(loss * factor).backward()
        return loss.detach()


def adam(task: nw.Task) -> Optimizers:
    return [task.optimizer(torch.optim.Adam, **ADAM, **PLAN)]


def named(task: nw.Task) -> Optimizers:
    return [task.attach(torch.optim.Adam(task.model.named_parameters(), **ADAM), **PLAN)]


def two(task: nw.Task) -> Optimizers:
    model = task.model
    parts = [[*model.one.parameters(), *model.side.parameters()], [*model.two.parameters(), *model.head.parameters()]]
    optimizers: Optimizers = [torch.optim.Adam(part, **ADAM) for part in parts]
    task.attach(*optimizers, **PLAN)
    return optimizers


def muon(task: nw.Task) -> Optimizers:
    params = list(task.model.parameters())
    matrices, others = [param for param in params if param.dim() == 2], [param for param in params if param.dim() != 2]
    optimizers: Optimizers = [torch.optim.Muon(matrices, lr=0.02), torch.optim.AdamW(others, lr=0.01)]
    assert task.attach(*optimizers, **PLAN) is optimizers[0]
    return optimizers


def by_optimizer(task: nw.Task, optimizers: Optimizers) -> None:
    del task
    for optimizer in optimizers:
        optimizer.zero_grad()


def by_model(task: nw.Task, optimizers: Optimizers) -> None:
    del optimizers
    task.model.zero_grad()


def to_zero(task: nw.Task, optimizers: Optimizers) -> None:
    del task
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=False)


def model_to_zero(task: nw.Task, optimizers: Optimizers) -> None:
    del optimizers
    task.model.zero_grad(set_to_none=False)


PLAIN, ZEROS = Loop(adam, by_optimizer), Loop(adam, to_zero)
ALIKE: dict[str, tuple[Loop, Loop]] = {
    "model.zero_grad": (PLAIN, Loop(adam, by_model)),
    "cleared before backward": (PLAIN, Loop(adam, by_model, early=True)),
    "named_parameters": (PLAIN, Loop(named, by_optimizer)),
    "closure": (PLAIN, Loop(adam, by_model, early=True, closure=True)),
    "GradScaler": (PLAIN, Loop(adam, by_model, scaled=True)),
    "GradScaler, cleared before backward": (PLAIN, Loop(adam, by_model, scaled=True, early=True)),
    "two optimizers": (PLAIN, Loop(two, by_model)),
    "two optimizers, closure": (PLAIN, Loop(two, by_optimizer, early=True, closure=True)),
    "two optimizers, GradScaler": (PLAIN, Loop(two, by_model, scaled=True)),
    "set_to_none=False": (ZEROS, Loop(adam, model_to_zero)),
    "GradScaler, set_to_none=False": (ZEROS, Loop(adam, model_to_zero, scaled=True)),
}
OTHER: dict[str, Loop] = {
    "accumulation": Loop(adam, by_model, parts=2),
    "GradScaler": Loop(named, by_model, scaled=True, within=lambda: torch.autocast("cpu", torch.bfloat16)),
    "autocast": Loop(adam, by_model, within=lambda: torch.autocast("cpu", torch.bfloat16), parts=2),
    "bfloat16": Loop(adam, by_model, dtype=torch.bfloat16, parts=2),
    "Muon and AdamW": Loop(muon, by_model),
}


class World:
    """Stores that learned one task, in which another can be begun any number of times."""

    def __init__(self, method: nw.Method, path: Path) -> None:
        self.method, self.path = method, path
        self.results: dict[Loop, dict[str, Tensor]] = {}
        for dtype in (torch.float32, torch.bfloat16):
            store = nw.TaskStore.create(path / str(dtype), self.network(dtype), head="head")
            with self.begin(store, "old", dtype, 2) as task:
                batches = [MLP.batch(8, 2, seed) for seed in (1, 2)]
                task.fit([(x.to(dtype), y) for x, y in batches], nw.Training(6, **DATA))
                task.commit()

    def network(self, dtype: torch.dtype) -> nn.Module:
        torch.manual_seed(0)
        return Branches().to(dtype)

    def begin(self, store: nw.TaskStore, name: str, dtype: torch.dtype, classes: int = 3) -> nw.Task:
        torch.manual_seed(1)
        return store.begin(name, self.method, head=nn.Linear(16, classes).to(dtype))

    def trained(self, loop: Loop) -> dict[str, Tensor]:
        if loop not in self.results:
            store = nw.TaskStore.open(self.path / str(loop.dtype), self.network(loop.dtype))
            with self.begin(store, "new", loop.dtype) as task:
                loop.train(task)
                self.results[loop] = state(task.model)
        return self.results[loop]


DISTINCT = ("laplace", "multiplicative", "magnitude-ib", "wsn", "supsup", "hat", "ewc", "packnet")
"""Methods with learners of their own; the others are these with other options."""
FOR_ALL = ("model.zero_grad", "named_parameters", "GradScaler")
CASES = [(method, kind) for method in METHODS for kind in ALIKE if kind in FOR_ALL or method in DISTINCT]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], World]:
    """The world of a method, made once."""
    return functools.cache(lambda name: World(METHODS[name], tmp_path_factory.mktemp("loops")))


@pytest.mark.parametrize(("method", "kind"), CASES)
def test_loops_that_mean_the_same_give_the_same_bits(worlds: Callable[[str], World], method: str, kind: str) -> None:
    world = worlds(method)
    plain, other = (world.trained(loop) for loop in ALIKE[kind])
    assert all(bool(tensor.isfinite().all()) for tensor in plain.values())
    assert same(plain, other)


@pytest.mark.parametrize("kind", OTHER)
@pytest.mark.parametrize("method", METHODS)
def test_any_loop_is_isolated_and_what_it_trained_is_stored(
    worlds: Callable[[str], World], method: str, kind: str, tmp_path: Path
) -> None:
    world, loop = worlds(method), OTHER[kind]
    shutil.copytree(world.path / str(loop.dtype), tmp_path / "store")
    store = nw.TaskStore.open(tmp_path / "store", world.network(loop.dtype))
    old = state(store.load("old"))
    with world.begin(store, "new", loop.dtype) as task:
        start = state(task.model)
        loop.train(task)
        task.model.beside = True  # a switch that no store keeps: a commit would refuse the network without it
        task.commit()
        assert not same(start, state(task.model))
        assert same(state(task.model), state(store.load("new")))
    assert same(old, state(store.load("old"))) != (world.method.isolation == "none")
    assert store.verify(deep=True) == []
