"""Benchmarks and stores on the command line: a process of its own, its exit code, what it prints and leaves."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import forked
from narrows.benchmarks.streams import stream_names
from narrows.cli import main
from narrows.methods import IBM
from narrows.tasks import TaskStore
from toys import MLP, learn

QUICK = ["split-digits", "--tasks", "3", "--epochs", "2", "--threads", "1"]


def start(*arguments: str, cwd: Path) -> forked.Forked:
    return forked.narrows(cwd, *arguments, COLUMNS="80", NO_COLOR="1", OMP_NUM_THREADS="1")


def narrows(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return start(*arguments, cwd=cwd).done()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    where = tmp_path_factory.mktemp("cli")
    return where, narrows("run", *QUICK, "--set", "density=0.03", "--reference", "--out", "out", cwd=where)


def test_run_prints_a_table_that_fits_80_columns_and_says_what_to_try_next(finished):
    _, done = finished
    assert done.returncode == 0, done.stderr
    table = done.stdout.split("wrote ")[0]
    assert all(len(line) <= 80 for line in table.splitlines())
    assert "…" not in table
    for expected in ("split-01", "split-03", "BWT 0 (exactly)", "against independent", "times plain training"):
        assert expected in done.stdout
    assert "narrows verify out/store" in done.stdout
    assert done.stderr.count("split-01") == 1  # one line a task; the reference's dense networks have none


def test_run_writes_result_store_and_picture(finished):
    where, _ = finished
    result = json.loads((where / "out/result.json").read_text())
    assert result["complete"]
    assert result["metrics"]["BWT"] == 0
    assert result["metrics"]["density"] <= 0.03
    assert [len(row) for row in result["R"]] == [3, 3, 3]
    assert result["R"][0][2] is None  # above the diagonal, not measured
    assert result["R"][2][0] == result["R"][0][0]
    assert set(result["tasks"][0]["layers"]) == {"hidden.0.weight", "hidden.2.weight"}
    assert "split-03" in (where / "out/accuracy.svg").read_text()


def test_run_again_changes_nothing(finished):
    where, first = finished
    before = (where / "out/result.json").read_text()
    again = narrows("run", *QUICK, "--set", "density=0.03", "--reference", "--out", "out", cwd=where)
    assert again.stdout == first.stdout
    assert "nothing is trained again" in again.stderr
    assert (where / "out/result.json").read_text() == before


def test_another_run_in_the_same_folder_is_refused(finished):
    where, _ = finished
    done = narrows("run", *QUICK, "--set", "density=0.1", "--out", "out", cwd=where)
    assert done.returncode == 1
    assert "holds another run: config differ" in done.stderr


def test_tasks_and_verify(finished):
    where, _ = finished
    listed = narrows("tasks", "out/store", cwd=where)
    assert listed.returncode == 0
    assert "split-03" in listed.stdout
    assert all(len(line) <= 80 for line in listed.stdout.splitlines())
    sound = narrows("verify", "out/store", cwd=where)
    assert sound.returncode == 0
    assert "sound: 3 tasks" in sound.stdout


def test_verify_names_the_damaged_file(finished, tmp_path):
    shutil.copytree(finished[0] / "out/store", tmp_path / "store")
    blob = next((tmp_path / "store/tasks").glob("*/mask.bin"))
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(bytes(data))
    done = narrows("verify", "store", cwd=tmp_path)
    assert done.returncode == 1
    assert "mask.bin" in done.stdout


def test_verify_says_which_tasks_cannot_be_had_and_no_others(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    store = TaskStore.create(tmp_path / "s", MLP.make(), head=MLP.place)
    for name in ("parent", "child"):
        learn(store, name, IBM(density=0.6, prune_every=2, refine=False))
    folder = tmp_path / "s/tasks" / store.tasks()[0].directory
    for file, said in (("private.safetensors", "Tasks not named above are sound"), ("mask.bin", "weights: child.")):
        (folder / file).write_bytes(b"x")
        monkeypatch.setattr(sys, "argv", ["narrows", "verify", str(tmp_path / "s")])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 1
        assert said in capsys.readouterr().out


def test_killed_in_the_middle_it_goes_on_and_ends_with_the_same_weights(finished, tmp_path, ends):
    where, _ = finished
    process = ends(start("run", *QUICK, "--set", "density=0.03", "--out", "out", cwd=tmp_path))
    process.wait_for((tmp_path / "out/result.json").exists)
    process.kill()
    done = narrows("run", *QUICK, "--set", "density=0.03", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ours, theirs = (json.loads((folder / "out/result.json").read_text()) for folder in (tmp_path, where))
    assert ours["R"] == theirs["R"]
    for name in ("0000-split-01", "0001-split-02", "0002-split-03"):
        for file in ("mask.bin", "claimed.safetensors", "private.safetensors"):
            assert (tmp_path / "out/store/tasks" / name / file).read_bytes() == (
                where / "out/store/tasks" / name / file
            ).read_bytes()


def test_ctrl_c_says_how_to_go_on(tmp_path, ends):
    process = ends(start("run", "split-digits", "--epochs", "2000", "--threads", "1", "--out", "o", cwd=tmp_path))
    process.wait_for((tmp_path / "o/store/store.json").exists)
    process.send_signal(signal.SIGINT)
    done = process.done()
    errors = done.stderr
    # Where Ctrl-C meets an import, Python ends itself by SIGINT, though it was handled. A shell says 130 of both.
    assert done.returncode in (130, -signal.SIGINT)
    assert "the same command goes on from there" in errors
    assert "Traceback" not in errors


def test_streams_and_methods_list_every_one(tmp_path):
    streams = narrows("streams", cwd=tmp_path).stdout
    for name, spec in stream_names().items():
        assert name in streams
        assert spec.network in streams
    assert all(len(line) <= 80 for line in streams.splitlines())
    methods = narrows("methods", cwd=tmp_path).stdout
    for name in ("ibm", "wsn", "finetune", "independent", "estimator=laplace"):
        assert name in methods


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "permutd-digits"], "did you mean 'permuted-digits'"),
        (["run", "--method", "ibn"], "did you mean 'ibm'"),
        (["run", "--set", "densty=0.1"], "did you mean 'density'"),
        (["run", "--set", "density"], "--set takes NAME=VALUE"),
        (["run", "--set", "density=lots"], "density takes float; got 'lots'"),
        (["run", "--set", "density=1.5"], "0 to 1; got 1.5"),
        (["run", "--set", "density=0.1", "--set", "beta=1"], "not both"),
        (["run", "--epochs", "0"], "epochs must be a whole number"),
        (["run", "split-digits", "--tasks", "9"], "the data have 10"),
        (["run", "tiny-imagenet"], "say --data FOLDER"),
        (["run", "tiny-imagenet", "--data", "nowhere"], "nowhere"),
        (["run", "5-datasets"], "it holds a folder for each data set: cifar10, mnist"),
        (["run", "omniglot-rotation", "--data", "hub"], "no place on the hub"),
        (["run", "cifar100-10x10", "--data", "."], "train.bin and test.bin"),
        (["run", "split-fashion-mnist", "--data", "nowhere"], "nowhere"),
        (["run", "--network", "transformer"], "no network named 'transformer'"),
        (["tasks", "nowhere"], "nowhere"),
        (["verify", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_gets_one_clear_message(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["narrows", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    printed = capsys.readouterr().err
    assert printed.startswith("error:")
    assert said in printed
    assert not list(tmp_path.rglob("result.json"))
