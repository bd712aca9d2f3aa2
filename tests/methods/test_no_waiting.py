"""Between two choices no step of any method makes the host wait for the device, as a device's double counts it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import narrows as nw
from narrows.errors import NonFiniteError
from narrows.masks import NaNWatch, best_each, magnitudes, selection
from narrows.methods import Extent
from narrows.methods.base import Learner
from toys import METHODS, weights

STEPS = 60
BETWEEN = [*range(6, 25), *range(40, STEPS)]
"""Steps at which nothing is chosen where that is from step 3 to 36, or at step 30, and not at every step."""
WAITING = {"_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "unique_dim", "_unique2"}


class Waits(TorchDispatchMode):
    """Lists the operations for which a host would have to wait for its device."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        picked = name in ("index", "index_put_") and any(
            isinstance(leaf, Tensor) and leaf.dtype == torch.bool for leaf in tree_leaves(args[1])
        )
        if name in WAITING or picked:
            self.seen.append(name)
        return function(*args, **(kwargs or {}))


def test_waits_are_seen() -> None:
    with Waits() as waits:
        mask = torch.tensor([True, False])
        float(torch.ones(1))
        mask.nonzero()
        torch.ones(2)[mask]
        torch.ones(2).tolist()
    assert {"_local_scalar_dense", "nonzero", "index"} <= set(waits.seen)


def step(learner: Learner) -> list[str]:
    """One step with gradients of chance; returns what the learner waited for in it."""
    with Waits() as waits:
        with learner.sample():
            sum((param * torch.randn_like(param)).sum() for param in learner.shared.params).backward()
        learner.before_step()
        for group in [{"params": learner.shared.params}, *learner.parameter_groups()]:
            for param in group["params"]:
                if param.grad is not None:
                    param.data.add_(param.grad, alpha=-0.01)
        learner.after_step()
    for group in [{"params": learner.shared.params}, *learner.parameter_groups()]:
        for param in group["params"]:
            param.grad = None
    return waits.seen


@pytest.mark.parametrize("name", METHODS)
def test_no_step_between_choices_waits_for_the_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(selection, "_on_host", lambda _: False)
    method = METHODS[name]
    if hasattr(method, "prune_every"):
        method = dataclasses.replace(method, prune_every=100)
    shared = weights({"one": (12, 10), "two": (8, 12)}, 0.3)
    method.initialise(shared, None)
    learner = method.learner(shared, Extent(STEPS, 16, 8), None)
    waited = {now: step(learner) for now in range(STEPS)}
    assert {now: waited[now] for now in BETWEEN if waited[now]} == {}
    learner.finish()


@pytest.mark.parametrize("method", [nw.WSN(density=0.3), nw.SupSup(density=0.3)], ids=["wsn", "supsup"])
def test_a_score_that_is_nan_is_found_although_no_step_looks(
    method: nw.Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "_on_host", lambda _: False)
    learner = method.learner(weights({"one": (12, 10)}, 0.3), Extent(STEPS), None)
    step(learner)
    learner.sizes()
    with torch.no_grad():
        learner.parameter_groups()[0]["params"][0][3, 4] = float("nan")
    step(learner)
    for look in (learner.sizes, learner.finish):
        with pytest.raises(NonFiniteError, match="learning rate"):
            look()


@pytest.mark.parametrize("sized", [False, True])
def test_on_a_device_each_way_of_choosing_chooses_what_numpy_does(sized: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = [torch.randint(-3, 4, (n,), generator=torch.Generator().manual_seed(n)).float() for n in range(1, 60)]
    sizes = [magnitudes([(score * 7).sin()]) for score in scores] if sized else None
    for fraction in (0.01, 0.3, 0.9, 1.0):
        here = best_each(scores, fraction, sizes)
        with monkeypatch.context() as patched:
            patched.setattr(selection, "_on_host", lambda _: False)
            for there in (best_each(scores, fraction, sizes), best_each(scores, fraction, sizes, NaNWatch())):
                assert all(map(torch.equal, here, there))
