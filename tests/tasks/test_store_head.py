"""The place of the heads, kept with the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import narrows as nw
from narrows.errors import ConfigError, ModelMismatchError
from narrows.store.recovering import recover
from narrows.tasks.heads import Head
from toys import MLP, TOYS, same, state

METHOD = nw.IBM(density=0.4, prune_every=2)


def test_a_number_of_outputs_or_a_module_is_enough(tmp_path: Path) -> None:
    created = nw.TaskStore.create(tmp_path / "store", MLP.make(), head="head")
    assert [spec.name for spec in created.shared] == ["one.weight", "two.weight"]
    store = nw.TaskStore.open(tmp_path / "store", MLP.make())
    assert store.head == "head"
    for name, head in (("five", 5), ("module", nn.Linear(16, 3, bias=False)), ("path", Head("head", nn.Linear(16, 4)))):
        with store.begin(name, METHOD, head=head) as task:
            task.fit([MLP.batch(8, 3)], nw.Training(2))
            task.commit()
    assert [store.load(name).head.weight.shape[0] for name in store.names()] == [5, 3, 4]
    assert store.load("five").head.bias is not None
    store.put("put", store.load("five"))
    assert same(state(store.load("put")), state(store.load("five")))
    (store.path / "store.json").unlink()
    recover(store.path)
    assert nw.TaskStore.open(store.path).head == "head"


def test_what_is_no_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelMismatchError, match="no module 'heed'"):
        nw.TaskStore.create(tmp_path / "none", MLP.make(), head="heed")
    store = nw.TaskStore.create(tmp_path / "without", MLP.make())
    with pytest.raises(ModelMismatchError, match="made without a head"):
        store.begin("a", METHOD, head=5)
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head="head")
    for head in (0, -1, True, "5", 2.0):
        with pytest.raises(ConfigError, match="its number of outputs, 1 or more"):
            store.begin("a", METHOD, head=head)  # type: ignore[arg-type]
    model = MLP.make()
    model.head = nn.Sequential(nn.Linear(16, 2))
    store = nw.TaskStore.create(tmp_path / "custom", model, head="head")
    with pytest.raises(ModelMismatchError, match="is a Sequential: a number of outputs is enough for an"):
        store.begin("a", METHOD, head=2)


def test_a_head_is_of_the_dtype_that_the_network_has(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", TOYS["mlp"].make().double(), head="head")
    with store.begin("a", METHOD, head=2) as task:
        assert task.model.head.weight.dtype == torch.float64


def test_a_store_that_was_made_without_has_it_where_its_first_task_has(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make())
    assert store.head is None
    for name, head in (("first", Head("head", nn.Linear(16, 4))), ("second", 2)):
        with store.begin(name, METHOD, head=head) as task:
            task.fit([MLP.batch(8, 2)], nw.Training(2))
            task.commit()
    store = nw.TaskStore.open(tmp_path / "store", MLP.make())
    assert store.head == "head"
    assert store.load("second").head.out_features == 2
    assert nw.TaskStore.open(tmp_path / "store").directory.header.head is None


def test_what_was_written_so_before_works_and_says_how_it_is_written_now(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make())
    old: list[tuple[Callable[[], Any], str]] = [
        (lambda: store.begin("a", METHOD, head=("head", nn.Linear(16, 4))), r"create\(path, model, head=path\)"),  # type: ignore[arg-type]
        (lambda: store.used(), r"store\.values_kept\(\)"),
        (lambda: store.progress("a"), r"store\.checkpoint\(name\)"),
    ]
    for call, said in old:
        with pytest.warns(DeprecationWarning, match=said) as warned:
            given = call()
        assert warned[0].filename == __file__
        if isinstance(given, nw.Task):
            assert given.model.head.out_features == 4
            given.abandon()
