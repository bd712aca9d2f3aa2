"""--json: one object on standard output and nothing beside it, whatever the command."""

from __future__ import annotations

import errno
import json
import math
import shutil

import pytest

from narrows.cli.app import app
from narrows.store.listing import StoreListing
from narrows.tasks import TaskStore
from terminals import CALLS, TASK, Failing, Screen, run


@pytest.fixture
def place(made, tmp_path):
    where = shutil.copytree(made, tmp_path / "place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(where)
        patch.setenv("XDG_CONFIG_HOME", str(where / "config"))
        yield where


def refuse(text: str) -> None:
    raise AssertionError(text)


def read(text: str) -> dict:
    """Strict JSON in ASCII."""
    assert text.isascii()
    return json.loads(text, parse_constant=refuse)


def told(monkeypatch, *words: str, code: int = 0) -> dict:
    out, err = Screen("ascii"), Screen("utf-8")
    assert run(monkeypatch, [*words, "--json"], out, err) == code, err.text
    return read(out.text)


PAGES = ("report", "watch")
FORMATS = {"run": "narrows-result", "show": "narrows-task"}


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("command", [command for command in CALLS if command not in PAGES])
def test_every_command_but_pages_tells_json_and_nothing_else(command, monkeypatch):
    words, code = CALLS[command]
    values = told(monkeypatch, *words, code=code)
    assert values["format"] == FORMATS.get(command, f"narrows-{command}")
    assert values["version"] == 1


def test_every_command_that_prints_figures_has_json(monkeypatch):
    for command in app.registered_commands:
        out = Screen("utf-8")
        run(monkeypatch, [str(command.name), "--help"], out, Screen("utf-8"))
        assert ("--json" in out.text) is (command.name not in PAGES), command.name


def test_what_is_told_is_what_the_library_knows(place, monkeypatch):
    store = TaskStore.open(place / "løden")
    tasks = told(monkeypatch, "tasks", "løden")
    assert [task["name"] for task in tasks["tasks"]] == list(store.directory.task_names())
    assert tasks["used"] == store.values_kept()
    assert tasks["tasks"][0]["accuracy"] == store.tasks()[0].metrics["validation"]["accuracy"]
    assert tasks["tasks"][0]["validation"] == store.tasks()[0].metrics["validation"]
    shown = told(monkeypatch, "show", "løden", TASK)
    assert shown["data"]["examples"] == 18
    predicted = told(monkeypatch, "predict", "løden", "-t", TASK, "-d", "фото")
    assert len(predicted["columns"]["prediction"]) == predicted["examples"] == 24
    evaluated = told(monkeypatch, "evaluate", "løden", "-d", "фото")
    assert evaluated["tasks"][TASK]["scores"]["examples"] == 24
    assert not told(monkeypatch, "forget", "løden", TASK, "--dry-run")["forgotten"]
    assert told(monkeypatch, "verify", "løden", "--deep")["outputs"][0]["verdict"] == "same"


def test_what_is_damaged_is_told_with_1(place, monkeypatch):
    mask = next((place / "løden/tasks").glob("*/mask.bin"))
    mask.write_bytes(mask.read_bytes()[:-1])
    values = told(monkeypatch, "verify", "løden", code=1)
    assert not values["sound"]
    assert values["problems"][0]["file"].endswith("mask.bin")


@pytest.mark.usefixtures("place")
def test_a_figure_that_is_no_number_is_null(monkeypatch):
    scores = {"examples": 1, "accuracy": math.nan, "log_loss": math.inf, "macro_f1": 1.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("narrows.production.evaluating.scores_of", lambda *_: scores)
        values = told(monkeypatch, "evaluate", "løden", "-t", TASK, "-d", "фото")
    found = values["tasks"][TASK]["scores"]
    assert (found["accuracy"], found["log_loss"], found["macro_f1"]) == (None, None, 1.0)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    "words", [["tasks", "nowhere"], ["evaluate", "løden", "-d", "nowhere"], ["show", "løden", "x"]]
)
def test_an_error_ends_with_1_and_an_empty_standard_output(words, monkeypatch):
    out, err = Screen("utf-8"), Screen("utf-8")
    assert run(monkeypatch, [*words, "--json"], out, err) == 1
    assert out.text == ""
    assert err.text.startswith("error: ")


def test_json_that_is_lost_is_an_error_and_the_task_is_said_to_be_there(place, monkeypatch):
    err = Screen("utf-8")
    assert run(monkeypatch, [*CALLS["learn"][0], "--json"], Failing(errno.ENOSPC), err) == 1
    assert "三 is in løden, whole" in err.text
    assert "error: standard output could not be written (ENOSPC)" in err.text
    assert StoreListing.open(place / "løden").task_names()[-1] == "三"
    assert run(monkeypatch, ["tasks", "løden", "--json"], Failing(errno.EPIPE), Screen("utf-8")) == 0
