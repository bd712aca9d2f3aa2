"""Commands that write, each on a fresh copy of the same folder: what is seen there before, after, and after harm."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asking
from fuzz_targets import seal

import terminals
from narrows.tasks import TaskStore

STORES = ("shop", "desk", "worn", "new", "run/store", "ran/store")
OUT = ("p.csv", "page.html", "plan.json", "ran/accuracy.svg")
SMALL = ["--tasks", "2", "--epochs", "1"]
PHOTOS = ["-d", "photos", "--epochs", "2", "--batch-size", "8"]


def _leftovers(_: Path) -> None:
    for file in (Path("shop/tasks/.new-0099-killed/mask.bin"), Path("shop/progress/light-0123456789abcdef.ckpt.tmp")):
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_bytes(b"half")


def _older(world: Path) -> None:
    """The store.json from before the second task was learned."""
    shutil.copyfile(world / "older.json", "shop/store.json")


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Attributes:
        ready: called first, in the folder's copy, with the folder itself.
        done: what the same command says where all is done already: 1 where that is an error.
    """

    words: list[str]
    done: int = 0
    ready: Callable[[Path], None] = lambda _: None


WRITING: dict[str, Command] = {
    "init": Command(["init", "new", *terminals.MODEL], done=1),
    "learn": Command(["learn", "shop", "-t", "third", *PHOTOS, "--set", "density=0.3", "--holdout", "0.25"], done=1),
    "adopt": Command(["adopt", "worn", "-t", "first", *PHOTOS, "--density", "0.5"], done=1),
    "forget": Command(["forget", "shop", "light", "--yes"], done=1),
    "compact": Command(["compact", "shop"], ready=_leftovers),
    "recover": Command(["recover", "shop", "--yes"], ready=_older),
    "predict": Command(["predict", "shop", "-t", "light", "-d", "photos", "--out", "p.csv"]),
    "report": Command(["report", "shop", "--out", "page.html", "--data", "light=photos"]),
    "plan": Command(["plan", "shop", "--json", "--out", "plan.json"]),
    "run": Command(["run", "split-digits", *SMALL, "--out", "ran"]),
    "compare": Command(
        ["compare", "split-digits", "-m", "finetune", "--seeds", "1", "--tune", "0", *SMALL, "--out", "compared"]
    ),
}
READING: dict[str, list[str]] = {
    "tasks": ["tasks", "shop"],
    "show": ["show", "shop", "light"],
    "verify": ["verify", "shop", "--deep"],
    "evaluate": ["evaluate", "shop", "-d", "photos"],
    "route": ["route", "shop", "-d", "photos"],
}
IDLE = ("streams", "methods", "watch")
"""Commands that read nothing, or never end."""


def make_world(where: Path) -> Path:
    """`asking.make_world`, with a store that has trained weights and what `_older` puts back."""
    asking.make_world(where)
    with contextlib.chdir(where):
        assert asking.command(["init", "worn", *terminals.MODEL])() == 0
        shutil.copytree("shop", "lost")
        assert asking.command(["forget", "lost", "dark", "--yes"])() == 0
        header = json.loads(Path("lost/store.json").read_bytes())
        del header["removing"], header["replaces"], header["sha256"]
        header["next_index"] = 1
        Path("older.json").write_bytes(seal(json.dumps(header, indent=1).encode()))
        shutil.rmtree("lost")
    return where


@dataclass
class Stage:
    """Where a command is harmed again and again: each time in a fresh copy of the same folder."""

    name: str
    here: Path
    world: Path
    old: dict[str, Any] = field(init=False)
    new: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.command = WRITING[self.name] if self.name in WRITING else Command(READING[self.name])
        self.act = asking.command(self.command.words)
        self.fresh()
        self.old = seen(self.here)
        with contextlib.chdir(self.here):
            assert self.act() == 0
        self.new = seen(self.here)
        assert (self.old == self.new) == (self.name == "compact" or self.name in READING)

    def fresh(self) -> None:
        """A fresh copy of the folder, all ready for the command."""
        shutil.rmtree(self.here, ignore_errors=True)
        shutil.copytree(self.world, self.here)
        with contextlib.chdir(self.here):
            self.command.ready(self.world)

    def check(self) -> None:
        """Nothing that was there is lost or half, nothing half is there, and the same command again does the rest."""
        found = seen(self.here)
        for key, value in found.items():
            assert value in (self.old[key], self.new[key]) or _between(key, value, self.old[key], self.new[key]), key
        with contextlib.chdir(self.here):
            code = self.act()
        assert code == 0 or (code == self.command.done and found == self.new), (code, found)
        assert seen(self.here) == self.new


def seen(here: Path) -> dict[str, Any]:
    """What is there: the tasks of each store, sound to the last bit, files that were asked for, and figures."""
    found: dict[str, Any] = {store: _tasks(here / store) for store in STORES}
    found |= {file: _whole(here / file) for file in OUT}
    result = here / "ran/result.json"
    found["result"] = json.loads(result.read_bytes())["R"] if result.exists() else None
    compared = here / "compared/compare.json"
    rows = json.loads(compared.read_bytes())["rows"] if compared.exists() else []
    found["compared"] = [row["figures"]["ACC"] for row in rows]
    return found


def _tasks(path: Path) -> dict[str, str] | None:
    if not (path / "store.json").exists():
        return None
    store = TaskStore.open(path)
    harmful = [problem for problem in store.verify(deep=True) if not problem.harmless]
    assert all(problem.remedy.startswith("`narrows recover") for problem in harmful), harmful
    return {record.name: record.weights_sha256 for record in store.tasks()}


def _whole(file: Path) -> str | None:
    """What a file is, but for what another run would write otherwise: None where there is none."""
    if not file.exists():
        return None
    data = file.read_bytes()
    if file.suffix == ".json":
        json.loads(data)
        return "JSON"
    if file.suffix in (".html", ".svg"):
        assert data.rstrip().endswith((b"</html>", b"</svg>"))
        return "a page"
    return hashlib.sha256(data).hexdigest()


def _between(key: str, value: Any, old: Any, new: Any) -> bool:
    """Whether a run, which commits one task after another, is on its way."""
    if key == "ran/store" and value is not None:
        return value.items() <= new.items() and (old or {}).items() <= value.items()
    if key == "compared":
        return True  # the figures of those that are done, each time anew; the last are compared
    if key != "result" or value is None:
        return False
    pairs = [pair for row, last in zip(value, new, strict=False) for pair in zip(row, last, strict=False)]
    return len(value) <= len(new) and all(entry in (None, last) for entry, last in pairs)
