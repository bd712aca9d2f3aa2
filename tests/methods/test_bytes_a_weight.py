"""What a learner holds between two steps, beside the network, its gradients and the optimizer's two averages."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import narrows as nw
from narrows.methods import Extent
from toys import MLP, weights

reached = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "memory.py"))["reached"]
SHAPES = {"one": (300, 200), "two": (200, 300)}
TOTAL = 120_000


def held(learner: Any) -> float:
    """Bytes a shared weight of what is reached from the learner, the parameters aside."""
    params = reached(*learner.shared.params)
    return sum(size for place, size in reached(vars(learner)).items() if place not in params) / TOTAL


def step(learner: Any) -> None:
    for param in learner.shared.params:
        param.grad = None
    with learner.sample():
        sum((param * torch.randn_like(param)).sum() for param in learner.shared.params).backward()
    learner.before_step()
    learner.after_step()
    for param in (param for group in learner.parameter_groups() for param in group["params"]):
        param.grad = None


# A byte for the choice, 12 a frozen weight and as many a reused one; 4 for the Fisher information; a listing of own.
@pytest.mark.parametrize(
    ("method", "frozen", "choosing", "settled"),
    [
        (nw.IBM(), 0.04, 7.5, 3.0),
        (nw.Magnitude(density=0.04), 0.04, 3.5, 3.0),
        (nw.PackNet(), 0.04, 2.0, 3.0),
        (nw.PackNet(), 0.5, 7.6, 8.6),
        (nw.WSN(density=0.1), 0.04, 10.0, 10.0),
        (nw.SupSup(density=0.1), 0.04, 7.0, 7.0),
        (nw.IBM(estimator="variational"), 0.04, 15.0, 11.0),
    ],
    ids=["ibm", "magnitude", "packnet", "packnet, half of it frozen", "wsn", "supsup", "variational"],
)
def test_a_learner_holds_little_a_weight(method: nw.Method, frozen: float, choosing: float, settled: float) -> None:
    shared = weights(SHAPES, frozen)
    learner = method.learner(shared, Extent(60, 1000, 8), None)
    most = 0.0
    for _ in range(29):
        step(learner)
        most = max(most, held(learner))
    assert most <= choosing
    for _ in range(31):
        step(learner)
    assert held(learner) <= settled
    if not learner.parameter_groups():
        kept = [part for part in learner.state().values() if isinstance(part, Tensor)]
        assert sum(part.numel() * part.element_size() for part in kept) <= (1.1 + frozen) * TOTAL


def test_an_optimizer_holds_nothing_of_weights_that_are_not_trained(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    with store.begin("a", nw.SupSup(density=0.3), head=MLP.head(3)) as task:
        optimizer = task.optimizer(torch.optim.Adam, lr=0.01, weight_decay=0.1)
        x, y = MLP.batch(8, 3)
        torch.nn.functional.cross_entropy(task.model(x), y).backward()
        optimizer.step()
        learner: Any = task._learner
        assert not any(param in optimizer.state for param in learner.shared.params)
        assert all(score in optimizer.state for group in learner.parameter_groups() for score in group["params"])
