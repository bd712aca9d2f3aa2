"""No output fails a command, whatever the terminal: every command is run on those that cannot show it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import narrows.report.serve
from grids import Ended, result
from narrows.cli.app import app
from narrows.store.listing import StoreListing
from terminals import CALLS, OTHER, QUICK, TASK, Failing, Screen, make_shop, run

BYTES = {"løden": os.fsdecode(b"l\xf8den"), "фото": os.fsdecode(b"f\xf6to"), "прогон": os.fsdecode(b"r\xfcn")}
"""Names of folders that are no text in UTF-8, as they come out of an old archive."""


@pytest.fixture(scope="module")
def made_of_bytes(tmp_path_factory):
    where = tmp_path_factory.mktemp("bytes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(where / "config"))
        make_shop(where, BYTES["løden"], BYTES["фото"], os.fsdecode(b"d\xfcster"))
    return where


@pytest.fixture
def place(made, tmp_path):
    """A copy of it to be in, on a narrow and dumb terminal."""
    yield from standing_in(shutil.copytree(made, tmp_path / "место"))


@pytest.fixture
def place_of_bytes(made_of_bytes, tmp_path):
    """One with names that are no text."""
    yield from standing_in(shutil.copytree(made_of_bytes, tmp_path / "место"))


def standing_in(where: Path) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(where)
        patch.setattr(sys, "path", list(sys.path))
        for name, value in {
            "XDG_CONFIG_HOME": str(where / "config"),
            "COLUMNS": "40",
            "TERM": "dumb",
            "NO_COLOR": "1",
        }.items():
            patch.setenv(name, value)

        def interrupted(_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(narrows.report.serve.WatchServer, "serve_forever", interrupted)
        yield where


def names(store: Path) -> tuple[str, ...]:
    return StoreListing.open(store).task_names()


def test_every_command_is_tried():
    assert {command.name for command in app.registered_commands} == {*CALLS, "compare"}


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("command", "encoding"), [*((command, "ascii") for command in CALLS), ("tasks", "latin-1"), ("learn", "latin-1")]
)
def test_what_the_encoding_has_no_sign_for_fails_no_command(command, encoding, monkeypatch):
    words, code = CALLS[command]
    out, err = Screen(encoding), Screen(encoding)
    assert run(monkeypatch, words, out, err) == code, err.text
    assert out.text
    assert "Traceback" not in err.text


@pytest.mark.usefixtures("place_of_bytes")
@pytest.mark.parametrize("command", CALLS)
def test_folders_whose_names_are_no_text_fail_no_command(command, monkeypatch):
    words, code = CALLS[command]
    out, err = Screen("utf-8"), Screen("utf-8")
    renamed = [BYTES.get(word, word) for word in words]
    assert run(monkeypatch, renamed, out, err) == code, err.text
    if command == "predict":
        renamed += ["--out", BYTES["прогон"] + ".csv"]
        assert run(monkeypatch, renamed, out, err) == 0, err.text


@pytest.mark.parametrize(
    ("command", "number"),
    [*((command, errno.ENOSPC) for command in CALLS), ("tasks", errno.EPIPE), ("learn", errno.EPIPE)],
)
def test_output_that_nobody_takes_fails_no_command(command, number, place, monkeypatch):
    words, code = CALLS[command]
    err = Screen("utf-8")
    assert run(monkeypatch, words, Failing(number), err) == code, err.text
    assert ("standard output could not be written (ENOSPC)" in err.text) is (number == errno.ENOSPC)
    assert run(monkeypatch, [command, "--help"], Failing(number), Failing(number)) == 0
    if command == "learn":
        assert names(place / "løden") == (TASK, OTHER, "三")


def test_nothing_that_can_be_written_is_needed_to_learn(place, monkeypatch):
    assert run(monkeypatch, CALLS["learn"][0], Failing(errno.EPIPE), Failing(errno.ENOSPC)) == 0
    assert names(place / "løden") == (TASK, OTHER, "三")


@pytest.mark.parametrize("command", [*CALLS, "compare", ""])
def test_the_help_of_every_command_fits_any_terminal(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    out = Screen("ascii")
    assert run(monkeypatch, [*command.split(), "--help"], out, Screen("ascii")) == 0
    assert "Usage" in out.text
    assert "\\u" not in out.text  # boxes are drawn with what there is
    assert "bool" not in out.text.lower()  # a switch takes no value


def child(where: Path, script: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A shell's line; $n is the command."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"} | more
    command = ["bash", "-c", f'n="{sys.executable} -m narrows"; {script}']
    return subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, timeout=300, check=False)


C_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.mark.parametrize(
    ("script", "environment"),
    [
        ("$n tasks l*/ | head -1; echo ${PIPESTATUS[0]}", {}),
        ("$n tasks l*/ | true; echo ${PIPESTATUS[0]}", {}),
        ("$n tasks l*/; echo $?", C_LOCALE),
        ("$n tasks l*/; echo $?", {"PYTHONIOENCODING": "ascii"}),
        ("$n tasks l*/ >&-; echo $?", {}),
        ("$n tasks l*/ 2>&-; echo $?", {}),
        ("$n tasks l*/ <&- >/dev/full 2>/dev/full; echo $?", {}),
    ],
)
def test_a_process_ends_as_if_all_had_been_written(script, environment, place):
    done = child(place, script, **environment)
    assert done.stdout.splitlines()[-1] == "0", done.stderr
    assert done.stderr == ""


def test_a_task_that_is_learned_with_a_full_disk_behind_its_output_is_there_and_that_is_said(place):
    learn = f"$n learn l*/ -t june -d фото {' '.join(QUICK)}"
    done = child(place, f"{learn} >/dev/full; echo $?", **C_LOCALE)
    assert done.stdout == "0\n", done.stderr
    assert "what it did stands" in done.stderr
    assert "Traceback" not in done.stderr
    assert names(place / "løden")[-1] == "june"
    refused = child(place, "$n learn l*/ -t 三 -d фото", **C_LOCALE)
    assert "language settings" in refused.stderr


@pytest.mark.usefixtures("place")
def test_a_comparison_is_printed_on_any_terminal(monkeypatch):
    words = "compare split-digits -m independent --tasks 1 --epochs 1 --seeds 1 --tune 0 --out σύγκριση"
    ended = Ended(result("independent", tasks=1))
    for out in (Screen("ascii"), Failing(errno.EPIPE)):
        err = Screen("ascii")
        with pytest.MonkeyPatch.context() as patch:  # its processes write to no terminal
            patch.setattr("narrows.benchmarks.compare.workers.Child", lambda *_: ended)
            assert run(monkeypatch, words.split(), out, err) == 0, err.text
        assert "Traceback" not in err.text
