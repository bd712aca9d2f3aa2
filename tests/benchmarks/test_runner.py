"""A run of a stream: what it measures, and that being cut off anywhere changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from narrows import IBM, WSN, Finetune, Independent, Joint
from narrows.benchmarks.options import RunOptions
from narrows.benchmarks.results import Result
from narrows.benchmarks.run_listener import SilentRun
from narrows.benchmarks.runner import run
from narrows.errors import CapacityError, ConfigError, StoreError
from narrows.tasks import TaskStore
from narrows.trackers import read_live
from narrows.training import read_history

OPTIONS = RunOptions("split-digits", IBM(density=0.05), epochs=2, tasks=3)


class Stop(Exception):
    """Ctrl-C, or a kill, at a chosen moment."""


class StopAfter(SilentRun):
    """Stops the run once so many tasks have been learned and measured."""

    def __init__(self, tasks: int) -> None:
        self.left = tasks

    def learned(self, result: Result) -> None:  # noqa: ARG002
        self.left -= 1
        if not self.left:
            raise Stop


def weights(out: Path) -> list[str]:
    return [record.weights_sha256 for record in TaskStore.open(out / "store").tasks()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("run") / "whole"
    return out, run(OPTIONS, out)


def test_nothing_is_forgotten_and_every_entry_is_measured(whole):
    _, result = whole
    metrics = result.metrics()
    assert metrics["BWT"] == 0
    assert metrics["forgetting"] == 0
    assert metrics["fwt_gem"] is not None
    assert metrics["fwt_independent"] is None
    assert metrics["step_ratio"] is None
    for i, row in enumerate(result.rows):
        assert all(row[j] is not None for j in range(i + 1))
        assert all(row[j] is None for j in range(i + 2, 3))  # R[i][i + 1] is the next task's start


def test_the_account_adds_up(whole):
    out, result = whole
    used = 0.0
    for task in result.tasks:
        used += task.claimed
        assert task.density <= 0.05
        assert task.density == pytest.approx(task.claimed + task.reused)
        assert task.used == pytest.approx(used)
    assert result.tasks[-1].used == pytest.approx(TaskStore.open(out / "store").values_kept())
    on_disk = [sum(f.stat().st_size for f in folder.iterdir()) for folder in sorted((out / "store/tasks").iterdir())]
    assert [task.bytes for task in result.tasks] == on_disk


def test_result_json_has_what_is_promised_and_reads_back(whole):
    out, result = whole
    data = json.loads((out / "result.json").read_text())
    for key in ("stream", "method", "config", "seed", "environment", "R", "metrics", "tasks", "version"):
        assert key in data
    wanted = "ACC BWT forgetting fwt_gem fwt_independent density used bytes_per_task dense_bytes seconds step_ratio"
    assert set(data["metrics"]) == set(wanted.split())
    wanted = "name accuracy density claimed reused used bytes seconds layers"
    assert set(wanted.split()) <= set(data["tasks"][0])
    assert len(data["stream_description"]["class_order"]) == 10
    assert Result.load(out / "result.json").to_json() == result.to_json()


@pytest.mark.parametrize("method", [IBM(density=0.05), WSN(density=0.1), Finetune()], ids=lambda m: m.name)
def test_cut_off_after_a_task_it_ends_the_same(method, tmp_path):
    options = replace(OPTIONS, method=method)
    straight = run(options, tmp_path / "straight")
    with pytest.raises(Stop):
        run(options, tmp_path / "cut", StopAfter(2))
    resumed = run(options, tmp_path / "cut")
    assert resumed.rows == straight.rows
    assert weights(tmp_path / "cut") == weights(tmp_path / "straight")


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_cut_off_between_commit_and_figures_it_measures_what_is_missing(kept, whole, tmp_path):
    """The store may be ahead of result.json; older tasks are what they were, so their rows can be made up for."""
    out = tmp_path / "cut"
    with pytest.raises(Stop):
        run(OPTIONS, out, StopAfter(2))
    path = out / "result.json"
    if kept == 0:
        path.unlink()
    else:
        data = json.loads(path.read_text())
        data["R"], data["tasks"] = data["R"][:kept], data["tasks"][:kept]
        path.write_text(json.dumps(data))
    assert run(OPTIONS, out).rows == whole[1].rows


def test_finetune_forgets_and_its_lost_figures_cannot_be_made_up(tmp_path):
    options = RunOptions("rotated-digits", Finetune(), epochs=4, tasks=3)
    metrics = run(options, tmp_path / "run").metrics()
    assert metrics["BWT"] < -0.02
    assert metrics["used"] == 1
    (tmp_path / "run/result.json").unlink()
    with pytest.raises(StoreError, match="overwrote"):
        run(options, tmp_path / "run")


def test_reference_gives_transfer_and_step_ratio(tmp_path):
    result = run(replace(OPTIONS, reference=True, tasks=2), tmp_path / "run")
    metrics = result.metrics()
    independent = run(replace(OPTIONS, method=Independent(), tasks=2), tmp_path / "alone")
    assert result.reference["accuracy"] == [task.accuracy for task in independent.tasks]
    assert metrics["fwt_independent"] == pytest.approx(metrics["ACC"] - independent.metrics()["ACC"])
    assert metrics["step_ratio"] > 0
    assert independent.metrics()["used"] == 2


def test_a_store_of_another_run_is_not_taken_for_ones_own(tmp_path):
    with pytest.raises(Stop):
        run(OPTIONS, tmp_path / "run", StopAfter(1))
    (tmp_path / "run/result.json").unlink()
    for other in (replace(OPTIONS, seed=1), replace(OPTIONS, method=IBM(density=0.06))):
        with pytest.raises(ConfigError, match="tasks of another run"):
            run(other, tmp_path / "run")
        (tmp_path / "run/result.json").unlink()


def test_a_stream_too_long_for_the_method_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(CapacityError, match="3 tasks do not fit, 2 do"):
        run(replace(OPTIONS, method=IBM(new=0.4, reuse=0.5, refine=False)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_device_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="nonsense"):
        run(replace(OPTIONS, device="nonsense"), tmp_path / "run")


def test_another_run_or_a_damaged_result_is_refused(whole, tmp_path):
    out, _ = whole
    with pytest.raises(ConfigError, match="holds another run: seed"):
        run(replace(OPTIONS, seed=1), out)
    (tmp_path / "result.json").write_text('{"format": "narrows-result", "version": 1')
    with pytest.raises(StoreError, match="Delete it and run again"):
        run(OPTIONS, tmp_path)
    (tmp_path / "result.json").write_text('{"format": "narrows-result", "version": 2}')
    with pytest.raises(StoreError, match="version 1"):
        run(OPTIONS, tmp_path)


def test_training_can_be_followed_and_the_task_keeps_its_history(whole):
    out, result = whole
    tasks = read_live(out / "live.jsonl")
    assert [(task.name, task.state) for task in tasks] == [(task.name, "done") for task in result.tasks]
    for record, live in zip(TaskStore.open(out / "store").tasks(), tasks, strict=True):
        history = read_history(record.history)
        assert [point["step"] for point in live.points] == [point.step for point in history.points]
        assert [point["loss"] for point in live.points] == [point.loss for point in history.points]


def test_a_run_that_goes_on_keeps_its_live_file_and_one_that_begins_anew_does_not(tmp_path):
    (tmp_path / "live.jsonl").write_text('{"event":"begin","task":"of another run","seconds":0}\n')
    with pytest.raises(Stop):
        run(OPTIONS, tmp_path, StopAfter(1))
    run(OPTIONS, tmp_path)
    assert [task.name for task in read_live(tmp_path / "live.jsonl")] == ["split-01", "split-02", "split-03"]


def test_tasks_trained_at_once_are_followed_as_one(tmp_path):
    run(replace(OPTIONS, method=Joint(), reference=True), tmp_path)
    (live,) = read_live(tmp_path / "live.jsonl")
    assert (live.name, live.state) == ("all tasks", "done")
    assert live.figures["steps"] == live.about["schedule"]["total_steps"]
    assert live.points[-1]["loss"] is not None
    assert all(record.history is None for record in TaskStore.open(tmp_path / "store").tasks())
    assert [task.state for task in read_live(tmp_path / "reference" / "live.jsonl")] == ["done"] * 3
