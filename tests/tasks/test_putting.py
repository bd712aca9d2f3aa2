"""Networks that were trained elsewhere, put into a store without a training of its own."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import narrows as nw
from narrows.errors import ConfigError, ModelMismatchError, NonFiniteError, StoreLockedError, TaskExistsError
from toys import METHODS, MLP, TOYS, Toy, files, learn, logits, same, state


def pruned(toy: Toy, seed: int, classes: int = 2) -> nn.Module:
    """A network after training of its own, with about a third of its matrices left."""
    model = toy.make(seed)
    if toy.width is not None:
        model.head = nn.Linear(toy.width, classes)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    x, y = toy.batch(8, classes)
    for _ in range(3):
        toy.loss(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        for param in model.parameters():
            if param.dim() > 1:
                param[torch.rand(param.shape) < 0.7] = 0.0
    return model


def create(tmp_path: Path, toy: Toy = MLP) -> nw.TaskStore:
    return nw.TaskStore.create(tmp_path / "store", toy.make(), head=toy.place)


@pytest.mark.parametrize("name", sorted(TOYS))
def test_what_is_put_is_loaded_to_the_bit(tmp_path: Path, name: str) -> None:
    toy = TOYS[name]
    store = create(tmp_path, toy)
    learn(store, "learned", METHODS["laplace"], toy, classes=3)
    x, _ = toy.batch(4, 2)
    for seed in (5, 6):
        model = pruned(toy, seed)
        before, training = state(model), model.training
        store.put(f"put {seed}", model, inputs=x)
        assert same(state(model), before)
        assert model.training == training
        assert same(state(store.load(f"put {seed}")), before)
        assert torch.equal(logits(store.load(f"put {seed}"), x), logits(model, x))
    learn(store, "after", METHODS["laplace"], toy, classes=2)
    assert store.verify(deep=True) == []
    store.forget("learned")
    assert same(state(store.load("put 6")), before)


def test_weights_at_earlier_values_are_reused_and_take_no_bytes(tmp_path: Path) -> None:
    store = create(tmp_path)
    store.put("one", pruned(MLP, 1))
    second = store.load("one")
    with torch.no_grad():
        second.two.weight[3, 4] = 2.5
        second.one.weight[2] = 0.0
        second.one.bias += 1
    record = store.put("two", second, metrics={"accuracy": 0.5}, data=lambda model: {"n": len(model)})
    one, two = record.layers["one.weight"], record.layers["two.weight"]
    assert (one["claimed"], two["claimed"]) == (0, 1)
    assert one["used"] == int((second.one.weight != 0).sum())
    assert record.parents == ("one",)
    assert (record.method, record.isolation, record.seconds) == ({"name": "put", "config": {}}, "shared", None)
    assert (record.metrics, record.data) == ({"accuracy": 0.5}, {"n": 5})
    assert store.directory.content("two").subnet.claimed == 1
    assert same(state(store.load("two")), state(second))
    third = store.put("three", store.load("one"), method="pruned by hand")
    assert third.method["name"] == "pruned by hand"
    refined = third.layers["two.weight"]["claimed"]  # the latest earlier value is another by now
    assert refined == int(store.load("one").two.weight[3, 4] != 0)
    assert same(state(store.load("three")), state(store.load("one")))


def test_zeros_may_be_kept_and_what_is_left_out_must_be_zero(tmp_path: Path) -> None:
    store, model = create(tmp_path), pruned(MLP, 1)
    kept = {"one.weight": torch.ones_like(model.one.weight, dtype=torch.bool)}
    record = store.put("all", model, kept)
    assert record.layers["one.weight"]["used"] == model.one.weight.numel()
    assert record.layers["two.weight"]["used"] == int((model.two.weight != 0).sum())
    kept["one.weight"][model.one.weight.nonzero()[0].unbind()] = False
    before = files(store.path)
    with pytest.raises(ModelMismatchError, match=r"leaves out 1 weight of one\.weight that the model has at other"):
        store.put("less", model, kept)
    assert files(store.path) == before


def test_a_minus_zero_is_a_value(tmp_path: Path) -> None:
    store, model = create(tmp_path), pruned(MLP, 1)
    model.two.weight.data[0, :2] = torch.tensor([-0.0, 0.0])
    store.put("minus", model)
    assert same(state(store.load("minus")), state(model))
    assert store.directory.content("minus").subnet.kept_masks()["two.weight"][0, :2].tolist() == [True, False]


@pytest.mark.parametrize("method", ["independent", "finetune", "joint"])
def test_a_methods_isolation_is_kept(tmp_path: Path, method: str) -> None:
    store, model = create(tmp_path), pruned(MLP, 1)
    store.put("first", pruned(MLP, 2))
    record = store.put("second", model, method=METHODS[method])
    assert (record.isolation, record.method["name"]) == (METHODS[method].isolation, method)
    assert record.parents == ()
    assert same(state(store.load("second")), state(model))
    assert all(layer["claimed"] == layer["used"] for layer in record.layers.values())


def test_heads_of_ones_own_making_and_none(tmp_path: Path) -> None:
    store, model = nw.TaskStore.create(tmp_path / "store", MLP.make()), pruned(MLP, 2)
    store.put("none", model)
    assert same(state(store.load("none")), state(model))
    model.head = nn.Linear(16, 7)
    with pytest.raises(ModelMismatchError, match=r"head\.weight is float32 \(7, 16\) in the model"):
        store.put("other", model)
    with pytest.raises(ModelMismatchError, match="no module 'heed'"):
        store.put("other", model, head="heed")
    model.head = nn.Sequential(nn.Linear(16, 4), nn.Linear(4, 2))
    store.put("custom", model, head="head")
    assert same(state(store.load("custom", head=copy.deepcopy(model.head))), state(model))


def broken(model: nn.Module) -> None:
    model.one.weight.data[0, 0] = float("nan")


@pytest.mark.parametrize(
    ("kept", "change", "error", "said"),
    [
        ({"one": torch.ones(1)}, None, ConfigError, r"kept names one: .* Those are one\.weight, two\.weight"),
        ({"head.weight": torch.ones(2, 16) > 0}, None, ConfigError, r"kept names head\.weight"),
        ({"one.weight": torch.ones(16, 6)}, None, ConfigError, r"has torch\.float32 \(16, 6\) for one\.weight; it"),
        ({"one.weight": torch.ones(6, 16) > 0}, None, ConfigError, r"torch\.bool \(6, 16\) for one\.weight"),
        ({"one.weight": [True]}, None, ConfigError, r"has list for one\.weight"),
        (None, broken, NonFiniteError, r"one\.weight holds a value that is NaN"),
        (None, nn.Module.half, ModelMismatchError, r"one\.weight is float16"),
    ],
)
def test_what_cannot_be_put_changes_nothing(
    tmp_path: Path, kept: Any, change: Any, error: type[Exception], said: str
) -> None:
    store, model = create(tmp_path), pruned(MLP, 1)
    if change is not None:
        change(model)
    before = files(store.path)
    with pytest.raises(error, match=said):
        store.put("a", model, kept)
    assert files(store.path) == before
    with store.directory.lock():  # and nobody holds it
        pass


def test_names_are_new_and_the_store_is_not_being_written(tmp_path: Path) -> None:
    store, model = create(tmp_path), pruned(MLP, 1)
    store.put("a", model)
    with pytest.raises(TaskExistsError):
        store.put("a", model)
    with pytest.raises(ConfigError):
        store.put("", model)
    with store.begin("b", METHODS["laplace"]), pytest.raises(StoreLockedError):
        store.put("c", model)


class Switched(nn.Module):
    """Its outputs depend on what is no tensor of it."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.head, self.sign = nn.Linear(6, 16), nn.Linear(16, 2), 1.0

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.one(x))) * self.sign


def test_outputs_are_compared_where_inputs_are_given(tmp_path: Path) -> None:
    store, model = nw.TaskStore.create(tmp_path / "store", Switched(), head="head"), Switched()
    model.sign = -1.0
    with pytest.raises(ModelMismatchError, match="depends on what is no parameter or buffer"):
        store.put("a", model, inputs=torch.randn(4, 6))
    with pytest.warns(UserWarning, match="Different in a fresh copy: sign") as warned:
        store.put("a", model)
    assert warned[0].filename == __file__
