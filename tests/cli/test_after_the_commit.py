"""Whatever comes after a commit, it is said that the task is in the store."""

from __future__ import annotations

import pytest

import shop_data
from narrows.cli import learn as learning
from narrows.production import init, learn, open_store
from narrows.store.listing import StoreListing
from narrows.trackers import LiveFile
from terminals import ARGUMENTS, Screen, run


@pytest.fixture
def shop(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        patch.chdir(tmp_path)
        shop_data.images(tmp_path / "photos")
        init(tmp_path / "shop", "narrows.networks:mlp", ARGUMENTS, head="head")
        yield tmp_path / "shop"


WORDS = ["learn", "shop", "-t", "light", "-d", "photos", "--epochs", "2"]


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def broken(*_: object) -> None:
    raise RuntimeError("a fault of our own")


def test_ctrl_c_while_trackers_are_told(shop, monkeypatch):
    err = Screen("utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LiveFile, "end", interrupted)
        assert run(monkeypatch, WORDS, Screen("utf-8"), err) == 130
    assert "light is in shop, whole: it need not be learned again." in err.text
    assert "Stopped" not in err.text
    assert StoreListing.open(shop).task_names() == ("light",)


def test_ctrl_c_while_it_is_printed(shop, monkeypatch):
    err = Screen("utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "_print_cost", interrupted)
        assert run(monkeypatch, WORDS, Screen("utf-8"), err) == 130
    assert "light is in shop, whole" in err.text
    assert StoreListing.open(shop).task_names() == ("light",)


def test_a_fault_of_our_own(shop, monkeypatch):
    err = Screen("utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "_print_cost", broken)
        with pytest.raises(RuntimeError, match="a fault of our own"):
            run(monkeypatch, WORDS, Screen("utf-8"), err)
    assert "light is in shop, whole" in err.text
    assert StoreListing.open(shop).task_names() == ("light",)


@pytest.mark.usefixtures("shop")
def test_a_task_that_was_there_before_is_not_said_to_be_new(monkeypatch):
    assert run(monkeypatch, WORDS, Screen("utf-8"), Screen("utf-8")) == 0
    err = Screen("utf-8")
    assert run(monkeypatch, WORDS, Screen("utf-8"), err) == 1
    assert "whole" not in err.text


@pytest.mark.usefixtures("shop")
def test_forgetting_that_is_interrupted_says_what_became_of_the_task(monkeypatch):
    assert run(monkeypatch, WORDS, Screen("utf-8"), Screen("utf-8")) == 0
    err = Screen("utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("narrows.store.checkpoint_file.CheckpointFile.drop", interrupted)
        assert run(monkeypatch, ["forget", "shop", "light", "--yes"], Screen("utf-8"), err) == 130
    assert "light is forgotten." in err.text


def test_a_library_that_is_interrupted_after_the_commit_says_so(shop):
    store = open_store(shop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LiveFile, "end", interrupted)
        with pytest.raises(KeyboardInterrupt) as caught:
            learn(store, "light", "photos", epochs=2)
    assert caught.value.__notes__ == ["Task 'light' is in the store all the same: it was committed before this."]
