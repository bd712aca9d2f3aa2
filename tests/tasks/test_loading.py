"""What `TaskStore.load` gives: where it lies and of what dtype, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import narrows as nw
from narrows.errors import ConfigError, DamagedStoreError
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
