"""`fit` called again: it goes on from one that ended, and begins anew where one did not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import narrows as nw
from checkpoints import Memory, stop_at
from narrows.errors import ConfigError, DataError, Interrupted, OptimizerError
from narrows.training import read_history
from toys import METHODS, MLP, learn, logits, same, state, violations
from trainings import training

METHOD = METHODS["laplace"]
BATCHES = [MLP.batch(8, 3, seed) for seed in (1, 2)]
PLAN: dict[str, Any] = {"examples": 16, "batch_size": 8}


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one task, to be copied."""
    store = nw.TaskStore.create(tmp_path_factory.mktemp("learned") / "store", MLP.make(), head=MLP.place)
    learn(store, "old", METHOD)
    return store.path


@pytest.fixture
def store(learned: Path, tmp_path: Path) -> nw.TaskStore:
    return nw.TaskStore.open(shutil.copytree(learned, tmp_path / "store"), MLP.make())


def begin(store: nw.TaskStore, method: nw.Method = METHOD) -> nw.Task:
    torch.manual_seed(3)
    return store.begin("new", method, head=MLP.head(3))


def fit(task: nw.Task, epochs: int = 4, **options: Any) -> nw.Fit:
    torch.manual_seed(4)
    return task.fit(BATCHES, training(epochs, options, **PLAN), **options)


