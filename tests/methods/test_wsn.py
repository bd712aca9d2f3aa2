"""WSN: scores are trained straight through the choice, and carried from task to task; and the options that are ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import narrows as nw
from narrows.errors import ConfigError, OptimizerError
from narrows.methods import Extent
from toys import MLP, learn, weights


def test_gradients_are_straight_through() -> None:
    shared = weights({"a": (6, 4), "b": (3, 6)}, frozen=0.3, dtype=torch.float64)
    learner: Any = nw.WSN(density=0.5).learner(shared, Extent(), None)
    (group,) = learner.parameter_groups()
    optimizer = torch.optim.SGD([{"params": shared.params}, group], lr=0.3, momentum=0.9, weight_decay=0.1)
    x, y = torch.randn(5, 4).double(), torch.randn(5, 3).double()

    def loss(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (torch.tanh(x @ a.T) @ b.T - y).square().mean()

    seen = set()
    for _ in range(6):
        dense = [value.detach().clone().requires_grad_() for value in learner._dense]
        scores = [score.detach().clone().requires_grad_() for score in learner._scores]
        masks = [mask.double() for mask in learner.masks]
        seen.add(tuple(masks[0].flatten().tolist()))
        rows = zip(dense, scores, masks, strict=True)
        loss(*(w * (mask + score - score.detach()) for w, score, mask in rows)).backward()
        loss(*shared.params).backward()
        learner.before_step()
        for param, score, w, s, frozen in zip(
            shared.params, learner._scores, dense, scores, shared.frozen, strict=True
        ):
            torch.testing.assert_close(score.grad, s.grad)
            torch.testing.assert_close(param.grad, w.grad * ~frozen)
        optimizer.step()
        learner.after_step()
        optimizer.zero_grad()
        for w, param, frozen, value in zip(learner._dense, shared.params, shared.frozen, shared.values, strict=True):
            assert torch.equal(w[frozen], value[frozen])
            assert torch.equal(param[param != 0], w[param != 0])
    assert len(seen) > 1, "the choice should have moved"


def test_scores_and_free_weights_are_carried(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    first = learn(store, "a", nw.WSN(density=0.3)).learner
    with nw.TaskStore.open(store.path, MLP.make()).begin("b", nw.WSN(density=0.3), head=MLP.head(2)) as task:
        task.optimizer(torch.optim.Adam, lr=0.1)
        second = task._learner
        assert all(torch.equal(one, two) for one, two in zip(first._scores, second._scores, strict=True))
        assert all(torch.equal(one, two) for one, two in zip(first._dense, second._dense, strict=True))
        assert all(torch.equal(one, two) for one, two in zip(first.masks, second.masks, strict=True))
        assert second._scores[0] is not first._scores[0]
    learn(store, "ibm", nw.IBM(density=0.3))  # another method's state outlives this
    with store.begin("c", nw.WSN(density=0.3), head=MLP.head(2)) as task:
        task.optimizer(torch.optim.Adam, lr=0.1)
        assert torch.equal(task._learner._scores[0], first._scores[0])


def step(learner: Any, lr: float = 0.1) -> None:
    """A step of gradient descent with random gradients."""
    for param in learner.shared.params:
        param.grad = torch.randn_like(param)
    learner.before_step()
    trained = [*learner.shared.params, *(p for group in learner.parameter_groups() for p in group["params"])]
    with torch.no_grad():
        for param in trained:
            param -= lr * param.grad
    learner.after_step()


def begun(store: nw.TaskStore, name: str, method: nw.WSN) -> Any:
    """The learner of a task before its first step."""
    with store.begin(name, method, head=MLP.head(2)) as task:
        task.optimizer(torch.optim.Adam, lr=0.1, total_steps=10)
        return task._learner


def test_warm_start_carries_nothing_and_starts_from_the_frozen_weights(tmp_path: Path) -> None:
    method = nw.WSN(density=0.3, warm_start=True, free_scale=0.5)
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    first = learn(store, "a", method)
    assert first.learner.carry() is None
    assert store.directory.carry("wsn") is None
    second = begun(store, "b", method)
    used = store.directory.subnet("a").kept_masks()["one.weight"]
    assert torch.equal(second._dense[0], torch.where(used, first.model.one.weight, 0.5 * MLP.make().one.weight))
    assert not torch.equal(second._scores[0], first.learner._scores[0])


def test_a_warm_start_is_not_swayed_by_what_others_carried(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    learn(store, "a", nw.WSN(density=0.3))
    warm = begun(store, "b", nw.WSN(density=0.3, warm_start=True, free_scale=1.0))
    used = store.directory.subnet("a").kept_masks()["one.weight"]
    assert torch.equal(warm._dense[0][~used], MLP.make().one.weight[~used])


def test_the_fraction_falls_on_the_cubic_curve() -> None:
    method = nw.WSN(density=0.2, schedule="gradual", prune_from=0.1, prune_until=0.6)
    learner: Any = method.learner(weights({"a": (10, 12), "b": (4, 20)}, frozen=0.3), Extent(20), None)
    for taken in range(21):
        passed = min(max((taken - 2) / (12 - 2), 0), 1)
        fraction = 0.2 + 0.8 * (1 - passed) ** 3
        for mask in learner.masks:
            assert abs(int(mask.sum()) - fraction * mask.numel()) <= 1
        step(learner)
    assert [int(mask.sum()) for mask in learner.masks] == [24, 16]


def test_gradual_training_that_ends_early_meets_its_density_with_a_warning() -> None:
    learner: Any = nw.WSN(density=0.2, schedule="gradual").learner(weights({"a": (10, 12)}), Extent(20), None)
    for _ in range(3):
        step(learner)
    with pytest.warns(UserWarning, match="wsn: training ended at step 3, before 12"):
        learner.finish()
    assert [int(mask.sum()) for mask in learner.masks] == [24]


def test_gradual_must_know_the_length_of_training() -> None:
    with pytest.raises(OptimizerError, match="wsn chooses its sub-network over the course of training"):
        nw.WSN(schedule="gradual").learner(weights({"a": (10, 12)}), Extent(), None)


def test_by_ib_each_layer_keeps_its_highest_theta_squared_fisher() -> None:
    method = nw.WSN(density=0.25, score="ib", decay=0.5)
    learner: Any = method.learner(weights({"a": (10, 12), "b": (4, 20)}, frozen=0.3), Extent(), None)
    assert learner.parameter_groups() == []
    average = [torch.zeros_like(dense) for dense in learner._dense]
    for dense, mask in zip(learner._dense, learner.masks, strict=True):
        assert dense[mask].abs().min() >= dense[~mask].abs().max()
    seen = set()
    for _ in range(6):
        for mean, param in zip(average, learner.shared.params, strict=True):
            param.grad = torch.randn_like(param)
            mean.copy_(0.5 * mean + 0.5 * param.grad**2)
        learner.before_step()
        learner.after_step()
        for dense, mean, mask in zip(learner._dense, average, learner.masks, strict=True):
            score = dense**2 * mean
            assert score[mask].min() > score[~mask].max()
            assert int(mask.sum()) == int(0.25 * mask.numel())
        seen.add(tuple(learner.masks[0].flatten().tolist()))
    assert len(seen) > 1, "weights should come and go"


def test_by_ib_free_weights_are_carried_and_a_store_may_mix_scores(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    first = learn(store, "a", nw.WSN(density=0.3, score="ib")).learner
    assert set(store.directory.carry("wsn") or ()) == {"weight.one.weight", "weight.two.weight"}
    for method in (nw.WSN(density=0.3, score="ib"), nw.WSN(density=0.3)):
        second = begun(store, "b", method)
        assert all(torch.equal(one, two) for one, two in zip(first._dense, second._dense, strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": "linear"}, "schedule is one of constant, gradual"),
        ({"score": "magnitude"}, "score is one of learned, ib"),
        ({"free_scale": -1.0}, "free_scale is from 0 to 10"),
        ({"prune_until": 1.5}, "prune_from and prune_until"),
        ({"decay": 1.0}, "decay"),
    ],
)
def test_it_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"wsn: {message}"):
        nw.WSN(**options)
