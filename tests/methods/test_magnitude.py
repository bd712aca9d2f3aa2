"""Gradual magnitude pruning: the largest weights within the budget; with score="ib", IBM to the bit."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import narrows as nw
from narrows.errors import CapacityError, ConfigError, OptimizerError
from narrows.methods import Extent
from toys import MLP, TOYS, learn, weights


def test_the_largest_weights_of_all_layers_together_stay_of_each_group() -> None:
    shared = weights({"a": (10, 12), "b": (4, 20)}, frozen=0.5)
    learner: Any = nw.Magnitude(new=0.1, reuse=0.2, prune_every=100).learner(shared, Extent(40), None)
    size = learner.layout.join([param.detach().abs() for param in shared.params])
    frozen = learner.layout.join(shared.frozen)
    for _ in range(24):  # one choice only, at step 24
        for param in shared.params:
            param.grad = torch.randn_like(param)
        learner.before_step()
        learner.after_step()
    for group, count in ((frozen, 40), (~frozen, 20)):
        alive = learner.layout.join(learner.masks)
        kept, left = alive & group, ~alive & group
        assert int(kept.sum()) == count
        assert size[kept].min() > size[left].max()


@pytest.mark.parametrize("budget", [{"density": 0.3}, {"new": 0.1, "reuse": 0.3}])
@pytest.mark.parametrize("toy", ["mlp", "grouped", "lstm"])
def test_with_the_score_ib_it_is_ibm(toy: str, budget: dict[str, float], tmp_path: Path) -> None:
    digests = []
    for kind, method in {"ibm": nw.IBM(**budget), "magnitude": nw.Magnitude(**budget, score="ib", refine=True)}.items():
        store = nw.TaskStore.create(tmp_path / kind, TOYS[toy].make(), head=TOYS[toy].place)
        for name in ("a", "b"):
            torch.manual_seed(1)
            learn(store, name, method, TOYS[toy])
        digests.append([record.weights_sha256 for record in store.tasks()])
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 2


def test_the_score_matters(tmp_path: Path) -> None:
    kept = []
    for score in ("magnitude", "ib"):
        store = nw.TaskStore.create(tmp_path / score, MLP.make(), head=MLP.place)
        learn(store, "a", nw.Magnitude(density=0.3, score=score))
        kept.append(store.directory.subnet("a").kept_masks()["two.weight"])
    assert not torch.equal(*kept)


def test_it_must_know_the_length_of_training(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    with (
        store.begin("a", nw.Magnitude(), head=MLP.head(2)) as task,
        pytest.raises(OptimizerError, match="magnitude chooses"),
    ):
        task.optimizer(torch.optim.Adam)


@pytest.mark.parametrize("kind", [nw.IBM, nw.Magnitude])
@pytest.mark.parametrize(
    ("options", "fit", "remedy"),
    [
        ({}, 97, "Lower density to 0.038"),
        ({"density": 0.5}, 5, "Lower density to 0.4"),
        ({"density": 1.0}, 1, "Lower density to 0.8"),
        ({"new": 0.1, "reuse": 0.3}, 8, "Lower new to 0.0875"),
        ({"new": 0.1, "reuse": 1.0}, 1, r"Lower new to 0.0 or less \(0 reuses only\)"),
    ],
)
def test_a_stream_too_long_is_refused(kind: Any, options: dict[str, float], fit: int, remedy: str) -> None:
    method = kind(**options, refine=False)
    tasks = {97: 102}.get(fit, fit + 1)
    method.check_tasks(fit)
    with pytest.raises(CapacityError, match=f"{method.name}: {tasks} tasks do not fit, {fit} do.*{remedy}"):
        method.check_tasks(tasks)


def test_whole_weights_are_counted_where_sizes_are_known(tmp_path: Path) -> None:
    """352 weights, 160 for the first task and 1.76, rounded down to 1, for each other: what fits is what begins."""
    method = nw.Magnitude(new=0.4, reuse=0.1)
    sizes = [96, 256]
    with pytest.raises(CapacityError, match="3 tasks do not fit, 2 do"):
        method.check_tasks(3, sizes)
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty layers
        for name in ("a", "b"):
            learn(store, name, method, epochs=2)
    with pytest.raises(CapacityError, match="new weights"):
        store.begin("c", method, head=MLP.head(2))
    nw.Magnitude(new=0.005, reuse=0.2).check_tasks(1 + 352 - 70, sizes)
    with pytest.raises(CapacityError, match="283 do"):
        nw.Magnitude(new=0.005, reuse=0.2).check_tasks(1 + 352 - 70 + 1, sizes)


def test_reuse_alone_and_prices_never_run_out() -> None:
    nw.Magnitude(new=0.0, reuse=0.3).check_tasks(10**6)
    nw.IBM(beta=0.1).check_tasks(10**6)


@pytest.mark.parametrize("kind", [nw.Finetune, nw.Independent, nw.WSN])
def test_other_methods_take_any_number(kind: Any) -> None:
    kind().check_tasks(10**6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"density": 0.1, "new": 0.1, "reuse": 0.1}, "not both"),
        ({"new": 0.1}, "say both"),
        ({"density": 1.5}, "got 1.5"),
        ({"score": "random"}, "score is one of magnitude, ib"),
        ({"prune_from": 0.7}, "from < until"),
        ({"prune_every": 0}, "at least 1"),
        ({"decay": 1.0}, "decay"),
        ({"free_scale": 11.0}, "free_scale is from 0 to 10"),
    ],
)
def test_it_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"magnitude: .*{message}"):
        nw.Magnitude(**options)
