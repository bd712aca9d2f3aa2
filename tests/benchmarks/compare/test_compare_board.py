"""The board: every job has one worker, whatever the storage; the dead are replaced, and nothing done is lost."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from grids import result
from narrows.benchmarks.compare import parse_variants
from narrows.benchmarks.compare.board import RUNS, Board
from narrows.benchmarks.compare.jobs import Job
from narrows.errors import ConfigError, StorageError

(IBM,) = parse_variants("ibm")
IDENTITY = {"stream": "split-digits"}
JOBS = [Job("runs", IBM, 1, seed) for seed in range(12)]
TRIAL = Job("tuning", IBM, 1, 0, {"lr": 0.006})


def board(storage: Path | str, worker: str = "a", stale: float = 60.0) -> Board:
    return Board(str(storage), IDENTITY, worker, stale)


def race(storage: str, worker: str, gate, taken) -> None:
    """Takes what it can, starting with the others."""
    mine = board(storage, worker)
    mine.read([RUNS])
    gate.wait()
    taken.put((worker, [job.number for job in JOBS if mine.take(job, None) is not None]))


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_of_several_processes_one_gets_each_job(kind, tmp_path, ends):
    storage = str(tmp_path / "journal.log") if kind == "journal" else f"sqlite:///{tmp_path}/board.db"
    board(storage).read([RUNS])
    context = multiprocessing.get_context("fork")
    gate, taken = context.Barrier(3), context.Queue()
    processes = [context.Process(target=race, args=(storage, f"w{i}", gate, taken)) for i in range(3)]
    for process in processes:
        process.start()
        ends(process)
    found = dict(taken.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert sorted(number for numbers in found.values() for number in numbers) == list(range(12))
    entries = board(storage, "reader").read([RUNS])
    assert {entry.job.number: entry.worker for entry in entries.values()} == {
        number: worker for worker, numbers in found.items() for number in numbers
    }


def test_a_result_reads_back_whole_however_long(tmp_path):
    ours, theirs = board(tmp_path / "j"), board(tmp_path / "j", "b")
    long = result("ibm") | {"long": "x" * 100_000}
    trial = ours.take(JOBS[0], None)
    assert theirs.take(JOBS[0], None) is None
    assert ours.done(trial, long, 0.8)
    (entry,) = theirs.read([RUNS]).values()
    assert (entry.state, entry.result, entry.worker) == ("done", long, "a")


def test_failures_and_what_was_given_up_are_told_apart(tmp_path):
    ours = board(tmp_path / "j")
    ours.failed(ours.take(JOBS[0], None), "no room")
    ours.give_up(ours.take(JOBS[1], None))
    entries = ours.read([RUNS])
    assert [(entries[job.key].state, entries[job.key].reason) for job in JOBS[:2]] == [
        ("failed", "no room"),
        ("open", ""),
    ]
    again = ours.take(JOBS[0], entries[JOBS[0].key])
    assert ours.read([RUNS])[JOBS[0].key].attempt == 2
    ours.done(again, result("ibm"), 0.8)
    assert ours.read([RUNS])[JOBS[0].key].state == "done"


def test_a_dead_worker_is_replaced_and_its_late_result_is_not_needed(tmp_path, monkeypatch):
    dead, alive = board(tmp_path / "j", "dead"), board(tmp_path / "j", "alive", stale=50)
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    late, kept = dead.take(JOBS[0], None), dead.take(JOBS[1], None)
    alive.read([RUNS])
    for _ in range(3):
        now[0] += 40
        dead.live([kept])  # of the first there is no sign
        states = {key: entry.state for key, entry in alive.read([RUNS]).items()}
    assert states[JOBS[1].key] == "running"
    before = alive.read([RUNS])[JOBS[0].key]
    assert before.state == "open"
    assert alive.done(alive.take(JOBS[0], before), result("ibm", seed=1), 0.8)
    assert not dead.done(late, result("ibm"), 0.8)
    dead.live([late])
    assert alive.read([RUNS])[JOBS[0].key].result == result("ibm", seed=1)


def test_trials_are_optuna_trials_with_their_values(tmp_path):
    import optuna

    ours = board(f"sqlite:///{tmp_path}/board.db")
    ours.done(ours.take(TRIAL, None), result("ibm"), 0.8)
    (name,) = optuna.study.get_all_study_names(f"sqlite:///{tmp_path}/board.db")
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{tmp_path}/board.db")
    assert name.endswith("tuning ibm-e1")
    assert (study.best_params, study.best_value) == ({"lr": 0.006}, 0.8)


def test_grids_of_different_identity_do_not_see_each_other(tmp_path):
    board(tmp_path / "j").take(JOBS[0], None)
    assert Board(str(tmp_path / "j"), {"stream": "other"}, "a", 60).read([RUNS]) == {}


def test_a_storage_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(ConfigError, match="--storage nonsense://"):
        board("nonsense://x")
    with pytest.raises(StorageError, match="nowhere"):
        board(tmp_path / "nowhere/j").take(JOBS[0], None)
