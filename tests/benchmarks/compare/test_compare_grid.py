"""A grid from start to end, with made-up processes: what is run, how often, and what the table says."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading

import pytest

from grids import OPTIONS, Ended, Endless, LeavesWhenIdle, Shop, works
from narrows.benchmarks.compare import parse_variants
from narrows.benchmarks.compare.board import Board, Entry
from narrows.benchmarks.compare.grid_checks import check_grid
from narrows.benchmarks.compare.jobs import Job
from narrows.benchmarks.compare.workload import Workload
from narrows.errors import ConfigError, StorageError


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr("narrows.benchmarks.compare.grid.TICK", 0.002)
    monkeypatch.setattr("narrows.benchmarks.compare.grid.LOOK", 0.05)


RUNS = {f"runs/{method}-e1-s{seed}" for method in ("ibm", "finetune", "independent") for seed in (0, 1)}
TRIALS = {f"tuning/{method}-e1-t{trial}" for method in ("ibm", "finetune", "independent") for trial in (0, 1)}


def by_label(comparison):
    return {row.label: row for row in comparison.rows}


def test_every_trial_and_every_run_is_done_once_and_trials_come_first(tmp_path):
    shop = Shop()
    comparison = shop.run(tmp_path)
    assert sorted(shop.started) == sorted(RUNS | TRIALS)
    assert set(shop.started[: len(TRIALS)]) == TRIALS
    assert {key[-2:] for key in shop.started[len(TRIALS) : len(TRIALS) + 3]} == {"s0"}  # seed 0 of all, then seed 1
    assert comparison.complete
    ibm = by_label(comparison)["ibm"]
    assert ibm.figures["ACC"].values == (0.8, 0.81)
    assert ibm.figures["fwt_independent"].mean == pytest.approx(-0.1)
    assert ibm.figures["step_ratio"].mean == 2
    assert ibm.values == {"lr": 0.000474}  # the made-up results prefer the lower rate
    assert [trial["accuracy"] for trial in ibm.tried] == [0.494, pytest.approx(0.499526)]


def test_the_same_command_runs_nothing_again_and_writes_the_same(tmp_path):
    Shop().run(tmp_path)
    before = (tmp_path / "compare.md").read_text()
    shop = Shop()
    shop.run(tmp_path)
    assert shop.started == []
    assert (tmp_path / "compare.md").read_text() == before


def test_methods_and_seeds_may_be_added_and_earlier_rows_stay(tmp_path):
    Shop().run(tmp_path)
    shop = Shop()
    comparison = shop.run(tmp_path, variants=parse_variants("wsn"), seeds=(0, 1, 2))
    assert set(shop.started) == {
        *(f"tuning/wsn-e1-t{trial}" for trial in (0, 1)),
        *(f"runs/wsn-e1-s{seed}" for seed in (0, 1, 2)),
        "runs/independent-e1-s2",
    }
    seeds = {row.label: row.seeds for row in comparison.rows}
    assert seeds == {"wsn": (0, 1, 2), "independent": (0, 1, 2), "ibm": (0, 1), "finetune": (0, 1)}
    assert len(by_label(comparison)["ibm"].tried) == 2


def test_several_lengths_of_training_are_several_runs(tmp_path):
    shop = Shop()
    comparison = shop.run(tmp_path, epochs=(1, 4), tune=0, seeds=(0,))
    assert {key for key in shop.started if "ibm" in key} == {"runs/ibm-e1-s0", "runs/ibm-e4-s0"}
    assert [row.epochs for row in comparison.rows if row.label == "ibm"] == [1, 4]


def test_a_run_that_fails_is_in_the_table_the_rest_goes_on_and_it_is_tried_again(tmp_path):
    def breaks(job):
        return Ended(None, "error: no room\nat task 3") if job.key == "runs/ibm-e1-s0" else works(job)

    comparison = Shop(breaks).run(tmp_path)
    assert [failure["job"] for failure in comparison.failures] == ["ibm, 1 epochs, seed 0"]
    assert by_label(comparison)["ibm"].seeds == (1,)
    assert by_label(comparison)["finetune"].seeds == (0, 1)
    assert "* ibm, 1 epochs, seed 0: error: no room at task 3" in (tmp_path / "compare.md").read_text()
    assert "1 of 2" in (tmp_path / "compare.md").read_text()
    again = Shop()
    assert again.run(tmp_path).complete
    assert again.started == ["runs/ibm-e1-s0"]


def test_without_its_dense_reference_a_row_has_dashes(tmp_path):
    def breaks(job):
        return Ended(None, "error: lost") if job.variant.method == "independent" else works(job)

    comparison = Shop(breaks).run(tmp_path)
    ibm = by_label(comparison)["ibm"]
    assert ibm.figures["fwt_independent"].mean is None
    assert ibm.figures["step_ratio"].mean is None
    assert [failure["job"] for failure in comparison.failures] == ["independent, 1 epochs"]
    assert "every trial of its tuning failed, the first with: error: lost" in comparison.failures[0]["reason"]


def test_a_trial_that_fails_counts_as_tried(tmp_path):
    def diverges(job):
        return Ended(None, "error: the loss is NaN") if job.key == "tuning/ibm-e1-t1" else works(job)

    comparison = Shop(diverges).run(tmp_path)
    assert comparison.complete
    assert by_label(comparison)["ibm"].values == {"lr": 0.006}
    assert "failed: error: the loss is NaN" in (tmp_path / "compare.md").read_text()
    again = Shop()
    again.run(tmp_path)
    assert again.started == []  # its runs were begun with what was picked, and that stays


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_stops_its_processes_and_goes_on_where_it_was(number, tmp_path):
    endless = []

    def sticks(job):
        if job.key != "runs/finetune-e1-s0":
            return works(job)
        endless.append(Endless())
        threading.Timer(0.3, os.kill, (os.getpid(), number)).start()
        return endless[0]

    first = Shop(sticks)
    with pytest.raises(KeyboardInterrupt):
        first.run(tmp_path)
    assert endless[0].interrupted
    assert "Not finished: " in (tmp_path / "compare.md").read_text()
    second = Shop()
    assert second.run(tmp_path).complete
    assert set(first.started) & set(second.started) == {"runs/finetune-e1-s0"}
    assert set(first.started) | set(second.started) == RUNS | TRIALS


def test_an_ignored_ctrl_c_stays_ignored(tmp_path):
    def presses(job):
        os.kill(os.getpid(), signal.SIGINT)
        return works(job)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert Shop(presses).run(tmp_path).complete
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_killed_its_own_claims_are_taken_up_again_at_once(tmp_path):
    def dies(job):
        if job.key == "runs/ibm-e1-s1":
            raise MemoryError  # leaves the claim as a kill does
        return works(job)

    with pytest.raises(MemoryError):
        Shop(dies).run(tmp_path)
    second = Shop()
    assert second.run(tmp_path).complete
    assert "runs/ibm-e1-s1" in second.started
    assert not {"runs/ibm-e1-s0", *TRIALS} & set(second.started)


def test_a_folder_of_another_grid_is_refused(tmp_path):
    Shop().run(tmp_path, tune=0)
    with pytest.raises(ConfigError, match="another grid: holdout, tune, tune_tasks differ"):
        Shop().run(tmp_path)
    with pytest.raises(ConfigError, match="begun with no --storage"):
        Shop().run(tmp_path, tune=0, storage=str(tmp_path / "other"))
    (tmp_path / "grid.json").write_text("{")
    with pytest.raises(StorageError, match=r"grid\.json cannot be read"):
        Shop().run(tmp_path)


def test_two_commands_in_one_folder_are_refused(tmp_path):
    def meets_another(job):
        with pytest.raises(StorageError, match="is at work in"):
            Shop().run(tmp_path)
        return works(job)

    assert Shop(meets_another).run(tmp_path, tune=0, seeds=(0,)).complete


def test_workers_on_one_storage_share_the_runs_and_each_prints_the_whole_table(tmp_path):
    storage = str(tmp_path / "shared.log")
    other, theirs = Shop(), []

    def calls_in_another(job):
        """Another machine joins while this one is at its first run, and does all the rest."""
        if job.kind == "runs" and not theirs:
            with pytest.raises(KeyboardInterrupt):
                other.run(tmp_path / "b", listener=LeavesWhenIdle(), storage=storage)
            theirs.append(json.loads((tmp_path / "b/compare.json").read_text()))
        return works(job)

    first = Shop(calls_in_another)
    comparison = first.run(tmp_path / "a", storage=storage, jobs=1)
    assert comparison.complete
    assert sorted([*first.started, *other.started]) == sorted(RUNS | TRIALS)
    assert theirs[0]["left"] == 1
    last = Shop()
    last.run(tmp_path / "b", storage=storage)
    assert last.started == []
    ours, theirs = (json.loads((tmp_path / folder / "compare.json").read_text()) for folder in "ab")
    assert ours["rows"] == theirs["rows"]
    assert len({run["worker"] for run in ours["runs"]}) == 2
    assert any("comparable" not in note for note in ours["notes"])


def test_a_job_done_by_another_while_one_before_it_is_taken_is_not_run_again(tmp_path, monkeypatch):
    storage, other, take = str(tmp_path / "shared.log"), Shop(), Board.take

    def slowly(board, job, before):
        """Before the first job that was taken is noted, another worker does all the rest."""
        monkeypatch.setattr(Board, "take", take)
        trial = take(board, job, before)
        with pytest.raises(KeyboardInterrupt):
            other.run(tmp_path / "b", listener=LeavesWhenIdle(), storage=storage, tune=0)
        return trial

    monkeypatch.setattr(Board, "take", slowly)
    first = Shop()
    assert first.run(tmp_path / "a", storage=storage, tune=0).complete
    assert len(first.started) == 1
    assert sorted([*first.started, *other.started]) == sorted(RUNS)


def work_beside(storage, out, gate, told):
    def meets_the_other(job):
        if len(shop.started) == 1:
            gate.wait(60)  # each has a job before either has done one
        return works(job)

    shop = Shop(meets_the_other)
    shop.run(out, storage=storage)
    told.put(shop.started)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_on_one_storage_run_nothing_twice_and_write_the_same_rows(tmp_path, ends):
    context, storage = multiprocessing.get_context("fork"), str(tmp_path / "shared.log")
    gate, told = context.Barrier(2), context.Queue()
    workers = [context.Process(target=work_beside, args=(storage, tmp_path / name, gate, told)) for name in "ab"]
    for worker in workers:
        worker.start()
        ends(worker)
    started = [told.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    assert sorted(started[0] + started[1]) == sorted(RUNS | TRIALS)
    assert all(started)
    ours, theirs = (json.loads((tmp_path / name / "compare.json").read_text()) for name in "ab")
    assert ours["complete"]
    assert ours["rows"] == theirs["rows"]


def test_all_workers_run_with_the_values_of_the_first_run(tmp_path):
    """One goes on without a failed trial while another tries it again and would pick differently."""
    storage, others = str(tmp_path / "shared.log"), []

    def diverges(job):
        if job.key == "tuning/ibm-e1-t1":
            return Ended(None, "error: NaN")
        if job.key == "runs/ibm-e1-s0":
            shop = Shop()
            others.append(shop.started)
            with pytest.raises(KeyboardInterrupt):
                shop.run(tmp_path / "b", listener=LeavesWhenIdle(), storage=storage)
        return works(job)

    comparison = Shop(diverges).run(tmp_path / "a", storage=storage, jobs=1)
    assert "tuning/ibm-e1-t1" not in others[0]
    assert {run["config"]["lr"] for run in comparison.runs if run["label"] == "ibm"} == {0.006}


def test_a_run_taken_with_other_values_than_the_first_is_not_agreed():
    ibm, plan = OPTIONS.variants[0], Workload(check_grid(OPTIONS))
    first, second = (Job("runs", ibm, 1, seed, {"lr": rate}) for seed, rate in ((0, 0.006), (1, 0.001)))
    entries = {job.key: Entry(job, 1, "running", "w", trial) for trial, job in enumerate((first, second))}
    assert plan.agreed(first, entries)
    assert not plan.agreed(second, entries)
    given_up = {first.key: Entry(first, 1, "open", "w", 0), second.key: entries[second.key]}
    assert plan.agreed(second, given_up)