@pytest.mark.parametrize("name", METHODS)
def test_more_epochs_train_the_sub_network_further(store: nw.TaskStore, name: str) -> None:
    older = state(store.load("old"))
    with begin(store, METHODS[name]) as task:
        fit(task)
        masks = [mask.clone() for mask in task._learner.masks] if name in ("laplace", "packnet", "magnitude") else None
        weights = state(task.model)
        again = fit(task, 2, callbacks=[lambda _: violations(task) == [] or pytest.fail(str(violations(task)))])
        assert again.steps == 4
        assert not same(state(task.model), weights)
        if masks is not None:
            assert all(map(torch.equal, masks, task._learner.masks))
        record = task.commit()
        trained = logits(task.model, BATCHES[0][0])
    assert torch.equal(logits(store.load("new"), BATCHES[0][0]), trained)
    if METHODS[name].isolation != "none":
        assert same(state(store.load("old")), older)
    history = read_history(record.history)
    assert history is not None
    assert (history.steps, history.schedule.total_steps, history.schedule.epochs) == (12, 12, 6)
    assert [point.step for point in history.points] == list(range(1, 13))
    assert [point.epoch for point in history.points] == [step // 2 for step in range(12)]


class Stopped(BaseException):
    """Ctrl-C, say."""


@pytest.mark.parametrize(("name", "step"), [*((name, 5) for name in METHODS), ("laplace", 1), ("hat", 1)])
def test_a_fit_that_was_stopped_is_begun_anew(store: nw.TaskStore, name: str, step: int) -> None:
    with begin(store, METHODS[name]) as task:
        fit(task)
        expected = state(task.model)
    with begin(store, METHODS[name]) as task:
        for stop in (KeyboardInterrupt, Stopped):
            with pytest.raises(stop):
                fit(task, callbacks=[stop_at(step, stop)])
        task.model[0].weight.grad = torch.ones_like(task.model[0].weight)  # as a stop within a step leaves it
        assert fit(task).steps == 8
        assert same(state(task.model), expected)
        history = read_history(task.commit().history)
    assert history is not None
    assert history.steps == 8


def test_a_second_fit_that_was_stopped_begins_where_it_began(store: nw.TaskStore) -> None:
    with begin(store) as task:
        fit(task)
        fit(task, 2)
        expected = state(task.model)
    with begin(store) as task:
        fit(task)
        with pytest.raises(KeyboardInterrupt):
            fit(task, 2, callbacks=[stop_at(3, KeyboardInterrupt)])
        fit(task, 2)
        assert same(state(task.model), expected)
        assert read_history(task.commit().history).steps == 12


class Halting(torch.optim.Adam):
    """Stopped within its third step, everything half moved."""

    left = 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        Halting.left -= 1
        if not Halting.left:
            for group in self.param_groups:
                for param in group["params"]:
                    param.add_(1.0)
            raise KeyboardInterrupt
        return super().step(closure)


@pytest.mark.parametrize(("name", "fits"), [*((name, 1) for name in METHODS), ("laplace", 0), ("hat", 0)])
def test_a_fit_that_was_stopped_within_a_step_begins_where_it_began(store: nw.TaskStore, name: str, fits: int) -> None:
    found = []
    for halts in (False, True):
        with begin(store, METHODS[name]) as task:
            for _ in range(fits):
                fit(task)
            if halts:
                Halting.left = 3
                with pytest.raises(KeyboardInterrupt):
                    fit(task, optimizer=Halting)
            fit(task, 2)
            found.append(state(task.model))
    assert same(*found)


def test_with_a_checkpoint_a_fit_that_was_stopped_goes_on(store: nw.TaskStore) -> None:
    with begin(store) as task:
        fit(task)
        expected = state(task.model)
    with begin(store) as task:
        memory = Memory()
        with pytest.raises(Interrupted):
            fit(task, checkpoint=memory, callbacks=[stop_at(5, Interrupted)])
        taken: list[int] = []
        fit(task, checkpoint=memory, callbacks=[lambda step: taken.append(step.step)])
        assert taken == [6, 7, 8]
        assert same(state(task.model), expected)
        with pytest.raises(ConfigError, match="goes on from a fit that ended"):
            fit(task, checkpoint=memory)
        fit(task, 1)
        task.commit()
        assert memory.load() is None


def test_epochs_and_scores_are_counted_on(store: nw.TaskStore) -> None:
    told: list[int] = []

    class Told:
        def begin(self, *_: Any) -> None: ...
        def log(self, *_: Any) -> None: ...
        def score(self, epoch: int, _: float) -> None:
            told.append(epoch)

        def end(self, *_: Any) -> None: ...

    with begin(store) as task:
        first = fit(task, 4)
        second = fit(task, 3, valid=BATCHES, trackers=[Told()])
        record = task.commit()
    history = read_history(record.history)
    assert history is not None
    assert told == [4, 5, 6]
    assert [(score.epoch, score.value is None) for score in history.scores] == [
        (epoch, epoch < 4) for epoch in range(7)
    ]
    assert history.best_epoch == 4 + second.best_epoch
    assert record.seconds == pytest.approx(first.seconds + second.seconds, abs=2e-3)


def test_a_fit_that_never_began_takes_nothing_away(store: nw.TaskStore) -> None:
    with begin(store) as task:
        fit(task)
        weights = state(task.model)
        with pytest.raises(DataError, match="nothing to train on"):
            task.fit([], nw.Training(2))
        assert same(state(task.model), weights)
        assert task.commit().name == "new"


def test_an_optimizer_of_the_users_own_trains_alone(store: nw.TaskStore) -> None:
    with begin(store) as task:
        task.optimizer(torch.optim.Adam, lr=0.01, total_steps=4)
        with pytest.raises(OptimizerError, match="has an optimizer already"):
            fit(task)
    with begin(store) as task:
        fit(task)
        with pytest.raises(OptimizerError, match="Only fit can be called again"):
            task.optimizer(torch.optim.Adam, lr=0.01, total_steps=4)
        fit(task)


def test_what_a_fit_began_from_is_not_kept_when_it_is_over(store: nw.TaskStore) -> None:
    with begin(store) as task:
        fit(task)
        assert task.fits._begun == {}
        with pytest.raises(KeyboardInterrupt):
            fit(task, callbacks=[stop_at(1, KeyboardInterrupt)])
        assert task.fits._begun
    assert task.fits._begun == {}
