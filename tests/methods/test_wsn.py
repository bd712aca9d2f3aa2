"""WSN: scores are trained straight through the choice, and carried from task to task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import narrows as nw
from narrows.methods import Plan
from toys import MLP, learn, weights


def test_gradients_are_straight_through() -> None:
    shared = weights({"a": (6, 4), "b": (3, 6)}, frozen=0.3, dtype=torch.float64)
    learner: Any = nw.WSN(density=0.5).learner(shared, Plan(), None)
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
    store = nw.TaskStore.create(tmp_path / "store", MLP.make())
    first = learn(store, "a", nw.WSN(density=0.3))._learner
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
