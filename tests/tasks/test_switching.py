"""A network in use turned into other tasks, in place, as `load` gives them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import narrows as nw
from narrows.errors import DamagedStoreError, ModelMismatchError, UnknownNameError
from narrows.tasks.heads import Head
from toys import METHODS, MLP, TOYS, learn, logits, same, state

METHOD = nw.IBM(density=0.4, prune_every=2)
MIXED = ("laplace", "magnitude-ib", "wsn", "independent", "finetune", "packnet", "ewc")


def spoil(model: nn.Module) -> None:
    """As if somebody had trained it since."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.copy_(torch.randn(tensor.shape) * 9)


@pytest.mark.parametrize("toy", sorted(TOYS))
def test_any_sequence_of_tasks_gives_what_load_gives(tmp_path: Path, toy: str) -> None:
    store = nw.TaskStore.create(tmp_path / "store", TOYS[toy].make(), head=TOYS[toy].place)
    chance = random.Random(toy)
    names = chance.sample(MIXED, 4)
    for place, name in enumerate(names):
        learn(store, name, METHODS[name], TOYS[toy], classes=2 + place % 2, epochs=2)
    x, _ = TOYS[toy].batch(4, 2)
    model = TOYS[toy].make(seed=3)  # of the same code, and never loaded
    for _ in range(12):
        name = chance.choice(names)
        if chance.random() < 0.5:
            model.train()
            spoil(model)
        before = torch.random.get_rng_state()
        store.switch_(model, name)
        assert torch.equal(before, torch.random.get_rng_state())
        loaded = store.load(name)
        assert same(state(model), state(loaded))
        assert torch.equal(logits(model, x), logits(loaded, x))
        assert not any(module.training for module in model.modules())


def test_its_tensors_stay_the_same_ones(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    for name, classes in (("a", 3), ("b", 3), ("c", 2)):
        learn(store, name, METHOD, classes=classes)
    model = store.load("a")
    tensors = {name: param.data_ptr() for name, param in model.named_parameters()}
    store.switch_(model, "b")
    assert {name: param.data_ptr() for name, param in model.named_parameters()} == tensors
    store.switch_(model, "c")
    assert {name for name, param in model.named_parameters() if param.data_ptr() != tensors[name]} == {
        "head.weight",
        "head.bias",
    }


def test_a_converted_network_is_switched_to_what_load_converts(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", TOYS["batchnorm"].make(), head=TOYS["batchnorm"].place)
    for name, classes in (("a", 3), ("b", 2)):
        learn(store, name, METHOD, TOYS["batchnorm"], classes=classes)
    model = store.load("a", dtype=torch.bfloat16)
    for name in ("b", "a", "a"):
        store.switch_(model, name)
        assert same(state(model), state(store.load(name, dtype=torch.bfloat16)))
    model.one.float()
    before = state(model)
    with pytest.raises(ModelMismatchError, match=r"a part was not: .*norm\.weight"):
        store.switch_(model, "b")
    assert same(state(model), before)


def test_heads_may_be_in_other_places_and_not_there_at_all(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    heads = {"small": 3, "whole": None, "bent": Head("tanh", nn.Sequential(nn.Linear(16, 16)))}
    for name, head in heads.items():
        with store.begin(name, METHOD, head=head) as task:
            task.fit([MLP.batch(8, 2)], nw.Training(2))
            task.commit()
    given = {"bent": nn.Sequential(nn.Linear(16, 16))}
    model = store.load("bent", head=given["bent"])
    for name in ("small", "bent", "whole", "small", "whole", "bent", "bent", "small"):
        store.switch_(model, name, head=given.get(name))
        assert same(state(model), state(store.load(name, head=given.get(name))))
        assert [type(module) for module in model] == [type(m) for m in store.load(name, head=given.get(name))]
    with pytest.raises(ModelMismatchError, match="which the store cannot build by itself"):
        store.switch_(model, "bent")
    with pytest.raises(ModelMismatchError, match=r"tanh\.0\.weight is float32 \(16, 4\) in the model"):
        store.switch_(model, "bent", head=nn.Sequential(nn.Linear(4, 16)))
    assert same(state(model), state(store.load("small")))


class Fixed(nn.Module):
    """With a layer that is not trained, unless a task does, and buffers that the state dict leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.fixed, self.one, self.head = nn.Linear(6, 6), nn.Linear(6, 16), nn.Linear(16, 2)
        self.fixed.requires_grad_(False)
        self.register_buffer("calls", torch.zeros(1), persistent=False)
        self.register_buffer("cache", torch.zeros(1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.cache = x.detach()
        if self.training:
            self.calls += 1
        return self.head(F.relu(self.one(self.fixed(x)))) + 0 * self.calls


def test_what_only_some_tasks_change_goes_back(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", Fixed(), head="head")
    for name, trained in (("a", True), ("b", False)):
        with store.begin(name, METHOD, head=nn.Linear(16, 2)) as task:
            task.model.fixed.requires_grad_(trained)
            task.fit([MLP.batch(8, 2)], nw.Training(2))
            task.commit()
    model = store.load("a")
    assert not torch.equal(model.fixed.weight, store.load("b").fixed.weight)
    for name in ("b", "a", "b"):
        model(torch.ones(3, 6))
        store.switch_(model, name)
        loaded = store.load(name)
        assert same(state(model), state(loaded))
        assert same(dict(model.named_buffers()), dict(loaded.named_buffers()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda model: setattr(model, "one", nn.Linear(6, 12)), r"one\.weight is floating-point \(12, 6\), and"),
        (lambda model: setattr(model, "relu", nn.GELU()), "relu is GELU, and ReLU in the store's network"),
        (lambda model: setattr(model, "two", nn.Identity()), "two is Identity, and Linear"),
        (lambda model: model.add_module("more", nn.Linear(2, 2)), r"more is Linear, and not there"),
    ],
)
def test_a_network_of_another_kind_is_refused_and_left_as_it_is(tmp_path: Path, change: object, said: str) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    learn(store, "a", METHOD)
    model = MLP.make()
    change(model)  # type: ignore[operator]
    before = state(model)
    with pytest.raises(ModelMismatchError, match=said):
        store.switch_(model, "a")
    assert same(state(model), before)
    with pytest.raises(UnknownNameError):
        store.switch_(MLP.make(), "b")


def test_files_that_change_after_they_were_proven_are_found(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    learn(store, "a", METHOD)
    model = store.load("a")
    store.switch_(model, "a")
    (file,) = store.path.glob("tasks/*/claimed.safetensors")
    file.write_bytes(file.read_bytes()[:-1] + b"\x77")
    before = state(model)
    with pytest.raises(DamagedStoreError, match="claimed"):
        store.switch_(model, "a")
    assert same(state(model), before)
