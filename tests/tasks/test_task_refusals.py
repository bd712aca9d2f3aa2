"""What cannot work is refused with the right error; the old task stays as it is and the store usable."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import narrows as nw
from narrows.errors import (
    CapacityError,
    ConfigError,
    DataError,
    ModelMismatchError,
    NonFiniteError,
    OptimizerError,
    StoreLockedError,
    TaskExistsError,
    UnknownNameError,
)
from narrows.tasks.heads import Head
from toys import MLP, files, learn, logits, same, state

METHOD = nw.IBM(density=0.4, prune_every=2)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[nw.TaskStore]:
    """A store with one task, which the test must leave byte for byte, able to learn the next."""
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    learn(store, "old", METHOD)
    x, _ = MLP.batch(5, 3)
    before, out = files(store.path), logits(store.load("old"), x)
    yield store
    assert files(store.path) == before
    assert torch.equal(logits(store.load("old"), x), out)
    learn(store, "next", METHOD)
    assert torch.equal(logits(store.load("old"), x), out)
    assert store.verify(deep=True) == []


def begin(store: nw.TaskStore, name: str = "new", method: nw.Method = METHOD, classes: int = 2) -> nw.Task:
    return store.begin(name, method, head=MLP.head(classes))


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("old", TaskExistsError, "already has a task 'old'.*another name"),
        ("", ConfigError, "is empty"),
        ("a\nb", ConfigError, "line break"),
        ("x" * 300, ConfigError, "300 characters"),
    ],
)
def test_a_name_that_cannot_be(store: nw.TaskStore, name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        begin(store, name)


@pytest.mark.parametrize("path", ["", "fc", "head.weight", "*", "hea?", "head.fc", "h"])
def test_a_place_where_no_head_goes(store: nw.TaskStore, path: str) -> None:
    with pytest.raises(ModelMismatchError, match=r"no module .* Its modules: 'one', 'relu', 'two', 'tanh', 'head'"):
        store.begin("new", METHOD, head=Head(path, nn.Linear(16, 2)))


@pytest.mark.parametrize("path", ["fc", "*", "head.weight"])
def test_a_wrong_place_for_the_first_head_settles_nothing(tmp_path: Path, path: str) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    shared, before = store.shared, files(store.path)
    with pytest.raises(ModelMismatchError):
        store.begin("new", METHOD, head=Head(path, nn.Linear(16, 2)))
    assert store.shared == shared
    assert files(store.path) == before


def wider() -> nn.Module:
    model = MLP.make()
    model.two = nn.Linear(16, 17)
    return model


def other_dtype() -> nn.Module:
    model = MLP.make()
    model.one.to(torch.float64)
    return model


def renamed() -> nn.Module:
    return nn.Sequential(MLP.make())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (wider, r"two\.bias is float32 \(17,\) in the model, float32 \(16,\) in the store; two\.weight is"),
        (other_dtype, r"one\.bias is float64 .* one\.weight is float64 \(16, 6\) in the model, float32 \(16, 6\)"),
        (renamed, r"0\.head\.bias is not in the store.*and 7 more"),
    ],
)
def test_another_model(store: nw.TaskStore, make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ModelMismatchError, match=message):
        nw.TaskStore.open(store.path, make())


def test_a_store_without_a_model_can_be_read_only(store: nw.TaskStore) -> None:
    bare = nw.TaskStore.open(store.path)
    assert [layer.name for layer in bare.explain("old")] == ["one.weight", "two.weight"]
    for use in (lambda: bare.load("old"), lambda: begin(bare)):
        with pytest.raises(ModelMismatchError, match="opened without a model"):
            use()


@pytest.mark.parametrize("place", ["one.weight", "head.bias", "two.bias"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite(store: nw.TaskStore, place: str, value: float) -> None:
    with begin(store) as task:
        task.fit([MLP.batch(8, 2)], nw.Training(4))
        with torch.no_grad():
            dict(task.model.named_parameters())[place].view(-1)[:4] = value
        with pytest.raises(NonFiniteError, match=rf"{place} holds .*Nothing was committed"):
            task.commit()


@pytest.mark.parametrize("method", [METHOD, nw.WSN(), nw.IBM(density=0.4, estimator="variational")])
def test_a_loss_that_is_not_finite(store: nw.TaskStore, method: nw.Method) -> None:
    x, y = MLP.batch(8, 2)
    batches = [(x, y)] * 3 + [(torch.full_like(x, math.nan), y)] + [(x, y)] * 6
    with begin(store, method=method) as task, pytest.raises(NonFiniteError, match=r"at step 4|score is NaN"):
        task.fit(batches, nw.Training(2, examples=8))


def test_a_commit_without_training(store: nw.TaskStore) -> None:
    with begin(store) as task:
        with pytest.raises(OptimizerError, match="no optimizer yet"):
            task.commit()
        task.optimizer(torch.optim.Adam, lr=0.1, total_steps=3)
        with pytest.raises(OptimizerError, match="has not taken an optimizer step"):
            task.commit()


def test_more_than_is_left(store: nw.TaskStore) -> None:
    # 352 shared weights, 140 of them frozen
    message = r"asks for 352 new weights \(100\.00% of 352\) and 212 \(60\.23%\) are free\..*Free by layer: one\.weight"
    with pytest.raises(CapacityError, match=message) as caught:
        begin(store, method=nw.IBM(new=1.0, reuse=0.1, refine=False))
    used = {layer.name: layer.weights - layer.used for layer in store.explain("old")}
    assert all(f"{name} {free:,}" in str(caught.value) for name, free in used.items())


def test_a_full_store_still_reuses(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    learn(store, "all", nw.IBM(density=1.0))
    assert store.values_kept() == 1.0
    before = state(store.load("all"))
    with pytest.raises(CapacityError, match=r"and 0 \(0\.00%\) are free.*new=0 reuses"):
        begin(store, method=nw.IBM(density=0.4, refine=False))
    price = nw.IBM(beta=1e-6, refine=False)
    for name, method in (("reuse", nw.IBM(new=0.0, reuse=0.5)), ("price", price), ("wsn", nw.WSN(0.3))):
        learn(store, name, method)
        assert sum(layer.claimed for layer in store.explain(name)) == 0
    assert store.values_kept() == 1.0
    learn(store, "refining", METHOD)  # has values of its own beside those of the others
    assert store.values_kept() > 1.0
    assert same(state(store.load("all")), before)
    assert store.verify(deep=True) == []


@pytest.mark.parametrize(
    ("batches", "epochs", "message"),
    [
        ([(torch.zeros(2, 6), torch.tensor([0, 2]))], 2, "Labels run from 0 to 2, and the head has 2 outputs"),
        ([(torch.zeros(2, 6), torch.tensor([-1, 0]))], 2, "Labels run from -1"),
        ([], 2, "nothing to train on: 2 epochs of 0 batches"),
        (torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(0, 6)), 4), 1, "0 batches"),
        (iter([]), 1, "0 batches"),
    ],
)
def test_data_that_cannot_be_learned(store: nw.TaskStore, batches: Any, epochs: int, message: str) -> None:
    with begin(store) as task, pytest.raises(DataError, match=message):
        task.fit(batches, nw.Training(epochs))


def test_one_writer_at_a_time(store: nw.TaskStore) -> None:
    task = begin(store)
    other = nw.TaskStore.open(store.path, MLP.make())
    for second in (store, other):
        with pytest.raises(StoreLockedError, match=r"being written by process \d+"):
            begin(second, "second")
    assert other.load("old") is not None  # readers need no lock
    task.abandon()
    task.abandon()
    with begin(other, "second"), pytest.raises(StoreLockedError):
        begin(store, "third")
    with pytest.raises(KeyError), begin(store, "third"):
        raise KeyError
    with pytest.raises(CapacityError):
        begin(store, method=nw.IBM(new=1.0, reuse=0.0, refine=False))
    begin(store, "fourth").abandon()


def test_an_unknown_task(store: nw.TaskStore) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'old'"):
        store.load("odl")
    with pytest.raises(UnknownNameError, match=r"there are: old"):
        store.explain("quite another")
