"""SIGKILL at any moment of any command that writes: nothing is lost or half, and the same command goes on."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest
from children import RUNNING, start, wait
from commands import IDLE, READING, WRITING, Stage
from tally import Tally
from torture_store import LONG

from narrows.cli.app import app

SLOW = {"compare": 6, "report": 15, "run": 40}
"""How often commands are killed that take seconds: in the long form only."""


def test_every_command_is_tried():
    assert {*WRITING, *READING, *IDLE} == {command.name for command in app.registered_commands}


@pytest.mark.parametrize("name", [name for name in WRITING if LONG or name not in SLOW])
def test_killed_at_any_moment(name: str, world: Path, place: Path, tally: Tally, long: bool):
    """Of a process, and now and then of all that it started."""
    stage, chance = Stage(name, place / f"killed {name}", world), random.Random(name)
    whole = 10.0  # until it has been done once, unharmed
    for turn in range(-1, SLOW.get(name, 60) if long else 2):
        stage.fresh()
        started = time.monotonic()
        pid = begin(stage)
        alone = bool(turn % 3)
        if turn >= 0:
            time.sleep(whole * chance.random())
            with contextlib.suppress(ProcessLookupError):
                (os.kill if alone else os.killpg)(pid, signal.SIGKILL)
        if wait(pid) == 0:
            whole = min(whole, time.monotonic() - started)
            continue
        with tally.fault(f"narrows {name}", "SIGKILL at any moment"):
            if alone:
                end_group(pid)
            stage.check()


def begin(stage: Stage) -> int:
    """The command in a process that leads a session of its own, so that all that it starts can be ended with it."""

    def work() -> None:
        os.setsid()
        os.chdir(stage.here)
        assert stage.act() == 0

    pid = start(work)
    assert pid in RUNNING
    while os.getpgid(pid) != pid:
        time.sleep(0.0005)
    return pid


def end_group(pid: int) -> None:
    """What a killed process started ends by itself; it is waited for, else it would write beside the next."""
    until = time.monotonic() + 30
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < until:
            os.killpg(pid, 0)
            time.sleep(0.01)
        raise AssertionError("what the command started goes on without it")
