"""The user's own training loop: any optimizer, schedule, precision or compiler, and isolation holds throughout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import narrows as nw
from narrows.errors import NarrowsError, OptimizerError
from toys import METHODS, MLP, TOYS, learn, logits, same, state, violations

METHOD = nw.IBM(density=0.4, prune_every=2)
STEPS = 8
PLAN: dict[str, Any] = {"total_steps": STEPS, "examples": 16, "batch_size": 8}


@pytest.fixture
def store(tmp_path: Path) -> nw.TaskStore:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    learn(store, "old", METHOD)
    return store


@pytest.fixture
def guarded(store: nw.TaskStore) -> Iterator[Callable[..., nw.Task]]:
    """Begins a task; afterwards the old task must be as it was, and the new one as it was trained."""
    x, _ = MLP.batch(9, 3)
    before, out = state(store.load("old")), logits(store.load("old"), x)
    begun: list[nw.Task] = []

    def begin(method: nw.Method = METHOD) -> nw.Task:
        begun.append(store.begin("new", method, head=MLP.head(4)))
        return begun[0]

    yield begin
    assert violations(begun[0]) == []
    begun[0].commit()
    assert same(state(store.load("old")), before)
    assert torch.equal(logits(store.load("old"), x), out)
    assert same(state(store.load("new")), state(begun[0].model))
    assert store.verify(deep=True) == []


def backward(task: nw.Task, step: int, model: nn.Module | None = None) -> torch.Tensor:
    x, y = MLP.batch(8, 4, seed=step % 2)
    with task.sample():
        loss = F.cross_entropy((model or task.model)(x), y)
        loss.backward()
    return loss.detach()


def loop(task: nw.Task, optimizer: torch.optim.Optimizer, model: nn.Module | None = None) -> None:
    for step in range(STEPS):
        backward(task, step, model)
        optimizer.step()
        optimizer.zero_grad()
        assert violations(task) == []


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        (torch.optim.Adam, {"amsgrad": True, "weight_decay": 0.1}),
        (torch.optim.AdamW, {"weight_decay": 0.5}),
        (torch.optim.AdamW, {"foreach": False}),
        (torch.optim.AdamW, {"fused": True}),
        (torch.optim.RMSprop, {"momentum": 0.9, "centered": True}),
        (torch.optim.Adagrad, {"weight_decay": 0.1}),
        (torch.optim.NAdam, {"weight_decay": 0.1}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "-".join(value),
)
@pytest.mark.parametrize("method", ["laplace", "multiplicative", "wsn"])
def test_any_optimizer(kind: Any, options: dict[str, Any], method: str, guarded: Any) -> None:
    task = guarded(METHODS[method])
    loop(task, task.optimizer(kind, lr=0.02, **options, **PLAN))


def test_parameter_groups_of_the_users_own(guarded: Any) -> None:
    task = guarded()
    head, body = list(task.model.head.parameters()), [*task.model.one.parameters(), *task.model.two.parameters()]
    groups = [{"params": body, "lr": 0.01, "weight_decay": 0.3}, {"params": head, "lr": 0.1}]
    optimizer = task.optimizer(torch.optim.AdamW, groups, **PLAN)
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.1]
    loop(task, optimizer)


@pytest.mark.parametrize("method", ["laplace", "additive", "wsn"])
def test_an_optimizer_made_elsewhere(method: str, guarded: Any) -> None:
    task = guarded(METHODS[method])
    optimizer = torch.optim.Adam(task.model.parameters(), lr=0.01)
    assert task.attach(optimizer, **PLAN) is optimizer
    with pytest.raises(OptimizerError, match="has an optimizer already"):
        task.attach(optimizer, **PLAN)
    loop(task, optimizer)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled(backend: str, guarded: Any) -> None:
    task = guarded()
    loop(task, task.optimizer(torch.optim.Adam, lr=0.02, **PLAN), torch.compile(task.model, backend=backend))


@pytest.mark.parametrize("method", ["laplace", "multiplicative"])
def test_autocast(method: str, guarded: Any) -> None:
    task = guarded(METHODS[method])
    optimizer = task.optimizer(torch.optim.Adam, lr=0.02, **PLAN)
    with torch.autocast("cpu", torch.bfloat16):
        loop(task, optimizer)
    assert all(param.dtype == torch.float32 for param in task.model.parameters())


@pytest.mark.parametrize("method", ["laplace", "multiplicative", "wsn"])
def test_accumulated_and_clipped_gradients(method: str, guarded: Any) -> None:
    task = guarded(METHODS[method])
    optimizer = task.optimizer(torch.optim.SGD, lr=0.5, momentum=0.9, **PLAN)
    for _ in range(STEPS):
        for part in range(3):
            backward(task, part)
        norm = nn.utils.clip_grad_norm_(task.model.parameters(), 0.1)
        assert norm > 0
        optimizer.step()
        optimizer.zero_grad()
        assert violations(task) == []


def one_cycle(optimizer: torch.optim.Optimizer) -> Any:
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.05, total_steps=STEPS)


def cosine(optimizer: torch.optim.Optimizer) -> Any:
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS)


@pytest.mark.parametrize("schedule", [one_cycle, cosine])
@pytest.mark.parametrize("method", ["laplace", "additive", "wsn"])
def test_schedules(schedule: Any, method: str, guarded: Any) -> None:
    task = guarded(METHODS[method])
    optimizer = task.optimizer(torch.optim.AdamW, lr=0.05, **PLAN)
    scheduler, rates = schedule(optimizer), []
    for step in range(STEPS):
        backward(task, step)
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        assert violations(task) == []
    assert len(set(rates)) == STEPS


@pytest.mark.parametrize("as_keyword", [True, False])
@pytest.mark.parametrize("method", ["laplace", "multiplicative", "wsn"])
def test_a_closure_takes_the_same_steps(method: str, as_keyword: bool, guarded: Any, tmp_path: Path) -> None:
    def run(task: nw.Task, closed: bool) -> dict[str, torch.Tensor]:
        torch.manual_seed(5)
        optimizer = task.optimizer(torch.optim.Adam, lr=0.02, **PLAN)
        for step in range(STEPS):

            def closure(step: int = step) -> torch.Tensor:
                optimizer.zero_grad()
                return backward(task, step)

            if not closed:
                closure()
                optimizer.step()
            else:
                loss = optimizer.step(closure=closure) if as_keyword else optimizer.step(closure)
                assert loss is not None
            assert violations(task) == []
        return state(task.model)

    torch.manual_seed(7)
    other = nw.TaskStore.create(tmp_path / "other", MLP.make(), head=MLP.place)
    learn(other, "old", METHOD)
    torch.manual_seed(11)
    with other.begin("new", METHODS[method], head=MLP.head(4)) as task:
        plain = run(task, closed=False)
    torch.manual_seed(11)
    assert same(run(guarded(METHODS[method]), closed=True), plain)


def test_a_step_skipped_by_the_user_is_no_step(guarded: Any) -> None:
    task = guarded()
    optimizer = task.optimizer(torch.optim.Adam, lr=0.02, **PLAN)
    before = state(task.model)
    backward(task, 0)
    optimizer.zero_grad()
    assert same(before, state(task.model))
    loop(task, optimizer)


def test_the_optimizer_is_let_go_after_the_commit(store: nw.TaskStore) -> None:
    with store.begin("new", METHOD, head=MLP.head(4)) as task:
        optimizer = task.optimizer(torch.optim.SGD, lr=0.1, **PLAN)
        loop(task, optimizer)
        task.commit()
    stored = state(store.load("new"))
    x, y = MLP.batch(8, 4)
    F.cross_entropy(task.model(x), y).backward()
    optimizer.step()  # the model is the user's own now: it moves, dropped weights too, the store does not
    assert (task.model.two.weight != 0).sum() > (stored["two.weight"] != 0).sum()
    assert same(state(store.load("new")), stored)
    for again in (
        task.commit,
        task.state,
        task.sample,
        lambda: task.attach(optimizer),
        lambda: task.fit([], nw.Training(1)),
    ):
        with pytest.raises(NarrowsError, match="committed or abandoned"):
            again()


def test_wrong_parameters_are_named(store: nw.TaskStore) -> None:
    model = MLP.make()
    with store.begin("new", METHOD, head=MLP.head(4)) as task:
        body = [param for name, param in task.model.named_parameters() if not name.startswith("head")]
        for params, message in (
            (body, r"does not train head\.weight, head\.bias\. Use"),
            (list(model.parameters()), r"one\.weight, .*and 1 more; 6 of its parameters are not task\.model's"),
            ([*task.model.parameters(), *model.one.parameters()], r"parameters: 2 of its parameters are not"),
        ):
            with pytest.raises(OptimizerError, match=message):
                task.attach(torch.optim.Adam(params), **PLAN)
        with pytest.raises(OptimizerError, match="total_steps=len"):
            task.optimizer(torch.optim.Adam, lr=0.1)
        with pytest.raises(OptimizerError, match="no optimizer yet"), task.sample():
            pass
        loop(task, task.optimizer(torch.optim.Adam, lr=0.1, **PLAN))  # none of these attempts left a trace


def test_a_price_needs_to_know_the_data(store: nw.TaskStore) -> None:
    with store.begin("new", nw.IBM(beta=1.0), head=MLP.head(4)) as task:
        for missing in ({"examples": 16}, {"batch_size": 8}):
            with pytest.raises(OptimizerError, match="price in nats needs to know the data"):
                task.optimizer(torch.optim.Adam, lr=0.1, total_steps=4, **missing)


def test_fit_is_the_plain_loop(tmp_path: Path) -> None:
    """The same weights whether `fit` trains or the user does as `fit` says it does."""
    results = []
    for by_hand in (True, False):
        torch.manual_seed(1)
        toy = TOYS["batchnorm"]
        store = nw.TaskStore.create(tmp_path / str(by_hand), toy.make(), head=toy.place)
        batches = [toy.batch(8, 3, seed) for seed in range(3)]
        with store.begin("a", METHOD, head=toy.head(3)) as task:
            if by_hand:
                optimizer = task.optimizer(torch.optim.Adam, lr=METHOD.learning_rate, total_steps=12)
                scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12)
                for step in range(12):
                    x, y = batches[step % 3]
                    F.cross_entropy(task.model(x), y).backward()
                    optimizer.step()
                    optimizer.zero_grad()
                    scheduler.step()
            else:
                fit = task.fit(batches, nw.Training(4))
                assert (fit.steps, len(fit.losses)) == (12, 4)
                assert fit.seconds_per_step == fit.seconds / 12
            task.commit()
        results.append(state(store.load("a")))
    assert same(*results)
