"""Every command that reads, asked in this process: it must end soon, with success or an error of our own."""

from __future__ import annotations

import contextlib
import io
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal
from unittest import mock

import typer

import grids
import shop_data
import terminals
from narrows.cli import app as commands
from narrows.errors import NarrowsError

Ask = Callable[[], object]
SECONDS = 20
"""Of a processor, for one command on some kilobytes."""

QUICK = ["--epochs", "2", "--batch-size", "16", "--set", "density=0.3"]
RUN = ["run", "split-digits", "--tasks", "2", "--epochs", "1", "--out", "run"]
TABLE = ["-a", "input_shape=[4]", "-a", "classes=2", "-a", "hidden=[8]"]

COMMAND = typer.main.get_command(commands.app)
"""All commands, put together once: typer does so at every call, which takes longer than most of them."""


def make_world(where: Path) -> Path:
    """In `where`: two stores, one of images and one of a table, a run, a grid with made-up results, and data."""
    where.mkdir()
    shop_data.images(where / "photos")
    shop_data.table(where / "deals.csv")
    with contextlib.chdir(where):
        for words in (
            ["init", "shop", *terminals.MODEL],
            ["learn", "shop", "-t", "light", "-d", "photos", "--holdout", "0.25", *QUICK],
            ["learn", "shop", "-t", "dark", "-d", "photos", *QUICK],
            ["init", "desk", "--model", "narrows.networks:mlp", *TABLE],
            ["learn", "desk", "-t", "deals", "-d", "deals.csv", "--target", "label", "--holdout", "0.25", *QUICK],
            RUN,
        ):
            assert command(words)() == 0, words
        grids.Shop().run(Path("grid"))
        for file in (Path("run/live.jsonl"), Path("shop/progress/more.live.jsonl")):
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(Path("run/live.jsonl").read_bytes())
    return where


def command(words: Iterable[str]) -> Callable[[], int]:
    """A call of narrows in this process, which gives its exit code. What is raised otherwise is let through."""
    words = list(words)

    def ask() -> int:
        sink = io.StringIO()
        with (
            mock.patch.object(sys, "argv", ["narrows", *words]),
            mock.patch.object(commands, "app", COMMAND),
            contextlib.redirect_stdout(sink),
            contextlib.redirect_stderr(sink),
        ):
            try:
                commands.main()
            except SystemExit as end:
                code = int(end.code or 0)
            else:
                code = 0
        if code:
            sys.stdout.write(sink.getvalue())  # pytest shows it of a test that fails
        return code

    return ask


def look(path: str) -> Ask:
    """What `narrows watch` shows of a folder, without its server."""

    def ask() -> None:
        from narrows.report.follow import Follower

        with contextlib.suppress(NarrowsError):
            Follower(Path(path)).look()

    return ask


def at_work(kind: Literal["run", "store"], path: str) -> Ask:
    """The section of that page that is made of what is under way."""

    def ask() -> None:
        from narrows.analysis.underway import under_way
        from narrows.report.sections.live import live
        from narrows.report.texts import Texts

        with contextlib.suppress(NarrowsError):
            live(under_way(kind, Path(path)), Texts("en"))

    return ask


def go_on() -> None:
    """The grid again, with made-up results: it reads what is there first."""
    with contextlib.suppress(NarrowsError):
        grids.Shop().run(Path("grid"))


def of_store(store: str, task: str, data: str) -> dict[str, Ask]:
    """Every command that reads a store, and those that write one up to what they would change."""
    on = [store, "-d", data]
    calls = {
        "tasks": ["tasks", store],
        "tasks --json": ["tasks", store, "--json"],
        "show": ["show", store, task],
        "show --json": ["show", store, task, "--json"],
        "verify --deep": ["verify", store, "--deep"],
        "predict": ["predict", *on, "-t", task],
        "predict --out": ["predict", *on, "-t", task, "--out", "out.csv"],
        "evaluate": ["evaluate", *on],
        "route": ["route", *on],
        "forget --dry-run": ["forget", store, task, "--dry-run"],
        "recover --dry-run": ["recover", store, "--dry-run"],
        "plan": ["plan", store],
        "report": ["report", store, "--out", "out.html"],
        "report --no-verify": ["report", store, "--out", "out.html", "--no-verify", "--lang", "ja"],
        "compact": ["compact", store],
        "learn": ["learn", store, "-t", "more", "-d", data, *QUICK],
    }
    asks = {name: command(words) for name, words in calls.items()}
    return {**asks, "the library": library(store, task), "watch": look(store)}


def library(path: str, task: str) -> Ask:
    """What a program asks a store for."""

    def ask() -> None:
        from narrows import TaskStore
        from narrows.analysis.capacity import capacity
        from narrows.analysis.forecast import forecast
        from narrows.store.reader import StoreReader
        from narrows.tasks.account import figures_of
        from narrows.training import read_history

        asked: list[Callable[[TaskStore], object]] = [
            lambda store: store.explain(task),
            lambda store: store.values_kept(),
            lambda store: [figures_of(record) for record in store.tasks()],
            lambda store: [read_history(record.history) for record in store.tasks() if record.history is not None],
            lambda store: store.checkpoint("more").load(),
            lambda _: forecast(capacity(StoreReader.open(path))),
        ]
        for one in asked:
            with contextlib.suppress(NarrowsError):
                one(TaskStore.open(path))

    return ask


RESULT: dict[str, Ask] = {
    "report": command(["report", "run", "--out", "out.html", "--no-verify"]),
    "report of the file": command(["report", "run/result.json", "--out", "out.html"]),
    "plan": command(["plan", "run"]),
    "plan --json": command(["plan", "run/result.json", "--json"]),
    "watch": look("run"),
    "run": command(RUN),
}
GRID: dict[str, Ask] = {
    "report": command(["report", "grid", "--out", "out.html", "--lang", "ja"]),
    "plan": command(["plan", "grid"]),
    "watch": look("grid"),
}
FOLDER: dict[str, Ask] = {**GRID, "compare": go_on}
LIVE: dict[str, Ask] = {
    "under way": at_work("run", "run"),
    "under way, a store": at_work("store", "shop"),
    "watch": look("run"),
    "tasks": command(["tasks", "shop"]),
}


def ask(question: Ask) -> float:
    """The seconds of a processor that it took. Lets through what is raised; a warning is none of our business here."""
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        question()
    return time.process_time() - started
