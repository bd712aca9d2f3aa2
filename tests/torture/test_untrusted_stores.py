"""A store from somebody else runs no code, starts no process and writes nothing outside itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from attacks import ATTACKS, forge, forge_task
from children import child, limit_memory
from hypothesis import HealthCheck, given, settings
from mutations import edited
from tally import Tally
from torture_store import LEARNING, network, state
from watching import Watch, watched

import narrows as nw
from narrows.errors import NarrowsError, StoreError
from narrows.store import names, recover


@pytest.fixture(scope="module")
def watch(place: Path, prepared: Path) -> Watch:
    """The hook, after everything was done once: what is imported late has been by then."""
    ask_everything(Path(shutil.copytree(prepared, place / "warm")), tolerant=False)
    return Watch()


def ask_everything(root: Path, tolerant: bool = True) -> None:
    """Every operation on the store at `root`, each alone: an error of ours is an answer."""

    def opened() -> nw.TaskStore:
        return nw.TaskStore.open(root, network())

    def learn() -> None:
        store = opened()
        with store.begin("of mine", nw.WSN(density=0.3)) as task:
            task.fit([(torch.ones(4, 4), torch.arange(4) % 3)], nw.Training(1))
            task.commit()

    asks: list[Callable[[], object]] = [
        lambda: nw.TaskStore.open(root).tasks(),
        lambda: state(root),
        *(lambda name=name: opened().load(name) for name in ("root", "middle", "leaf")),
        lambda: nw.TaskStore.open(root).verify(deep=True),
        lambda: opened().checkpoint(LEARNING).load(),
        lambda: opened().checkpoint(LEARNING).save({"step": 3}),
        lambda: opened().checkpoint(LEARNING).drop(),
        lambda: opened().forget("root", dry_run=True),
        lambda: recover(root),
        learn,
        lambda: opened().forget("middle"),
        lambda: opened().compact(),
        lambda: opened().directory.bytes_total(),
    ]
    for ask in asks:
        try:
            ask()
        except NarrowsError:
            if not tolerant:
                raise


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_gets_out(prepared: Path, tmp_path: Path, watch: Watch, attack: str, tally: Tally):
    root, outside = Path(shutil.copytree(prepared, tmp_path / "s")), tmp_path / "outside"
    outside.mkdir()
    ATTACKS[attack](root, outside)
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}

    def work() -> None:
        signal.alarm(20)
        limit_memory(1 << 30)
        with watched(watch, root):
            ask_everything(root)

    with tally.fault("hostile store, every operation", attack):
        assert child(work) == 0
        assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before
        assert {path.name for path in tmp_path.iterdir()} == {"s", "outside"}


def test_the_watch_sees(tmp_path: Path, watch: Watch):
    """Else the tests above would show nothing."""
    with watched(watch, tmp_path):
        (tmp_path / "mine").write_text("inside")
    for act in (
        lambda: (tmp_path.parent / "not mine").write_text("outside"),
        lambda: os.mkdir(tmp_path.parent / "folder"),
        lambda: exec("1"),
        lambda: os.system("true"),
    ):
        with pytest.raises(AssertionError), watched(watch, tmp_path):
            act()


def test_a_sound_store_needs_nothing_of_that(prepared: Path, tmp_path: Path, watch: Watch):
    root = Path(shutil.copytree(prepared, tmp_path / "s"))
    with watched(watch, root):
        ask_everything(root, tolerant=False)
    assert nw.TaskStore.open(root).verify(deep=True) == []


@pytest.mark.parametrize("part", names.PARTS)
def test_a_link_in_the_place_of_a_part_is_refused_for_writing(prepared: Path, tmp_path: Path, part: str):
    root = Path(shutil.copytree(prepared, tmp_path / "s"))
    outside = tmp_path / "outside"
    if (root / part).exists():
        shutil.move(root / part, outside)
    (root / part).symlink_to(outside)
    with pytest.raises(StoreError, match="symbolic link"):
        nw.TaskStore.open(root).directory.lock()


def questions(root: Path) -> None:
    """What asks a forged store for most of its fields. Lets through whatever is no NarrowsError."""
    asks: list[Callable[[nw.TaskStore], object]] = [
        lambda store: store.tasks(),
        lambda store: store.verify(deep=True),
        lambda store: store.values_kept(),
        *(lambda store, name=name: store.load(name) for name in ("root", "leaf")),
        *(lambda store, name=name: store.explain(name) for name in ("root", "leaf")),
        *(lambda store, name=name: store.forget(name, dry_run=True) for name in ("root", "leaf")),
        _begin_and_abandon,
    ]
    for ask in asks:
        with suppress(NarrowsError):
            ask(nw.TaskStore.open(root, network()))


def _begin_and_abandon(store: nw.TaskStore) -> None:
    with store.begin("of mine", nw.WSN(density=0.3)):
        pass


@pytest.mark.parametrize("file", ["store.json", "task.json"])
def test_any_field_forged(prepared: Path, tmp_path: Path, file: str, tally: Tally, long: bool):
    root = Path(shutil.copytree(prepared, tmp_path / "s"))
    forgery = forge if file == "store.json" else forge_task
    kept = {path: path.read_bytes() for path in (root / "store.json", root / "tasks/0000-root/task.json")}
    sound = json.loads((root / file if file == "store.json" else root / "tasks/0000-root/task.json").read_bytes())
    sound.pop("sha256", None)

    @settings(
        max_examples=2000 if long else 12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(edited(sound))
    def lie(values: Any) -> None:
        if not isinstance(values, dict):
            return
        for path, data in kept.items():
            path.write_bytes(data)

        def replace(found: dict[str, Any]) -> None:
            found.clear()
            found.update(values)

        with tally.fault("hostile store, every operation", f"{file}: any field forged"):
            forgery(root, replace)
            questions(root)

    lie()
