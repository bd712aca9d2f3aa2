"""A bit that flips in memory while a task is learned does not reach the store."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import narrows as nw
from narrows.errors import ModelMismatchError, StoreError
from narrows.tasks import TaskStore
from toys import TOYS, files, learn

TOY = TOYS["mlp"]


def flip(tensor: torch.Tensor) -> None:
    tensor.reshape(-1).view(torch.uint8)[0] ^= 1


@pytest.mark.parametrize("part", ["values", "positions", "owners"])
@pytest.mark.parametrize("trained", [False, True])
def test_what_earlier_tasks_hold(tmp_path: Path, part: str, trained: bool) -> None:
    store = TaskStore.create(tmp_path / "s", TOY.make(), head=TOY.place)
    learn(store, "first", nw.IBM(density=0.3, prune_every=2))
    before = files(store.path)
    with store.begin("second", nw.WSN(density=0.3), head=TOY.head(3)) as task:
        if not trained:
            flip(getattr(task._held.parts["one.weight"], part))
        task.fit([TOY.batch(8, 3)], nw.Training(4))
        if trained:
            flip(getattr(task._held.parts["one.weight"], part))
        with pytest.raises(StoreError, match="'second' hold has changed in this process's memory"):
            task.commit()
    assert files(store.path) == before


def test_the_weights_that_were_trained(tmp_path: Path) -> None:
    store = TaskStore.create(tmp_path / "s", TOY.make(), head=TOY.place)
    learn(store, "first", nw.IBM(density=0.9, prune_every=2))
    with store.begin("second", nw.IBM(new=0.1, reuse=0.5, prune_every=2), head=TOY.head(3)) as task:
        task.fit([TOY.batch(8, 3)], nw.Training(4))
        param = task.model.get_parameter("one.weight")
        reused = task._weights.held.parts["one.weight"]
        learner = task._attached.learner
        kept = (learner.masks[0] & ~learner.claims[0]).reshape(-1).nonzero()[0]
        learner.finish = lambda: None  # what puts reused weights back is not what is tried here
        with torch.no_grad():
            param.reshape(-1)[kept] += 1e-6 + param.reshape(-1)[kept].abs()
        assert len(reused.positions)
        with (
            pytest.warns(UserWarning, match=r"one\.weight changed"),
            pytest.raises(ModelMismatchError, match=r"one\.weight"),
        ):
            task.commit()
