"""Any value of any record forged: every command that reads ends in seconds, within memory, with our own error."""

from __future__ import annotations

import itertools
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asking
import forgeries
import pytest
from children import child, limit_memory
from forgeries import Record
from tally import Tally

MEMORY = 1 << 30
"""Bytes that a command may ask for beside what this process has."""
NAMES = (
    *("store.json", "task.json, images", "task.json, a table", "result.json", "compare.json", "grid.json"),
    *("live.jsonl", "more.live.jsonl"),
)
FOUND: list[tuple[str, forgeries.Steps, Any, str]] = [  # what ended in a traceback once
    ("result.json", ("tasks", 1, "claimed"), 10**400, "plan"),
    ("compare.json", ("rows", 0, "figures", "seconds", "mean"), 10**400, "plan"),
    ("grid.json", ("worker",), forgeries.GONE, "compare"),
]
EACH = 10
"""So manieth forgery is shown to those that are slow, which make a page."""
SLOW = ("report", "report --no-verify", "report of the file", "watch")


@pytest.fixture(scope="module")
def here(place: Path, world: Path) -> Iterator[Path]:
    """A copy of the folder to be harmed, which is the current directory."""
    made, former = place / "forged", Path.cwd()
    shutil.copytree(world, made)
    os.chdir(made)
    yield made
    os.chdir(former)


def put_back(here: Path, world: Path, record: Record) -> None:
    """All that the record's readers may have written, or that was forged."""
    part = Path(record.file).parts[0]
    shutil.rmtree(here / part, ignore_errors=True)
    shutil.copytree(world / part, here / part)


def forgeries_of(record: Record, sound: Any, long: bool) -> list[tuple[forgeries.Steps, Any]]:
    """Ways and values, always the same ones: in the long form each way, and each value in its turn."""
    chance = random.Random(record.name)
    ways = list(forgeries.steps(sound))
    chance.shuffle(ways)
    values = itertools.cycle(chance.sample(forgeries.VALUES, len(forgeries.VALUES)))
    pairs = [(way, next(values)) for way in ways]
    return pairs if long else pairs[:4]


@pytest.mark.parametrize(("name", "way", "value", "what"), FOUND, ids=[name for name, *_ in FOUND])
def test_what_broke_a_command_once(
    name: str, way: forgeries.Steps, value: Any, what: str, here: Path, world: Path, tally: Tally
):
    (record,) = [record for record in forgeries.records(world) if record.name == name]
    record.put(here / record.file, forgeries.forged(record.read(here / record.file), way, value))
    with tally.fault(f"forged {name}", "found before"):
        asking.ask(record.asks[what])
    put_back(here, world, record)


def is_asked(what: str, place: int, turn: int, long: bool) -> bool:
    """Whether a command, the `place`-th of its record's, reads the `turn`-th forgery."""
    if what in SLOW:
        return long and turn % EACH == 0
    return long or (place + turn) % 4 == 0


@pytest.mark.parametrize("name", NAMES)
def test_any_value_forged(name: str, here: Path, world: Path, tally: Tally, long: bool):
    for record in forgeries.records(world):
        if not record.name.startswith(name):
            continue
        sound = record.read(here / record.file)
        for turn, (way, value) in enumerate(forgeries_of(record, sound, long)):
            asks = {
                what: ask for place, (what, ask) in enumerate(record.asks.items()) if is_asked(what, place, turn, long)
            }

            def work(record=record, way=way, value=value, sound=sound, asks=asks) -> None:
                for what, ask in asks.items():
                    put_back(here, world, record)
                    record.put(here / record.file, forgeries.forged(sound, way, value))
                    with told(record, way, value, what):
                        assert asking.ask(ask) < asking.SECONDS

            def limited(work=work) -> None:
                limit_memory(MEMORY)
                work()

            with tally.fault(f"forged {name}", "any value, every command", len(asks)):
                if long:
                    assert child(limited) == 0, (record.name, way, value)
                else:
                    work()
        put_back(here, world, record)


@contextmanager
def told(record: Record, way: forgeries.Steps, value: Any, what: str) -> Iterator[None]:
    """Adds to what is raised within what was forged and who read it."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"{record.name}: {value!r:.100} at {way} ended `{what}`")
        raise
