"""A checkpoint of a task in progress: what it makes exact, when it is saved and dropped, and what it refuses."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

import narrows as nw
from checkpoints import Memory, identical, stop_at
from narrows.errors import ConfigError, DataError, Interrupted, ModelMismatchError, NonFiniteError
from narrows.training.trees import from_tree, to_tree
from toys import MLP, TOYS, learn, state
from trainings import training

METHOD = nw.IBM(density=0.4, prune_every=2)
EPOCHS, BATCHES = 3, 4
Make = Callable[[], Any]


@pytest.fixture
def store(tmp_path: Path) -> nw.TaskStore:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    learn(store, "old", METHOD)
    return store


def train(store: nw.TaskStore, batches: Any, seed: int = 1, name: str = "new", **options: Any) -> tuple[Any, nw.Fit]:
    """A task begun, trained and given up; the trained weights. The seed is of everything drawn meanwhile."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    method = options.pop("method", METHOD)
    head = options.pop("head", MLP.head(3))
    with store.begin(name, method, head=head) as task:
        fit = task.fit(batches, training(options.pop("epochs", EPOCHS), options), **options)
        return state(task.model), fit


def interrupted(store: nw.TaskStore, batches: Any, stop: int, **options: Any) -> Memory:
    memory = Memory()
    with pytest.raises(Interrupted):
        train(store, batches, checkpoint=memory, callbacks=[stop_at(stop, Interrupted)], **options)
    return memory


class Counted:
    """Batches with an order for each epoch, by its number."""

    batch_size = 8

    def __init__(self) -> None:
        self.epoch = 0
        self.x, self.y = MLP.batch(8 * BATCHES, 3)

    def __len__(self) -> int:
        return BATCHES

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = torch.randperm(len(self.x), generator=torch.Generator().manual_seed(self.epoch))
        self.epoch += 1
        return ((self.x[rows], self.y[rows]) for rows in order.split(8))


class Noisy(TensorDataset):
    """Examples changed by chance, as augmentation does, from all three global generators."""

    def __getitem__(self, index: int) -> Any:
        x, y = super().__getitem__(index)
        return x + 0.1 * torch.randn(()) + random.gauss(0, 0.1) + float(np.random.normal(0, 0.1)), y


def data(kind: type[TensorDataset] = TensorDataset) -> TensorDataset:
    return kind(*MLP.batch(8 * BATCHES, 3))


def sampled() -> Any:
    return DataLoader(data(), 8, sampler=RandomSampler(data(), generator=torch.Generator().manual_seed(4)))


