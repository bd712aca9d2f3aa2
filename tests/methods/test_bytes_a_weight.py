"""What a learner holds between two steps, beside the network, its gradients and the optimizer's two averages."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import narrows as nw
from narrows.methods import Extent
from toys import weights

SHAPES = {"one": (300, 200), "two": (200, 300)}
TOTAL = 120_000


def held(learner: Any) -> float:
    """Bytes a shared weight of what is reached from the learner, each storage once, the parameters aside."""
    params = {param.untyped_storage().data_ptr() for param in learner.shared.params}
    found, seen, left = {}, set(), [learner]
    while left:
        part = left.pop()
        if id(part) in seen or isinstance(part, type):
            continue
        seen.add(id(part))
        if isinstance(part, Tensor):
            found[part.untyped_storage().data_ptr()] = part.untyped_storage().nbytes()
        elif isinstance(part, dict):
            left += part.values()
        elif isinstance(part, list | tuple | set):
            left += part
        elif hasattr(part, "__dict__"):
            left.append(vars(part))
    return sum(size for place, size in found.items() if place not in params) / TOTAL


def step(learner: Any) -> None:
    for param in learner.shared.params:
        param.grad = torch.randn_like(param)
    learner.before_step()
    learner.after_step()


# A byte for the choice, 12 a frozen weight and as many a reused one; 4 for the Fisher information; a listing of own.
@pytest.mark.parametrize(
    ("method", "choosing", "settled"),
    [
        (nw.IBM(), 7.5, 3.0),
        (nw.Magnitude(density=0.04), 3.5, 3.0),
        (nw.PackNet(), 2.0, 3.0),
        (nw.WSN(density=0.1), 10.0, 10.0),
    ],
    ids=["ibm", "magnitude", "packnet", "wsn"],
)
def test_a_learner_holds_little_a_weight(method: nw.Method, choosing: float, settled: float) -> None:
    shared = weights(SHAPES, 0.04)
    learner = method.learner(shared, Extent(60, 1000, 8), None)
    most = 0.0
    for _ in range(29):
        step(learner)
        most = max(most, held(learner))
    assert most <= choosing
    for _ in range(31):
        step(learner)
    assert held(learner) <= settled
    if not isinstance(method, nw.WSN):
        kept = [part for part in learner.state().values() if isinstance(part, Tensor)]
        assert sum(part.numel() * part.element_size() for part in kept) <= 1.1 * TOTAL
