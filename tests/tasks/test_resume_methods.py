"""Every method, interrupted at any step and gone on with elsewhere, ends where it would have ended."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import narrows as nw
from checkpoints import Memory, identical, stop_at, strange
from subnets import values_of
from toys import METHODS, TOYS, Toy, learn, state

EPOCHS, BATCHES = 3, 3
RATIOS = {"ratio-features": nw.IBM(density=0.4, prune_every=2, ratio="features")}
ALL = METHODS | RATIOS | {"hat-epoch": nw.HAT(gate_lr=0.1, anneal="epoch")}


def dropout() -> nn.Module:
    """Running statistics and chance in the forward."""
    parts = {"one": nn.Linear(6, 12), "norm": nn.BatchNorm1d(12), "relu": nn.ReLU(), "drop": nn.Dropout(0.3)}
    model = nn.Sequential()
    for name, part in (parts | {"head": nn.Linear(12, 2)}).items():
        model.add_module(name, part)
    return model


SOME = ("laplace", "multiplicative", "wsn", "hat")
NETWORKS = {"dropout": Toy(dropout, (6,), 12), "lstm": TOYS["lstm"], "tied": TOYS["tied"]}


@dataclass
class World:
    """A store with one task, from which another can be learned any number of times."""

    path: Path
    toy: Toy
    method: nw.Method
    fit: Any = None
    plain: Any = None

    def loader(self) -> Any:
        x, y = self.toy.batch(8 * BATCHES, 3)
        return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=8, shuffle=True)

    def train(self, where: str, seed: int, checkpoint: Any, **options: Any) -> nw.TaskStore:
        """As a process would that knows the path only: everything is built anew."""
        copied = self.path.parent / where
        if not copied.exists():
            shutil.copytree(self.path, copied)
        store = nw.TaskStore.open(copied, self.toy.make(seed + 50))
        torch.manual_seed(seed)
        with store.begin("second", self.method, head=self.toy.head(3)) as task:
            self.fit = task.fit(self.loader(), nw.Training(EPOCHS, lr=0.05), checkpoint=checkpoint, **options)
            assert not strange(task.state()["learner"])
            task.commit()
        return store


def result(store: nw.TaskStore) -> Any:
    content, record = store.directory.content("second"), store.directory.record("second")
    return {
        "model": state(store.load("second")),
        "used": content.subnet.kept_masks(),
        "claimed": content.subnet.claimed_masks(),
        "values": values_of(content.subnet),
        "private": content.private,
        "why": {layer.name: layer.to_json() for layer in store.explain("second")},
        "parents": list(record.parents),
        "history": record.history,
        "carry": store.directory.carry(record.method["name"]),
    }


CASES = [("dropout", name) for name in ALL] + [(toy, name) for toy in ("lstm", "tied") for name in SOME]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    toy, method = NETWORKS[request.param[0]], ALL[request.param[1]]
    path = tmp_path_factory.mktemp("world") / "store"
    learn(nw.TaskStore.create(path, toy.make(), head=toy.place), "first", method, toy, epochs=2)
    world = World(path, toy, method)
    world.plain = result(world.train("plain", 3, None)), world.fit
    return world


def test_an_interrupted_task_ends_where_it_would_have_ended(world: World) -> None:
    """Within an epoch; at the ends of epochs, too, below."""
    memory, where, stop = Memory(), "stopped", 5
    with pytest.raises(KeyboardInterrupt):
        world.train(where, 3, memory, callbacks=[stop_at(stop)])
    assert memory.tree["position"]["steps"] == stop
    assert not strange(memory.tree)
    assert identical(result(world.train(where, 100 + stop, memory)), world.plain[0])
    assert world.fit.losses == world.plain[1].losses
    assert world.fit.steps == EPOCHS * BATCHES
    assert memory.drops == 1


def test_a_task_interrupted_after_every_step_ends_where_it_would_have_ended(world: World) -> None:
    memory = Memory()
    for stop in range(1, EPOCHS * BATCHES + 1):
        with pytest.raises(nw.errors.Interrupted):
            world.train("halting", 3 if stop == 1 else stop, memory, callbacks=[stop_at(stop, nw.errors.Interrupted)])
    assert identical(result(world.train("halting", 70, memory)), world.plain[0])
