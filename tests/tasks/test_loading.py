"""What `TaskStore.load` gives: where it lies and of what dtype, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import narrows as nw
from narrows.errors import ConfigError, DamagedStoreError
from narrows.tasks.module_copy import copied_without
from toys import MLP, TOYS, learn, same, state

METHOD = nw.IBM(density=0.4, prune_every=2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_floating_point_tensors_alone_are_converted(tmp_path: Path, dtype: torch.dtype) -> None:
    toy = TOYS["tied"]
    model = toy.make()
    model.register_buffer("calls", torch.tensor(7))
    store = nw.TaskStore.create(tmp_path / "store", model, head=toy.place)
    learn(store, "a", METHOD, toy)
    loaded = store.load("a", dtype=dtype)
    assert same(
        state(loaded), {k: v.to(dtype) if v.is_floating_point() else v for k, v in state(store.load("a")).items()}
    )
    assert loaded.decoder.weight is loaded.words.weight
    assert not loaded.training


def test_it_is_loaded_to_a_device(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    learn(store, "a", METHOD)
    moved = store.load("a", device="meta", dtype=torch.float16)
    assert {(param.device.type, param.dtype) for param in moved.parameters()} == {("meta", torch.float16)}
    assert same(state(store.load("a", device=torch.device("cpu"))), state(store.load("a")))


def test_what_no_network_can_be_is_refused(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    learn(store, "a", METHOD)
    with pytest.raises(ConfigError, match=r"cannot be loaded as torch\.int8: dtype is one of torch\.bfloat16, "):
        store.load("a", dtype=torch.int8)
    with pytest.raises(ConfigError, match="'cuda:99' cannot be used here"):
        store.load("a", device="cuda:99")


def test_damage_is_found_whatever_it_is_converted_to(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    learn(store, "a", METHOD)
    (file,) = store.path.glob("tasks/*/private.safetensors")
    file.write_bytes(file.read_bytes()[:-1] + b"\x77")
    with pytest.raises(DamagedStoreError, match="private"):
        store.load("a", dtype=torch.float16)


def test_the_base_is_read_where_a_task_has_something_of_it(tmp_path: Path) -> None:
    """Else damage to it keeps no task from being loaded; nor is it read to open a store with the right model."""
    for name, fixed in (("free", False), ("fixed", True)):
        model = MLP.make()
        model.one.bias.requires_grad_(not fixed)
        store = nw.TaskStore.create(tmp_path / name, model, head="head")
        learn(store, "a", METHOD)
        expected = state(store.load("a"))
        base = store.path / "base.safetensors"
        base.write_bytes(base.read_bytes()[:-1] + b"\x77")
        store = nw.TaskStore.open(tmp_path / name, model)
        if fixed:
            with pytest.raises(DamagedStoreError, match=r"base\.safetensors was altered"):
                store.load("a")
        else:
            assert same(state(store.load("a")), expected)
        with pytest.raises(DamagedStoreError, match=r"base\.safetensors was altered"):
            store.begin("b", METHOD)
        assert [problem.file for problem in store.verify()] == ["base.safetensors"]


@pytest.mark.parametrize("layout", ["usual", "turned", "of a class of its own", "shared twice"])
def test_a_copy_without_values_has_zeros_and_is_else_the_same(layout: str) -> None:
    class Special(nn.Parameter): ...

    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    if layout == "turned":
        model[0].weight = nn.Parameter(torch.randn(3, 4).T)
    elif layout == "of a class of its own":
        model[0].weight = Special(torch.randn(4, 3))
    elif layout == "shared twice":
        model[2].weight = nn.Parameter(torch.randn(4, 3))
        model[0].weight = model[2].weight
    model[0].weight.requires_grad_(False)
    before = state(model)
    found = copied_without(model, {"0.weight", "not there"})
    assert same(state(model), before)
    weight = found[0].weight
    assert not weight.any()
    assert (type(weight), weight.requires_grad) == (type(model[0].weight), False)
    assert (weight.stride(), weight.dtype) == (model[0].weight.stride(), model[0].weight.dtype)
    assert (found[2].weight is weight) == (layout == "shared twice")
    rest = {name for name in before if name not in ("0.weight", "2.weight" if layout == "shared twice" else "")}
    assert same({name: state(found)[name] for name in rest}, {name: before[name] for name in rest})
    assert not {id(one) for one in found.parameters()} & {id(one) for one in model.parameters()}
