"""A network that is already trained becomes a store's first task, in a part of its weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import narrows as nw
from narrows.errors import ConfigError, DataError, ModelMismatchError, NonFiniteError, TaskExistsError
from narrows.tasks.heads import Head
from narrows.tasks.partition import named_tensors
from toys import TOYS, Toy, learn, logits, same, state

CLASSIFIERS = sorted(name for name, toy in TOYS.items() if toy.width is not None)
METHOD = nw.IBM(density=0.4, prune_every=2)


def trained(toy: Toy, steps: int = 10) -> nn.Module:
    """The toy after ordinary training on the batches below, in training mode as a loop leaves it."""
    model = toy.make()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(steps):
        x, y = batches(toy)[step % 2]
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def batches(toy: Toy) -> list[tuple[Tensor, Tensor]]:
    return [toy.batch(16, 2, seed) for seed in (1, 2)]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_task_begins_exactly_at_the_trained_network(tmp_path: Path, name: str) -> None:
    toy = TOYS[name]
    model = trained(toy)
    store = nw.TaskStore.create(tmp_path / "store", model, head="head")
    with store.begin("first", nw.IBM(density=0.1), head=copy.deepcopy(model.head)) as task:
        assert same(state(task.model), state(model))
        assert torch.equal(logits(task.model, toy.batch(5, 2)[0]), logits(copy.deepcopy(model), toy.batch(5, 2)[0]))
        optimizer = task.optimizer(torch.optim.SGD, lr=0.0, total_steps=100)
        optimizer.step()
        assert same(state(task.model), state(model))  # nothing is dropped before the schedule says so


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_adopting_reports_what_it_did(tmp_path: Path, name: str) -> None:
    toy = TOYS[name]
    model = trained(toy)
    original = state(model)
    valid = [toy.batch(10, 2, seed=5)]
    store = nw.TaskStore.create(tmp_path / "store", model)
    adoption = nw.adopt(
        store, "first", batches(toy), density=0.5, training=nw.Training(8, lr=3e-3), valid=valid, about={"rows": 32}
    )
    assert same(state(model), original)
    assert adoption.before == measured(copy.deepcopy(model), valid)
    assert adoption.after == measured(store.load("first"), valid)
    assert adoption.used == store.values_kept()
    assert adoption.freed == 1 - adoption.used
    assert 0.4 < adoption.used <= 0.5
    assert adoption.record == store.tasks()[0]
    assert adoption.record.metrics == {"adopted": True, "before": adoption.before, "after": adoption.after}
    assert adoption.record.data == {"rows": 32}
    assert adoption.record.head is not None
    assert adoption.record.head["path"] == "head"
    assert adoption.fit.steps == 16
    assert store.verify() == []


def measured(model: nn.Module, valid: list[tuple[Tensor, Tensor]]) -> float:
    hits = [logits(model, x).argmax(1) == y for x, y in valid]
    return int(torch.cat(hits).sum()) / sum(len(y) for _, y in valid)


@pytest.mark.parametrize("name", ["mlp", "grouped", "tied"])
def test_later_tasks_are_learned_as_usual_and_change_nothing(tmp_path: Path, name: str) -> None:
    toy = TOYS[name]
    store = nw.TaskStore.create(tmp_path / "store", trained(toy))
    nw.adopt(store, "first", batches(toy), density=0.2, training=nw.Training(6, lr=3e-3))
    x, _ = toy.batch(7, 2, seed=8)
    before, outputs = state(store.load("first")), logits(store.load("first"), x)
    learn(store, "second", METHOD, toy, classes=4)
    learn(store, "third", METHOD, toy, classes=3)
    assert same(state(store.load("first")), before)
    assert torch.equal(logits(store.load("first"), x), outputs)
    assert store.tasks()[1].parents == ("first",)
    assert store.verify() == []


def test_what_is_not_kept_is_free(tmp_path: Path) -> None:
    toy = TOYS["mlp"]
    store = nw.TaskStore.create(tmp_path / "store", trained(toy))
    adoption = nw.adopt(store, "first", batches(toy), density=0.3, training=nw.Training(10, lr=3e-3))
    layers = store.explain("first")
    used, total = sum(layer.used for layer in layers), sum(layer.weights for layer in layers)
    assert all(layer.reused == 0 for layer in layers)
    assert adoption.freed == 1 - used / total
    loaded = named_tensors(store.load("first"))
    assert sum(int((loaded[layer.name] != 0).sum()) for layer in layers) == used


def test_another_method_and_measure(tmp_path: Path) -> None:
    toy = TOYS["regression"]
    store = nw.TaskStore.create(tmp_path / "store", toy.make(), head=toy.place)
    data = [toy.batch(16, 2)]

    def closeness(model: nn.Module, given: Any) -> float:
        return -sum(float(F.mse_loss(logits(model, x), y)) for x, y in given)

    training = nw.Training(30, lr=0.01, loss=F.mse_loss)
    options = {"head": "two", "measure": closeness, "training": training}
    adoption = nw.adopt(store, "first", data, method=nw.Magnitude(density=0.5), **options)
    assert adoption.record.method["name"] == "magnitude"
    assert adoption.after == closeness(store.load("first"), data) > adoption.before


def test_a_generator_of_batches_is_enough(tmp_path: Path) -> None:
    toy = TOYS["mlp"]
    store = nw.TaskStore.create(tmp_path / "store", trained(toy))
    assert nw.adopt(store, "first", (batch for batch in batches(toy)), training=nw.Training(3, lr=3e-3)).fit.steps == 6


def test_only_an_empty_store_adopts(tmp_path: Path) -> None:
    toy = TOYS["mlp"]
    store = nw.TaskStore.create(tmp_path / "store", trained(toy), head=toy.place)
    learn(store, "shoes", METHOD)
    with pytest.raises(TaskExistsError, match="Only an empty store can adopt: this one holds 'shoes'"):
        nw.adopt(store, "first", batches(toy))


def test_what_is_said_of_data_is_refused_for_batches(tmp_path: Path) -> None:
    toy = TOYS["mlp"]
    store = nw.TaskStore.create(tmp_path / "store", trained(toy))
    with pytest.raises(ConfigError, match="adopt: augment, restart is about a user's data, which these are not"):
        nw.adopt(store, "first", batches(toy), augment=True, restart=True)
    with pytest.raises(ConfigError, match="adopt: measure is about batches"):
        nw.adopt(store, "first", "photos", measure=measured)


def test_a_failed_adoption_leaves_the_store_empty(tmp_path: Path) -> None:
    toy = TOYS["mlp"]
    store = nw.TaskStore.create(tmp_path / "store", trained(toy))
    with pytest.raises(DataError, match="no batch"):
        nw.adopt(store, "first", [])
    with pytest.raises(ModelMismatchError, match="no module 'haed'"):
        nw.adopt(store, "first", batches(toy), head="haed")
    with pytest.raises(NonFiniteError):
        nw.adopt(store, "first", [(torch.full((4, 6), torch.inf), torch.zeros(4, dtype=torch.long))])
    assert store.tasks() == ()
    assert nw.adopt(store, "first", batches(toy), training=nw.Training(3, lr=3e-3)).record.name == "first"


class Odd(nn.Module):
    """Its last layer in the order of registration is not the one that speaks last."""

    def __init__(self, after: Any) -> None:
        super().__init__()
        self.after = after
        self.out = nn.Linear(4, 2)
        self.early = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.out(self.early(x)))


def test_the_head_is_the_layer_whose_output_is_the_models() -> None:
    for name in CLASSIFIERS:
        assert nw.find_head(TOYS[name].make(), TOYS[name].batch(2, 2)[0]) == "head"
        assert nw.find_head(TOYS[name].make()) == "head"
    odd = Odd(nn.Identity()).train()
    assert nw.find_head(odd) == "early"  # nothing but the order is known
    assert nw.find_head(odd, torch.zeros(1, 4)) == "out"
    assert odd.training
    assert not any(module._forward_hooks for module in odd.modules())
    with pytest.raises(ModelMismatchError, match=r"something follows the last one.*head='early'"):
        nw.find_head(Odd(torch.tanh), torch.zeros(1, 4))
    with pytest.raises(ModelMismatchError, match=r"no nn\.Linear to take for its head"):
        nw.find_head(nn.Conv2d(1, 1, 1))
    attention = nn.Sequential(nn.Linear(4, 4), nn.MultiheadAttention(4, 1))
    assert nw.find_head(attention) == "0"


def test_private_and_fixed_parameters_start_trained_too(tmp_path: Path) -> None:
    toy = TOYS["batchnorm"]
    for name, trainable, private in (("private", True, ["one"]), ("fixed", False, [])):
        model = trained(toy)
        model.one.requires_grad_(trainable)
        store = nw.TaskStore.create(tmp_path / name, model, private=private)
        with store.begin("first", METHOD, head=Head("head", copy.deepcopy(model.head))) as task:
            assert same(state(task.model), state(model))
        nw.adopt(store, "first", batches(toy), training=nw.Training(3, lr=3e-3))
        assert torch.equal(store.load("first").one.weight, model.one.weight) != trainable
