"""PackNet: its capacity shrinks by its ratio, all that is frozen is in use, and pruning happens once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import narrows as nw
from narrows.errors import CapacityError, ConfigError
from narrows.methods import Extent
from narrows.store.compose import composed
from toys import MLP, learn, weights

SHAPES = {"a": (10, 12), "b": (4, 20)}


def trained(method: nw.PackNet, steps: int, total_steps: int, frozen: float = 0.0) -> tuple[Any, list[list[int]]]:
    """A learner fed with random gradients, and the size of each layer's mask after each step."""
    shared = weights(SHAPES, frozen)
    learner: Any = method.learner(shared, Extent(total_steps), None)
    sizes = []
    for _ in range(steps):
        for param in shared.params:
            param.grad = torch.randn_like(param)
        learner.before_step()
        with torch.no_grad():
            for param in shared.params:
                param -= 0.1 * param.grad
        learner.after_step()
        sizes.append([int(mask.sum()) for mask in learner.masks])
    return learner, sizes


@pytest.mark.parametrize("keep", [0.25, 0.5, 0.75])
def test_capacity_shrinks_by_its_ratio(keep: float, tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    free: dict[str, int] = {}
    for number in range(1, 5):
        learn(store, f"t{number}", nw.PackNet(keep=keep), epochs=2)
        frozen = composed(store.directory).masks()
        for layer in store.explain(f"t{number}"):
            before = free.get(layer.name, layer.weights)
            assert layer.claimed == max(1, int(keep * before))
            assert layer.used == int(frozen[layer.name].sum()), "a task uses all that is frozen and what it claims"
            free[layer.name] = before - layer.claimed
            assert free[layer.name] == int((~frozen[layer.name]).sum())
            assert abs(free[layer.name] - layer.weights * (1 - keep) ** number) <= number
    total = sum(spec.numel for spec in store.shared)
    assert store.values_kept() == (total - sum(free.values())) / total


def test_the_largest_free_weights_of_each_layer_stay() -> None:
    learner, _ = trained(nw.PackNet(keep=0.3), steps=4, total_steps=10, frozen=0.4)
    before = [param.detach().clone() for param in learner.shared.params]
    gradient = [torch.randn_like(param) for param in before]
    for param, grad in zip(learner.shared.params, gradient, strict=True):
        param.grad = grad.clone()
    learner.before_step()
    learner.after_step()  # step 5 of 10, without a move
    for param, mask, frozen in zip(before, learner.masks, learner.shared.frozen, strict=True):
        assert mask[frozen].all()
        stay, leave = mask & ~frozen, ~mask
        assert param[stay].abs().min() > param[leave].abs().max()
        assert int(stay.sum()) == int(0.3 * int((~frozen).sum()))


def test_ib_keeps_what_the_loss_depends_on() -> None:
    """The same weights and |w|, but only some have a gradient: those stay."""
    shared = weights({"a": (4, 10)})
    with torch.no_grad():
        shared.params[0].copy_(torch.linspace(1, 2, 40).view(4, 10))
    learner = nw.PackNet(keep=0.25, score="ib", prune_at=1.0).learner(shared, Extent(3), None)
    for _ in range(3):
        shared.params[0].grad = torch.where(torch.arange(40).view(4, 10) < 10, 1.0, 0.1)
        learner.before_step()
        learner.after_step()
    assert torch.equal(learner.masks[0].flatten(), torch.arange(40) < 10)


def test_it_prunes_once_and_then_retrains() -> None:
    learner, sizes = trained(nw.PackNet(keep=0.25, prune_at=0.5), steps=10, total_steps=10)
    assert sizes == [[120, 80]] * 4 + [[30, 20]] * 6
    masks = learner.masks
    learner.finish()
    assert all(torch.equal(one, other) for one, other in zip(learner.masks, masks, strict=True))


def test_training_that_ends_early_prunes_with_a_warning() -> None:
    learner, _ = trained(nw.PackNet(keep=0.25), steps=3, total_steps=10)
    with pytest.warns(UserWarning, match="ended at step 3 of the 10"):
        learner.finish()
    assert [int(mask.sum()) for mask in learner.masks] == [30, 20]


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
def test_free_weights_start_from_the_base_network(scale: float, tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    first = learn(store, "a", nw.PackNet()).model
    with store.begin("b", nw.PackNet(free_scale=scale), head=MLP.head(2)) as task:
        used = store.directory.subnet("a").kept_masks()["one.weight"]
        assert torch.equal(task.model.one.weight, torch.where(used, first.one.weight, scale * MLP.make().one.weight))


def test_it_runs_out_when_no_weight_is_free(tmp_path: Path) -> None:
    method = nw.PackNet(keep=0.9)
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    sizes = [spec.numel for spec in store.shared if not spec.name.startswith("head.")]
    for number in range(3):  # of the larger layer's 256 weights 230, 23 and 2 are claimed, and then the last one
        learn(store, f"t{number}", method, epochs=1)
    method.check_tasks(4, sizes)
    with pytest.raises(CapacityError, match="5 tasks do not fit, 4 do"):
        method.check_tasks(5, sizes)
    learn(store, "t3", method, epochs=1)
    assert store.values_kept() == 1
    with pytest.raises(CapacityError, match="none of the 352 shared weights is free"):
        store.begin("t4", method, head=MLP.head(2))


def test_without_sizes_only_the_ratio_speaks() -> None:
    nw.PackNet(keep=0.5).check_tasks(1000)
    nw.PackNet(keep=1.0).check_tasks(1)
    with pytest.raises(CapacityError, match="2 tasks do not fit, 1 do"):
        nw.PackNet(keep=1.0).check_tasks(2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 0.0}, "keep is a fraction"),
        ({"keep": 1.1}, "keep is a fraction"),
        ({"keep": float("nan")}, "keep is a fraction"),
        ({"prune_at": 0.0}, "prune_at is a fraction"),
        ({"score": "random"}, "score is one of magnitude, ib"),
        ({"free_scale": -1.0}, "free_scale is from 0 to 10"),
        ({"decay": 1.0}, r"decay is in \[0, 1\)"),
    ],
)
def test_it_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"packnet: {message}"):
        nw.PackNet(**options)
