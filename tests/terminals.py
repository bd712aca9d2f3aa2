"""Terminals that are hard to write to, and a store to run every command on."""

from __future__ import annotations

import errno
import io
import sys
from pathlib import Path

import shop_data
from narrows.cli import main
from narrows.data import DataOptions
from narrows.methods import IBM
from narrows.production import init, learn, open_store

MODEL = ["--model", "narrows.networks:mlp", "-a", "input_shape=[1,6,6]", "-a", "classes=2", "-a", "hidden=[24]"]
ARGUMENTS = {"input_shape": [1, 6, 6], "classes": 2, "hidden": [24]}
TASK, OTHER = "größe ≈ 二", "it's -n"
QUICK = ["--epochs", "2", "--batch-size", "8", "--density", "0.3"]


def make_shop(where: Path, store: str = "løden", photos: str = "фото", dark: str = "二") -> None:
    """In `where`: a store with two tasks, an empty one, and data; none of the names is plain ASCII."""
    shop_data.images(where / photos, classes=("größer", dark))
    for name in (store, "tom"):
        init(where / name, "narrows.networks:mlp", ARGUMENTS, head="head")
    made = open_store(where / store)
    for task in (TASK, OTHER):
        options = DataOptions(holdout=0.25)
        learn(made, task, str(where / photos), options=options, method=IBM(density=0.3), epochs=2, batch_size=8)


CALLS: dict[str, tuple[list[str], int]] = {
    "init": (["init", "новый", *MODEL], 0),
    "adopt": (["adopt", "tom", "-t", TASK, "-d", "фото", "--epochs", "1", "--density", "0.5"], 0),
    "learn": (["learn", "løden", "-t", "三", "-d", "фото", *QUICK, "--holdout", "0.25"], 0),
    "predict": (["predict", "løden", "-t", TASK, "-d", "фото"], 0),
    "evaluate": (["evaluate", "løden", "-d", "фото", "--at-least", "accuracy=1.5"], 3),
    "route": (["route", "løden", "-d", "фото"], 0),
    "tasks": (["tasks", "løden"], 0),
    "show": (["show", "løden", TASK], 0),
    "forget": (["forget", "løden", OTHER, "--yes"], 0),
    "verify": (["verify", "løden", "--deep"], 0),
    "compact": (["compact", "løden"], 0),
    "recover": (["recover", "løden", "--dry-run"], 0),
    "run": (["run", "split-digits", "--tasks", "1", "--epochs", "1", "--out", "прогон"], 0),
    "streams": (["streams"], 0),
    "methods": (["methods"], 0),
    "report": (["report", "løden", "--out", "отчёт.html", "--no-verify", "--lang", "ja"], 0),
    "watch": (["watch", "løden", "--port", "0"], 130),
    "plan": (["plan", "løden"], 0),
}
"""A typical call of every command, and its exit code; `compare` is in test_terminals."""


class Screen(io.TextIOWrapper):
    """A strict terminal of an encoding."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)

    @property
    def text(self) -> str:
        """What was written."""
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode(self.encoding)


class Failing(io.StringIO):
    """A stream that takes nothing."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def write(self, _: str) -> int:
        raise OSError(self._number, errno.errorcode[self._number])


def run(monkeypatch, words, out, err) -> int:
    """Runs a command in this process upon these streams; what it raises but SystemExit comes out."""
    monkeypatch.setattr(sys, "argv", ["narrows", *map(str, words)])
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        monkeypatch.undo()
    return 0