ORDERS: dict[str, Make] = {
    "a list": lambda: [MLP.batch(8, 3, seed) for seed in range(BATCHES)],
    "a count of epochs": Counted,
    "a shuffling loader": lambda: DataLoader(data(), 8, shuffle=True),
    "a loader with its generator": lambda: DataLoader(
        data(), 8, shuffle=True, generator=torch.Generator().manual_seed(4)
    ),
    "a sampler with its generator": sampled,
    "augmentation": lambda: DataLoader(data(Noisy), 8, shuffle=True),
    "augmentation in workers": lambda: DataLoader(data(Noisy), 8, shuffle=True, num_workers=1),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_the_same_batches_come_again(store: nw.TaskStore, order: Make) -> None:
    plain, fit = train(store, order())
    stops = (6,) if getattr(order(), "num_workers", 0) else (4, 6)
    for stop in stops:
        memory = interrupted(store, order(), stop)
        again, resumed = train(store, order(), seed=9, checkpoint=memory)
        assert identical(again, plain)
        assert resumed.losses == fit.losses


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        (torch.optim.AdamW, {"amsgrad": True, "betas": (0.8, 0.99)}),
        (torch.optim.Adam, {"fused": True}),
        (torch.optim.NAdam, {}),
        (torch.optim.Adagrad, {}),
        (torch.optim.RMSprop, {"momentum": 0.9, "centered": True}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_any_optimizer_goes_on(store: nw.TaskStore, kind: Any, options: dict[str, Any]) -> None:
    batches = ORDERS["a list"]()
    plain, _ = train(store, batches, optimizer=kind, lr=0.02, options=options)
    memory = interrupted(store, batches, 6, optimizer=kind, lr=0.02, options=options)
    again, _ = train(store, batches, seed=9, optimizer=kind, lr=0.02, options=options, checkpoint=memory)
    assert identical(again, plain)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
@pytest.mark.parametrize("kind", ["regression", "multi-label"])
def test_any_loss_goes_on(tmp_path: Path, kind: str, schedule: str) -> None:
    toy = TOYS["regression"]
    store = nw.TaskStore.create(tmp_path / "store", toy.make(), head=toy.place)
    batches = [toy.batch(8, 0, seed) for seed in range(BATCHES)]
    loss: Any = F.mse_loss
    if kind == "multi-label":
        batches, loss = [(x, (y > 0).float()) for x, y in batches], nn.BCEWithLogitsLoss()
    options: dict[str, Any] = {"loss": loss, "schedule": schedule, "head": None, "valid": batches}
    plain, fit = train(store, batches, **options)
    again, resumed = train(store, batches, checkpoint=interrupted(store, batches, 6, **options), **options)
    assert identical(again, plain)
    assert (resumed.losses, resumed.scores) == (fit.losses, fit.scores)


def test_buffers_that_are_not_saved_with_the_model_go_on(tmp_path: Path) -> None:
    class Counting(nn.Linear):
        def __init__(self) -> None:
            super().__init__(6, 3)
            self.register_buffer("calls", torch.zeros(()), persistent=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                self.calls += 1
            return super().forward(x) * (1 + self.calls / 10)

    store = nw.TaskStore.create(tmp_path / "store", Counting())
    batches = ORDERS["a list"]()
    plain, _ = train(store, batches, head=None)
    again, _ = train(store, batches, head=None, checkpoint=interrupted(store, batches, 6, head=None))
    assert identical(again, plain)


def test_a_checkpoint_changes_nothing(store: nw.TaskStore) -> None:
    loader = ORDERS["a shuffling loader"]
    plain, fit = train(store, loader())
    kept, with_checkpoint = train(store, loader(), checkpoint=Memory(), checkpoint_every=0)
    assert identical(kept, plain)
    assert with_checkpoint.losses == fit.losses


def test_it_is_saved_at_each_epochs_end_and_as_often_as_said(store: nw.TaskStore) -> None:
    for every, saves in ((60, EPOCHS), (0, EPOCHS * BATCHES + EPOCHS)):
        memory = Memory()
        train(store, ORDERS["a list"](), checkpoint=memory, checkpoint_every=every)
        assert memory.saves == saves
        assert memory.tree["position"]["epoch"] == EPOCHS


def test_it_stays_until_the_task_is_committed(store: nw.TaskStore) -> None:
    memory, batches = Memory(), ORDERS["a list"]()
    plain, fit = train(store, batches, checkpoint=memory)  # as if killed before the commit
    assert memory.drops == 0
    with store.begin("new", METHOD, head=MLP.head(3)) as task:
        again = task.fit(batches, nw.Training(EPOCHS), checkpoint=memory)
        assert identical(state(task.model), plain)
        assert (again.steps, again.losses) == (fit.steps, fit.losses)
        task.commit()
    assert memory.drops == 1


def test_a_checkpoint_that_cannot_be_dropped_does_not_undo_the_commit(store: nw.TaskStore) -> None:
    class Stuck(Memory):
        def drop(self) -> None:
            raise OSError("read-only")

    with store.begin("new", METHOD, head=MLP.head(3)) as task:
        task.fit(ORDERS["a list"](), nw.Training(EPOCHS), checkpoint=Stuck())
        task.commit()
    assert store.directory.task_names() == ("old", "new")


def test_seconds_and_steps_are_those_of_all_parts(store: nw.TaskStore) -> None:
    batches = ORDERS["a list"]()
    memory = interrupted(store, batches, 6)
    memory.tree["position"]["seconds"] = 1000.0
    seen: list[int] = []
    with store.begin("new", METHOD, head=MLP.head(3)) as task:
        fit = task.fit(batches, nw.Training(EPOCHS), checkpoint=memory, callbacks=[lambda step: seen.append(step.step)])
        assert 1000 < fit.seconds < 1100
        assert fit.steps == EPOCHS * BATCHES
        assert 1000 < task.commit().seconds < 1100
    assert seen == list(range(7, EPOCHS * BATCHES + 1))


CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "epochs": ("epochs was 3 and is 4; total_steps was 12 and is 16", {"epochs": 4}),
    "lr": ("lr was 0.006 and is 0.01", {"lr": 0.01}),
    "optimizer": ('optimizer was "Adam" and is "AdamW"', {"optimizer": torch.optim.AdamW}),
    "options": (r'options was \{\} and is \{"betas": \[0.8, 0.9\]\}', {"options": {"betas": (0.8, 0.9)}}),
    "method": ("method was .* and is .*wsn", {"method": nw.WSN(density=0.3)}),
    "density": ("method was ", {"method": nw.IBM(density=0.3, prune_every=2)}),
    "examples": ("examples was null and is 100", {"examples": 100}),
    "batch_size": ("batch_size was null and is 4", {"batch_size": 4}),
    "schedule": ('schedule was "cosine" and is "constant"', {"schedule": "constant"}),
    "loss": ('loss was "cross_entropy" and is "CrossEntropyLoss"', {"loss": nn.CrossEntropyLoss()}),
    "valid": ("valid was false and is true", {"valid": [MLP.batch(8, 3)]}),
    "name": ('task was "new" and is "other"', {"name": "other"}),
}


@pytest.mark.parametrize(("said", "change"), CHANGES.values(), ids=CHANGES)
def test_another_plan_is_refused(store: nw.TaskStore, said: str, change: dict[str, Any]) -> None:
    batches = ORDERS["a list"]()
    memory = interrupted(store, batches, 6)
    with pytest.raises(ConfigError, match=f"is of another training: .*{said}.*train as it was begun; .*drop the check"):
        train(store, batches, checkpoint=memory, **change)
    assert memory.tree is not None
    assert memory.drops == 0


def test_a_store_that_changed_meanwhile_is_refused(store: nw.TaskStore) -> None:
    batches = ORDERS["a list"]()
    memory = interrupted(store, batches, 6)
    learn(store, "between", METHOD)
    with pytest.raises(ConfigError, match=r"earlier tasks was .* and is .*between"):
        train(store, batches, checkpoint=memory)


def test_another_head_is_named(store: nw.TaskStore) -> None:
    batches = ORDERS["a list"]()
    memory = interrupted(store, batches, 6)
    with pytest.raises(ModelMismatchError, match=r"another model: they differ in head\.bias, head\.weight\. Begin"):
        train(store, batches, checkpoint=memory, head=MLP.head(4))


def test_what_is_no_checkpoint_is_refused(store: nw.TaskStore) -> None:
    memory = Memory()
    memory.tree = {"something": "else"}
    with pytest.raises(ConfigError, match="none of a task in progress"):
        train(store, ORDERS["a list"](), checkpoint=memory)


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize(
    "orders", [("a shuffling loader", "a loader with its generator"), ("a list", "a count of epochs")]
)
def test_batches_of_another_kind_are_refused(store: nw.TaskStore, orders: tuple[str, str], turn: int) -> None:
    first, then = orders[::turn]
    said = {"examples": 32, "batch_size": 8}
    memory = interrupted(store, ORDERS[first](), 6, **said)
    with pytest.raises(DataError, match="of another kind than those that training began with"):
        train(store, ORDERS[then](), checkpoint=memory, **said)


def test_fewer_batches_than_were_seen_are_refused(store: nw.TaskStore) -> None:
    class Lying(list):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return BATCHES

    batches = ORDERS["a list"]()
    memory = interrupted(store, batches, 7)
    with pytest.raises(DataError, match="has 1 batches, and 3 of this epoch were seen before"):
        train(store, Lying(batches[:1]), checkpoint=memory)


def test_a_loss_that_is_not_finite_replaces_no_checkpoint(store: nw.TaskStore) -> None:
    x, y = MLP.batch(8, 3)
    memory = Memory()
    batches = [(x, y), (x, y), (x * float("inf"), y), (x, y)]
    with pytest.raises(NonFiniteError, match="at step 3"):
        train(store, batches, checkpoint=memory, checkpoint_every=0)
    assert memory.tree["position"]["steps"] == 2


def test_signals_are_as_they_were_afterwards(store: nw.TaskStore) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    during: list[Any] = []

    def look(_: Any) -> None:
        during.append([signal.getsignal(number) for number in numbers])

    train(store, ORDERS["a list"](), callbacks=[look])
    assert during == [before] * (EPOCHS * BATCHES), "without a checkpoint they are left alone"
    memory = interrupted(store, ORDERS["a list"](), 6)
    assert [signal.getsignal(number) for number in numbers] == before
    during.clear()
    train(store, ORDERS["a list"](), checkpoint=memory, callbacks=[look])
    assert all(one != two for seen in during for one, two in zip(seen, before, strict=True))
    assert [signal.getsignal(number) for number in numbers] == before


def test_trees_hold_what_optimizers_call_their_state() -> None:
    value = {
        "state": {0: {"step": torch.tensor(1.0), "old": [None, True, 1.5]}, 1: {}},
        "betas": (0.9, (0.99, None)),
        "!odd": float("inf"),
        "plain": {"a": "text", "b": -3, "nan": -float("inf")},
    }
    assert identical(from_tree(to_tree(value)), value)
    assert isinstance(from_tree(to_tree(value))["betas"][1], tuple)
    assert type(to_tree(nn.Parameter(torch.ones(2)))) is torch.Tensor
    with pytest.raises(ConfigError, match=r"A set cannot be kept in a checkpoint \(it, seen\)"):
        to_tree({"seen": {1, 2}}, "it")
