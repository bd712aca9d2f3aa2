"""`learn` takes enough steps where nothing is said, and doubts a result that is next to nothing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine

import shop_data
from narrows.cli.learning_bar import LearningBar
from narrows.data import DataOptions
from narrows.methods import IBM, Independent
from narrows.production import evaluate, init, learn
from narrows.production.defaults import batch_size_for, epochs_for
from narrows.production.doubts import doubts_of
from narrows.production.learning import LearnedTask
from narrows.production.learning_data import LearningData, read_material
from narrows.tasks import TaskStore
from narrows.training import Fit, History, Schedule, Training

SETS = {"wine": load_wine, "breast-cancer": load_breast_cancer, "digits": load_digits, "diabetes": load_diabetes}
SMALL = {"input_shape": [1, 6, 6], "classes": 2, "hidden": [24]}
WIDTHS = {"wine": 13, "breast-cancer": 30, "digits": 64, "diabetes": 10}


def store_for(path: Path, width: int, hidden: int = 64) -> TaskStore:
    torch.manual_seed(0)
    model = {"input_shape": [width], "classes": 2, "hidden": [hidden, hidden]}
    return init(path, "narrows.networks:mlp", model, head="head")


def written(where: Path, name: str, count: int | None = None, *, shuffled: bool = False) -> tuple[Path, Path]:
    """Some examples of a data set to learn from, and the others."""
    data = SETS[name]()
    rows = np.random.default_rng(0).permutation(len(data.target))
    y = np.random.default_rng(1).permutation(data.target) if shuffled else data.target
    parts = (rows[:count], rows[count:])
    for part, chosen in zip(("train", "test"), parts, strict=True):
        np.savez(where / f"{part}.npz", x=data.data[chosen].astype(np.float32), y=y[chosen])
    return where / "train.npz", where / "test.npz"


@pytest.mark.parametrize("examples", [1, 2, 15, 16, 17, 33, 100, 193, 201, 511, 512, 1023, 1024, 1025, 5000, 60_000])
def test_what_is_taken_where_nothing_is_said_makes_400_steps_and_leaves_no_batch_of_one(examples: int) -> None:
    size = batch_size_for(examples)
    assert 16 <= size <= 65
    assert examples == 1 or examples % size != 1
    steps = epochs_for(examples, size) * -(-examples // size)
    assert steps >= 400
    assert epochs_for(examples, size) >= 10
    if examples >= 2600:
        assert (size, epochs_for(examples, size)) in ((64, 10), (65, 10)), "as ever"


def test_few_examples_are_learned_in_as_many_steps_as_it_takes_and_it_is_said(tmp_path: Path) -> None:
    train, test = written(tmp_path, "wine", 60)
    console, seen = Console(file=io.StringIO(), width=200), []
    watch = LearningBar("wine", console)

    def begun(material: LearningData, resumed: bool) -> None:
        seen.append(material)
        watch.begun(material, resumed)

    store = store_for(tmp_path / "store", 13)
    made = learn(store, "wine", train, begun=begun)
    assert "60 examples to learn from; 100 passes in batches of 16 are 400 steps" in console.file.getvalue()
    assert (made.fit.steps, made.record.data["epochs"], made.record.data["batch_size"]) == (400, 100, 16)
    assert made.doubts == ()
    assert "doubts" not in made.record.data
    assert evaluate(store, "wine", test).scores["accuracy"] > 0.93


def test_what_is_said_is_taken(tmp_path: Path) -> None:
    train, _ = written(tmp_path, "wine", 60)
    store = store_for(tmp_path / "store", 13)
    options: Any = ({"epochs": 3}, {"batch_size": 30}, {"epochs": 2, "batch_size": 64})
    steps = [learn(store, f"t{number}", train, **said).fit.steps for number, said in enumerate(options)]
    assert steps == [3 * 4, 400, 2 * 1]


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("breast-cancer", 0.0),
        ("digits", 0.25),
        ("diabetes", 0.25),
        ("images", 0.0),
        ("tags", 0.25),
    ],
)
def test_a_good_result_is_not_doubted(tmp_path: Path, name: str, held: float) -> None:
    options = DataOptions(holdout=held)
    if name == "images":
        data = shop_data.images(tmp_path / "photos")
    elif name == "tags":
        data = shop_data.table(tmp_path / "t.csv", keep=("tags",))
        options = DataOptions(holdout=held, target="tags", kind="multilabel")
    else:
        data, _ = written(tmp_path, name, 150)
        if name == "diabetes":
            options = DataOptions(holdout=held, kind="regression")
    if name == "images":
        store = init(tmp_path / "store", "narrows.networks:mlp", SMALL, head="head")
    else:
        store = store_for(tmp_path / "store", WIDTHS.get(name, 64))
    assert learn(store, name, data, options=options, lr=3e-3).doubts == ()


@pytest.mark.parametrize("held", [0.0, 0.4], ids=["training data", "validation data"])
@pytest.mark.parametrize("name", ["digits", "diabetes", "tags"])
def test_a_result_near_chance_is_doubted_and_the_doubt_kept(tmp_path: Path, name: str, held: float) -> None:
    """Untrained, but for a step; on training data, which it could have learned by heart."""
    options = DataOptions(holdout=held)
    if name == "tags":
        data = shop_data.table(tmp_path / "t.csv", keep=("tags",))
        options = DataOptions(holdout=held, target="tags", kind="multilabel")
    else:
        data, _ = written(tmp_path, name, 100)
        if name == "diabetes":
            options = DataOptions(holdout=held, kind="regression")
    store = store_for(tmp_path / "store", WIDTHS.get(name, 64))
    made: LearnedTask = learn(
        store, name, data, options=options, epochs=1, batch_size=200, lr=1e-6, method=Independent()
    )
    (doubt,) = made.doubts
    where = "validation" if held else "training"
    said = "always saying the mean does nearly as well" if name == "diabetes" else "learned next to nothing"
    assert said in doubt
    assert f"the {where} data" in doubt
    assert "--epochs" in doubt
    assert made.record.data["doubts"] == [doubt]


@pytest.mark.parametrize("held", [0.0, 0.4], ids=["training data", "validation data"])
def test_what_pruning_took_away_is_doubted(tmp_path: Path, held: float) -> None:
    data, _ = written(tmp_path, "digits", 500)
    store = store_for(tmp_path / "store", 64)
    method = IBM(density=0.003, prune_from=0.5, prune_until=0.95)
    made = learn(store, "digits", data, options=DataOptions(holdout=held), method=method, epochs=20)
    assert any("Before it was pruned" in doubt and "pruning cost much" in doubt for doubt in made.doubts)


class Constant(torch.nn.Module):
    """Right wherever the first input says so."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([-x[:, 0], x[:, 0]], 1)


@pytest.mark.parametrize(
    ("scores", "doubted"),
    [
        ((0.6, 0.9, 0.95, 0.95, 0.94), False),  # as good as before
        ((0.6, 0.9, 0.95, 0.90, 0.93), False),  # a point or two
        ((0.6, 0.9, 0.95, 0.70, 0.75), True),
        ((0.5, 0.5, 0.52, 0.50, 0.51), False),  # nothing was there to be lost
    ],
)
def test_a_fall_is_measured_against_the_best_epoch_before_pruning_was_over(
    tmp_path: Path, scores: tuple[float, ...], doubted: bool
) -> None:
    x = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    np.savez(tmp_path / "t.npz", x=x, y=(x[:, 0] > 0).astype(np.int64))
    material = read_material(
        Constant(), tmp_path / "t.npz", None, DataOptions(holdout=0.5), Training(5, batch_size=10), epochs=5, seed=0
    )
    fit = Fit(steps=100, seconds=1.0, losses=(1.0,) * 5, scores=scores, best_epoch=4)
    history = History(Schedule(total_steps=100, epochs=5, prune_from=5, prune_until=61), 100)
    assert bool(doubts_of(Constant(), material, fit, history)) == doubted
