"""`narrows compare` as a user runs it, with real runs in processes of their own."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from pathlib import Path

import pytest

from grids import Shop
from narrows.benchmarks.compare import CompareOptions, compare, parse_variants
from narrows.cli import main
from narrows.errors import StoreLockedError
from narrows.store.lock import StoreLock

QUICK = ["split-digits", "--tasks", "2", "--seeds", "1", "--jobs", "2"]


def narrows(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The command in this process; its runs are processes all the same."""
    monkeypatch.setattr(sys, "argv", ["narrows", *arguments])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_a_small_grid_from_trial_to_table(tmp_path, monkeypatch, capsys):
    command = ["compare", *QUICK, "--methods", "independent", "--epochs", "1", "--tune", "1"]
    result = tmp_path / "runs/independent-e1-s0/result.json"
    result.parent.mkdir(parents=True)
    result.write_text("{")
    assert narrows(*command, "--out", str(tmp_path), monkeypatch=monkeypatch) == 1
    printed = capsys.readouterr()
    assert "failed: independent, 1 epochs, seed 0: error: " in printed.out
    assert "Delete it and run again" in printed.out
    assert "The same command tries again what failed" in printed.out
    assert "independent, 1 epochs, trial 0: done in" in printed.err

    result.unlink()
    kept = (tmp_path / "tuning/independent-e1-t0/result.json").stat().st_mtime_ns
    assert narrows(*command, "--out", str(tmp_path), monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert all(len(line) <= 80 for line in printed.out.split("wrote to")[0].splitlines())
    assert (tmp_path / "tuning/independent-e1-t0/result.json").stat().st_mtime_ns == kept
    found = json.loads((tmp_path / "compare.json").read_text())
    assert found["complete"]
    assert found["command"][:2] == ["narrows", "compare"]
    assert found["rows"][0]["lr"] == 0.001
    assert found["rows"][0]["tried"][0]["accuracy"] > 0.5
    trial = json.loads((tmp_path / "tuning/independent-e1-t0/result.json").read_text())
    assert trial["config"]["holdout"] == 0.2
    assert "holdout" not in json.loads(result.read_text())["config"]
    assert len(list(tmp_path.glob("*.svg"))) == 4

    monkeypatch.setitem(sys.modules, "vl_convert", None)
    assert narrows(*command, "--out", str(tmp_path), monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    assert "wrote to" in printed.out
    assert ".svg" not in printed.out.split("wrote to")[1]
    assert "No pictures are drawn." in printed.err
    assert "narrows[report]" in printed.err


def at_work(store: Path) -> bool:
    """Whether a process holds the lock of a run's store."""
    try:
        StoreLock(store).release()
    except StoreLockedError:
        return True
    return False


def wait_for(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_its_runs_stop_and_the_same_grid_goes_on(tmp_path, ends):
    options = CompareOptions(
        "split-digits", parse_variants("independent"), seeds=(0,), epochs=(5000,), tune=0, tasks=2, jobs=1
    )
    process = multiprocessing.get_context("fork").Process(target=compare, args=(options, tmp_path))
    process.start()
    ends(process)
    store = tmp_path / "runs/independent-e5000-s0/store"
    wait_for(lambda: (store / "store.json").exists() and at_work(store))
    process.kill()
    process.join()
    wait_for(lambda: not at_work(store))
    shop = Shop()
    assert shop.run(tmp_path, options).complete
    assert shop.started == ["runs/independent-e5000-s0"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["split-digits", "--methods", "ibm,wns"], "did you mean 'wsn'"),
        (["split-digits", "--methods", "ibm:densty=1"], "did you mean 'density'"),
        (["split-digit", "--methods", "ibm"], "did you mean 'split-digits'"),
        (["split-digits", "--methods", "ibm", "--seeds", "none"], "--seeds takes whole numbers"),
        (["tiny-imagenet", "--methods", "ibm"], "say --data FOLDER"),
        (["split-digits", "--methods", "ibm", "--storage", "oracle9://x"], "--storage oracle9://x"),
    ],
)
def test_bad_input_gets_one_clear_message_and_starts_nothing(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert narrows("compare", *arguments, monkeypatch=monkeypatch) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("error:")
    assert said in printed
    assert not list(tmp_path.rglob("result.json"))
