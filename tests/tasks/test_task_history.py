"""What a task keeps of its training, and what trackers are told of it meanwhile."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

import narrows as nw
from checkpoints import Memory, stop_at
from narrows.errors import Interrupted
from narrows.store import TaskRecord
from narrows.training import Point, read_history
from narrows.training.tracking import Trackers
from toys import MLP, learn
from trainings import training

METHOD = nw.IBM(density=0.4, prune_every=2)
DENSITY = 0.3977  # 140 of 352 weights, to four digits
BATCHES = [MLP.batch(8, 3, seed) for seed in range(5)]


class Told:
    """Notes all it is told; raises what it was given at the call of that number."""

    def __init__(self, error: BaseException | None = None, at: int = 0) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._error, self._at = error, at

    def begin(self, task: str, about: Mapping[str, Any], /) -> None:
        self._note("begin", task, dict(about))

    def log(self, point: Point, /) -> None:
        self._note("log", point)

    def score(self, epoch: int, value: float, /) -> None:
        self._note("score", epoch, value)

    def end(self, figures: Mapping[str, float] | None, /) -> None:
        self._note("end", figures)

    def _note(self, *call: Any) -> None:
        self.calls.append(call)
        if self._error is not None and len(self.calls) == self._at:
            raise self._error

    def of(self, kind: str) -> list[Any]:
        return [call[-1] for call in self.calls if call[0] == kind]


@pytest.fixture
def store(tmp_path: Path) -> nw.TaskStore:
    return nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)


def train(store: nw.TaskStore, name: str, epochs: int = 4, **options: Any) -> TaskRecord:
    torch.manual_seed(3)
    metrics = options.pop("metrics", None)
    with store.begin(name, options.pop("method", METHOD), head=MLP.head(3)) as task:
        task.fit(BATCHES, training(epochs, options, examples=40, batch_size=8), **options)
        return task.commit(metrics=metrics)


def test_a_fit_leaves_its_history_with_the_task(store: nw.TaskStore) -> None:
    train(store, "first", lr=0.02)
    history = read_history(store.tasks()[0].history)
    assert history is not None
    schedule = history.schedule
    assert (schedule.total_steps, schedule.epochs, schedule.examples, schedule.batch_size) == (20, 4, 40, 8)
    assert (schedule.optimizer, schedule.lr, schedule.cosine) == ("Adam", 0.02, True)
    assert (schedule.prune_from, schedule.prune_until) == (1, 12)
    assert history.steps == 20
    assert [(point.step, point.epoch) for point in history.points] == [(1 + k, k // 5) for k in range(20)]
    assert history.points[0].lr == 0.02
    assert history.points[-1].density == DENSITY
    assert all(point.loss is not None for point in history.points)
    alphas = [point.log_alpha for point in history.points if point.log_alpha]
    assert len(alphas) == 5
    assert all(list(alpha) == sorted(alpha) for alpha in alphas)
    assert alphas[-1][-1] <= 0  # what stays within a budget is more signal than noise at the budget's price
    assert "time" not in json.dumps(store.tasks()[0].history)


def test_the_loss_of_a_point_is_that_of_the_epoch_where_points_are_epochs(store: nw.TaskStore) -> None:
    history = read_history(train(store, "long", 26, lr=0.01).history)  # 130 steps: a point at every fourth
    assert history is not None
    assert [point.step for point in history.points] == list(range(1, 130, 4))
    assert (
        sum(point.loss * 4 for point in history.points[1:])
        == pytest.approx(  # type: ignore[operator]
            sum(_losses(store.path.parent, 26)[1:129]), rel=1e-3
        )
    )


def _losses(path: Path, epochs: int) -> list[float]:
    """Of each step of the same training by hand."""
    store, losses = nw.TaskStore.create(path / "again", MLP.make(), head=MLP.place), []
    torch.manual_seed(3)
    with store.begin("long", METHOD, head=MLP.head(3)) as task:
        total = epochs * len(BATCHES)
        optimizer = task.optimizer(torch.optim.Adam, lr=0.01, total_steps=total)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
        for _ in range(epochs):
            for x, y in BATCHES:
                loss = F.cross_entropy(task.model(x), y)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                schedule.step()
                losses.append(loss.item())
    return losses


def test_a_loop_of_ones_own_has_a_history_without_losses(store: nw.TaskStore) -> None:
    with store.begin("own", METHOD, head=MLP.head(3)) as task:
        optimizer = task.optimizer(torch.optim.SGD, lr=0.1, total_steps=4)
        for x, y in BATCHES[:4]:
            F.cross_entropy(task.model(x), y).backward()
            optimizer.step()
        history = read_history(task.commit().history)
    assert history is not None
    assert [(p.step, p.epoch, p.loss, p.lr) for p in history.points] == [(k, None, None, 0.1) for k in (1, 2, 3, 4)]
    assert [point.density for point in history.points][-1] == DENSITY
    assert (history.schedule.optimizer, history.schedule.epochs, history.schedule.cosine) == ("SGD", None, None)


def test_the_same_training_leaves_the_same_history(store: nw.TaskStore, tmp_path: Path) -> None:
    other = nw.TaskStore.create(tmp_path / "other", MLP.make(), head=MLP.place)
    assert train(store, "first", valid=BATCHES).history == train(other, "first", valid=BATCHES).history


@pytest.mark.parametrize("stop", [1, 4, 5, 7, 60])
def test_an_interrupted_training_has_the_same_history(store: nw.TaskStore, tmp_path: Path, stop: int) -> None:
    other = nw.TaskStore.create(tmp_path / "other", MLP.make(), head=MLP.place)
    options = {"valid": BATCHES, "patience": 9}
    plain = train(other, "first", 14, **options)
    memory, told = Memory(), Told()
    with pytest.raises(Interrupted):
        train(store, "first", 14, checkpoint=memory, callbacks=[stop_at(stop, Interrupted)], **options)
    again = train(store, "first", 14, checkpoint=memory, trackers=[told], **options)
    assert again.history == plain.history
    assert again.weights_sha256 == plain.weights_sha256
    assert told.of("begin")[0]["resumed"] == stop
    assert told.of("log")[0].step > stop


def test_states_of_ones_own_keeping_hold_the_history(tmp_path: Path) -> None:
    kept, records = None, []
    for name in ("whole", "half", "other half"):
        store = nw.TaskStore.create(tmp_path / name, MLP.make(), head=MLP.place)
        torch.manual_seed(3)
        with store.begin("own", nw.Finetune(), head=MLP.head(3)) as task:
            optimizer = task.optimizer(torch.optim.SGD, lr=0.1)
            if name == "other half":
                task.load_state(kept)
            for x, y in BATCHES[: 2 if name == "half" else 4][2 if name == "other half" else 0 :]:
                F.cross_entropy(task.model(x), y).backward()
                optimizer.step()
                optimizer.zero_grad()
            kept = copy.deepcopy(task.state())
            records.append(task.commit())
    assert records[2].history == records[0].history
    assert records[1].history != records[0].history


def test_the_best_epoch_is_put_back_and_the_history_goes_to_the_end(store: nw.TaskStore) -> None:
    scores = iter([0.1, 0.2, 0.9, 0.3, 0.4, float("nan")])
    record = train(store, "first", 6, method=nw.Finetune(), valid=BATCHES, measure=lambda *_: next(scores))
    history = read_history(record.history)
    assert history is not None
    assert history.best_epoch == 2
    assert [score.value for score in history.scores] == [0.1, 0.2, 0.9, 0.3, 0.4, None]
    assert (history.steps, len(history.points)) == (30, 30)


def test_forgetting_another_keeps_it(store: nw.TaskStore) -> None:
    learn(store, "first", METHOD)
    before = train(store, "second")
    store.forget("first")
    (after,) = store.tasks()
    assert after.index != before.index
    assert after.history == before.history
    assert after.history is not None


def test_it_can_be_left_out(store: nw.TaskStore) -> None:
    with store.begin("first", METHOD, head=MLP.head(3)) as task:
        task.fit(BATCHES, nw.Training(4))
        record = task.commit(history=False)
    assert record.history is None
    assert b"history" not in (store.path / "tasks" / record.directory / "task.json").read_bytes()


def test_trackers_are_told_what_the_history_keeps(store: nw.TaskStore) -> None:
    told = Told()
    metrics = {"validation": {"accuracy": 0.5, "names": ["a"]}, "right": True, "note": "x"}
    record = train(store, "first", trackers=[told], valid=BATCHES, metrics=metrics)
    history = read_history(record.history)
    assert history is not None
    (begun,) = told.of("begin")
    assert told.calls[0][1] == "first"
    assert begun["method"] == {"name": "ibm", "config": METHOD.config()}
    assert begun["schedule"] == history.schedule
    assert begun["resumed"] == 0
    assert [point.step for point in told.of("log")] == [point.step for point in history.points]
    assert told.of("score") == [score.value for score in history.scores]
    (figures,) = told.of("end")
    assert (figures["density"], figures["bytes"], figures["validation.accuracy"], figures["right"]) == (
        *(140 / 352, record.bytes, 0.5, 1.0),
    )
    assert [call[0] for call in told.calls].index("end") == len(told.calls) - 1


def test_a_task_that_is_given_up_ends_without_figures(store: nw.TaskStore) -> None:
    told = Told()
    with store.begin("first", METHOD, head=MLP.head(3)) as task:
        task.fit(BATCHES, nw.Training(4), trackers=[told])
    assert told.of("end") == [None]


def test_a_tracker_that_fails_is_dropped_and_training_goes_on(store: nw.TaskStore, tmp_path: Path) -> None:
    plain = train(nw.TaskStore.create(tmp_path / "plain", MLP.make(), head=MLP.place), "first")
    failing, other = Told(OSError("disk full"), at=3), Told()
    told = Trackers([failing, other])
    with pytest.warns(UserWarning, match="Told failed and is told no more; training goes on: disk full") as warned:
        record = train(store, "first", trackers=told)
    assert len(warned) == 1
    train(store, "second", trackers=told)
    assert len(failing.calls) == 3
    assert len(other.of("end")) == 2
    assert (record.weights_sha256, record.history) == (plain.weights_sha256, plain.history)


def test_ctrl_c_within_a_tracker_ends_training_as_anywhere(store: nw.TaskStore) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(store, "first", trackers=[Told(KeyboardInterrupt(), at=3)])
    assert store.tasks() == ()
