"""Early stopping: which epoch is kept, when training ends, and that measuring leaves no trace."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import narrows as nw
from checkpoints import Memory, identical, stop_at
from narrows.errors import ConfigError, DataError
from narrows.training import accuracy
from toys import METHODS, MLP, Toy, learn, state
from trainings import training

BATCHES = [MLP.batch(8, 3, seed) for seed in (1, 2)]
DENSE = nw.Finetune()


class Scores:
    """A measure that says what it is told, and notes what it is asked about."""

    def __init__(self, scores: Sequence[float]) -> None:
        self.left = list(scores)
        self.seen: list[dict[str, torch.Tensor]] = []

    def __call__(self, model: nn.Module, batches: Any) -> float:
        assert not model.training
        assert not torch.is_grad_enabled()
        assert batches
        self.seen.append(state(model))
        return self.left.pop(0)


def store_at(path: Path, toy: Toy = MLP) -> nw.TaskStore:
    return nw.TaskStore.create(path / "store", toy.make(), head=toy.place)


def run(store: nw.TaskStore, epochs: int, method: nw.Method = DENSE, toy: Toy = MLP, **options: Any) -> tuple[Any, Any]:
    torch.manual_seed(1)
    with store.begin("task", method, head=toy.head(3)) as task:
        fit = task.fit(options.pop("batches", BATCHES), training(epochs, options, examples=16, batch_size=8), **options)
        return fit, state(task.model)


@pytest.mark.parametrize(
    ("scores", "patience", "epochs", "best"),
    [
        ([0.1, 0.3, 0.2, 0.2], None, 4, 1),
        ([0.1, 0.3, 0.2, 0.3], None, 4, 3),  # of equals the later
        ([0.1, 0.3, 0.2, 0.2, 0.9], 2, 4, 1),
        ([0.1, 0.3, 0.3, 0.3, 0.9], 2, 4, 3),  # an equal one is no better one
        ([0.1, 0.3, 0.2, 0.4, 0.3, 0.3], 2, 6, 3),
        ([0.5, 0.4, 0.9], 1, 2, 0),
        ([math.nan, 0.1, math.nan, 0.2], None, 4, 3),
        ([math.nan, math.nan], None, 2, 1),
        ([-3.0, -math.inf, -2.0], None, 3, 2),
    ],
)
def test_the_best_epoch_is_kept(
    tmp_path: Path, scores: list[float], patience: int | None, epochs: int, best: int
) -> None:
    measure = Scores(scores)
    fit, weights = run(store_at(tmp_path), len(scores), valid=BATCHES, measure=measure, patience=patience)
    assert list(map(str, fit.scores)) == list(map(str, scores[:epochs]))
    assert (len(fit.losses), fit.steps) == (epochs, 2 * epochs)
    assert fit.best_epoch == best
    assert fit.stopped_early == (epochs < len(scores))
    assert identical(weights, measure.seen[best])


@pytest.mark.parametrize("name", METHODS)
def test_only_settled_sub_networks_are_compared(tmp_path: Path, name: str) -> None:
    """The first epochs would win; a method whose network is not ready then keeps none of them."""
    epochs, method = 10, METHODS[name]
    settled: list[bool] = []
    store = store_at(tmp_path)
    learn(store, "old", method)
    with store.begin("task", method, head=MLP.head(3)) as task:
        measure = Scores([1 - epoch / 100 for epoch in range(epochs)])

        def look(model: nn.Module, batches: Any) -> float:
            settled.append(task.settled)
            return measure(model, batches)

        fit = task.fit(BATCHES, nw.Training(epochs, lr=0.02, examples=16, batch_size=8), valid=BATCHES, measure=look)
        first = settled.index(True)
        assert fit.best_epoch == first
        gradual = isinstance(method, nw.IBM | nw.Magnitude) or getattr(method, "schedule", "") == "gradual"
        expected = {"packnet": 4, "packnet-ib": 4, "ewc": 8, "hat": 9}.get(name, 5 if gradual else 0)
        assert first == expected
        assert settled == [False] * first + [True] * (epochs - first)
        kept = state(task.model)
        assert identical(kept, measure.seen[first])
        task.commit()
    assert identical(state(store.load("task")), kept)
    assert store.verify() == []


def test_patience_counts_from_the_first_settled_epoch(tmp_path: Path) -> None:
    scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    fit, _ = run(store_at(tmp_path), 10, METHODS["laplace"], valid=BATCHES, measure=Scores(scores), patience=2)
    assert (fit.best_epoch, len(fit.scores), fit.stopped_early) == (5, 8, True)


class Shuffled:
    """Validation batches that draw from everything there is to draw from."""

    def __init__(self) -> None:
        self.epoch = 0

    def __iter__(self) -> Any:
        self.epoch += 1
        torch.rand(3)
        return iter([MLP.batch(8, 3, seed=7)])


@pytest.mark.parametrize("name", ["laplace", "multiplicative", "wsn"])
def test_measuring_leaves_no_trace(tmp_path: Path, name: str) -> None:
    """Training goes as it does without validation data; where the last epoch is the best, so do the weights."""

    def greedy(model: nn.Module, batches: Any) -> float:
        for x, _ in batches:
            model(x)
        return next(rising) + float(torch.rand(()))

    toy = Toy(lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)), (6,), None)
    examples = TensorDataset(*MLP.batch(32, 3))
    valid, rising = Shuffled(), iter(range(9))
    own = DataLoader(examples, 8, shuffle=True, generator=torch.Generator().manual_seed(1))
    measured: list[dict[str, Any]] = [{"measure": greedy, "valid": data} for data in (valid, own)]
    runs = []
    for index, options in enumerate(({}, *measured, {"valid": valid})):
        loader = DataLoader(examples, 8, shuffle=True)
        runs.append(run(store_at(tmp_path / str(index), toy), 3, METHODS[name], toy, batches=loader, **options))
    assert all(fit.losses == runs[0][0].losses for fit, _ in runs)
    assert all(identical(weights, runs[0][1]) for _, weights in runs[:3])
    assert valid.epoch == 0


def test_training_data_may_be_measured_on(tmp_path: Path) -> None:
    loader = DataLoader(TensorDataset(*MLP.batch(32, 3)), 8, shuffle=True, generator=torch.Generator().manual_seed(1))
    fit, _ = run(store_at(tmp_path / "a"), 3, batches=loader, valid=loader, lr=0.05)
    loader.generator.manual_seed(1)
    plain, _ = run(store_at(tmp_path / "b"), 3, batches=loader, lr=0.05)
    assert fit.losses == plain.losses


@pytest.mark.parametrize("kind", ["classes", "regression", "multi-label", "pixels"])
def test_the_measure_by_default(tmp_path: Path, kind: str) -> None:
    x, y = MLP.batch(9, 3)
    loss, module = F.cross_entropy, None
    targets: Any = y
    if kind == "regression":
        targets, loss = torch.randn(9, 3), F.mse_loss
    elif kind == "multi-label":
        targets, loss = (torch.randn(9, 3) > 0).float(), F.binary_cross_entropy_with_logits
    elif kind == "pixels":
        targets, module = y[:, None].expand(9, 4), nn.Sequential(nn.Linear(16, 12), nn.Unflatten(1, (3, 4)))
    batches = [(x[:6], targets[:6]), (x[6:], targets[6:])]
    store = store_at(tmp_path)
    with store.begin("task", DENSE, head=module or nn.Linear(16, 3)) as task:
        fit = task.fit(batches, nw.Training(1, loss=loss), valid=batches)
        if kind == "classes":
            assert fit.scores[-1] == accuracy(task.model, batches)
        else:
            with torch.no_grad():
                parts = [float(loss(task.model(a), b)) for a, b in batches]
            assert fit.scores[-1] == pytest.approx(-(6 * parts[0] + 3 * parts[1]) / 9)


def test_validation_data_that_runs_out_is_kept(tmp_path: Path) -> None:
    fit, _ = run(store_at(tmp_path), 3, valid=iter(BATCHES))
    assert len(fit.scores) == 3


@pytest.mark.parametrize(
    ("name", "stop"),
    [(name, stop) for name in ("wsn", "finetune", "supsup") for stop in (3, 6, 9)]
    + [(name, stop) for name in ("laplace", "multiplicative", "packnet") for stop in (6, 13, 15)],
)
def test_early_stopping_goes_on_from_a_checkpoint(tmp_path: Path, name: str, stop: int) -> None:
    scores = [0.1, 0.1, 0.2, 0.1, 0.1, 0.3, 0.1, 0.1, 0.1, 0.9]
    options: dict[str, Any] = {"valid": BATCHES, "patience": 2, "lr": 0.02}
    method, memory = METHODS[name], Memory()
    plain, weights = run(store_at(tmp_path / "plain"), 10, method, measure=Scores(scores), **options)
    store, told = store_at(tmp_path / "interrupted"), Scores(scores)
    with pytest.raises(KeyboardInterrupt):
        run(store, 10, method, checkpoint=memory, measure=told, callbacks=[stop_at(stop)], **options)
    fit, again = run(store, 10, method, checkpoint=memory, measure=told, **options)
    assert plain.stopped_early
    assert (fit.scores, fit.best_epoch, fit.steps, fit.losses) == (
        plain.scores,
        plain.best_epoch,
        plain.steps,
        plain.losses,
    )
    assert identical(again, weights)


def test_a_fit_that_had_stopped_early_does_not_train_on(tmp_path: Path) -> None:
    store, memory = store_at(tmp_path), Memory()
    options: dict[str, Any] = {"valid": BATCHES, "patience": 1, "checkpoint": memory}
    first, weights = run(store, 5, measure=Scores([0.5, 0.4]), **options)
    again, same = run(store, 5, measure=Scores([]), **options)
    assert (again.scores, again.best_epoch, again.stopped_early) == (first.scores, 0, True)
    assert again.steps == first.steps
    assert identical(weights, same)


def test_what_is_refused(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    for options, error, message in (
        ({"patience": 2}, ConfigError, "say valid="),
        ({"measure": accuracy}, ConfigError, "say valid="),
        ({"valid": BATCHES, "patience": 0}, ConfigError, "at least 1; got 0"),
        ({"valid": []}, DataError, "validation data has no batch"),
    ):
        with pytest.raises(error, match=message):
            run(store, 1, **options)


def test_without_validation_data_nothing_is_scored(tmp_path: Path) -> None:
    fit, _ = run(store_at(tmp_path), 2)
    assert (fit.scores, fit.best_epoch, fit.stopped_early) == ((), None, False)
