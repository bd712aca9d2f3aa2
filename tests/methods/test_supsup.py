"""SupSup: no task changes a weight; scores are trained straight through the choice, afresh for each task."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import narrows as nw
from narrows.methods import Extent
from subnets import values_of
from toys import MLP, TOYS, learn, weights


@pytest.mark.parametrize("toy", ["mlp", "grouped", "attention", "tied"])
@pytest.mark.parametrize("kind", ["signed", "base"])
def test_no_task_changes_a_weight(kind: Any, toy: str, tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", TOYS[toy].make(), head=TOYS[toy].place)
    for name in ("a", "b", "c"):
        learn(store, name, nw.SupSup(density=0.3, weights=kind), TOYS[toy])
    base = store.directory.base()

    def initial(name: str) -> Tensor:
        fan_in = math.prod(base[name].shape[1:])
        return base[name] if kind == "base" else base[name].sign() * math.sqrt(2 / fan_in)

    claims = 0
    for task in ("a", "b", "c"):
        content, loaded = store.directory.content(task), store.load(task).state_dict()
        for name, used in content.subnet.kept_masks().items():
            assert torch.equal(loaded[name], torch.where(used, initial(name), 0.0))
        for name, values in values_of(content.subnet).items():
            assert torch.equal(values, initial(name)[content.subnet.claimed_masks()[name]])
            claims += values.numel()
    assert claims == sum(layer.claimed for task in ("a", "b", "c") for layer in store.explain(task))
    assert {layer.reused > 0 for layer in store.explain("c")} == {True}


def test_a_frozen_weight_of_another_method_is_used_as_it_is(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    learn(store, "ibm", nw.IBM(density=0.5))
    learn(store, "supsup", nw.SupSup(density=0.5))
    ibm, supsup = (store.directory.subnet(name) for name in ("ibm", "supsup"))
    before, after = (store.load(name).state_dict() for name in ("ibm", "supsup"))
    for name, claimed in ibm.claimed_masks().items():
        both = claimed & supsup.kept_masks()[name]
        assert both.any()
        assert torch.equal(before[name][both], after[name][both])


def test_gradients_are_straight_through() -> None:
    shared = weights({"a": (6, 4), "b": (3, 6)}, frozen=0.3, dtype=torch.float64)
    learner: Any = nw.SupSup(density=0.5, weights="base").learner(shared, Extent(), None)
    (group,) = learner.parameter_groups()
    optimizer = torch.optim.SGD([{"params": shared.params}, group], lr=0.3, momentum=0.9, weight_decay=0.1)
    x, y = torch.randn(5, 4).double(), torch.randn(5, 3).double()
    fixed = [value.clone() for value in learner._dense]

    def loss(a: Tensor, b: Tensor) -> Tensor:
        return (torch.tanh(x @ a.T) @ b.T - y).square().mean()

    seen = set()
    for _ in range(6):
        scores = [score.detach().clone().requires_grad_() for score in learner._scores]
        masks = [mask.double() for mask in learner.masks]
        seen.add(tuple(masks[0].flatten().tolist()))
        rows = zip(fixed, scores, masks, strict=True)
        loss(*(w * (mask + score.abs() - score.abs().detach()) for w, score, mask in rows)).backward()
        loss(*shared.params).backward()
        learner.before_step()
        for score, expected in zip(learner._scores, scores, strict=True):
            torch.testing.assert_close(score.grad, expected.grad)
        optimizer.step()
        learner.after_step()
        optimizer.zero_grad()
        for param, w, mask in zip(shared.params, fixed, learner.masks, strict=True):
            assert torch.equal(param, torch.where(mask, w, 0.0))
    assert len(seen) > 1, "the choice should have moved"


def test_masks_alone_learn_a_task(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    with store.begin("a", nw.SupSup(density=0.5), head=MLP.head(3)) as task:
        fit = task.fit([MLP.batch(32, 3)], nw.Training(150, lr=0.05))
        task.commit()
    assert fit.losses[-1] < 0.3 * fit.losses[0]
    assert store.directory.carry("supsup") is None  # the next task's scores start afresh
