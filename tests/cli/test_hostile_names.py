"""What a store, a file or a folder calls things is shown, and does nothing to the terminal, by every command."""

from __future__ import annotations

import unicodedata

import pytest
import torch
from torch import nn

import narrows as nw
import shop_data
import terminals
from narrows.data import DataOptions
from narrows.production import learn

EVIL = "[/nope]\x1b]0;owned\x07\u202e:fire:"
SEEN = r"[/nope]\x1b]0;owned\x07\u202e:fire:"
FORGED = "x\nsound: all is well"


class Method(nw.IBM):
    """One of somebody's own."""

    name = EVIL


class Net(nn.Module):
    """With a layer of a hostile name."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module(EVIL, nn.Linear(36, 8))
        self.head = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 1, 6, 6) to (n, 2)."""
        return self.head(getattr(self, EVIL)(x.flatten(1)).relu())


@pytest.fixture
def place(tmp_path, monkeypatch):
    """In it: a shop whose data have hostile names, and a store of a program that gives hostile names to all it can."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shop_data.images(tmp_path / "photos", classes=(EVIL.replace("/", ""), FORGED))
    terminals.init("shop", "narrows.networks:mlp", terminals.ARGUMENTS, head="head")
    made = terminals.open_store("shop")
    for name in ("[/nope]", ":fire: x"):
        options, method = DataOptions(holdout=0.25), nw.IBM(density=0.3)
        learn(made, name, "photos", options=options, method=method, epochs=1, batch_size=8)
    store = nw.TaskStore.create("own", Net(), head="head")
    with store.begin("[/nope]", Method(density=0.5), head=nn.Linear(8, 2)) as task:
        task.fit([(torch.randn(8, 1, 6, 6), torch.arange(8) % 2)], nw.Training(4), progress=False)
        task.commit(metrics={EVIL: {FORGED: 1.0, "x": EVIL}}, data={EVIL: FORGED, "file": EVIL})
    return monkeypatch


CALLS = {
    "tasks": ["tasks", "own"],
    "show": ["show", "own", "[/nope]"],
    "show a task of data": ["show", "shop", "[/nope]"],
    "verify": ["verify", "own"],
    "forget": ["forget", "own", "[/nope]", "--dry-run"],
    "plan": ["plan", "own"],
    "predict": ["predict", "shop", "-t", "[/nope]", "-d", "photos"],
    "evaluate": ["evaluate", "shop", "-d", "photos"],
    "route": ["route", "shop", "-d", "photos"],
    "learn": ["learn", "shop", "-t", ":fire:", "-d", "photos", *terminals.QUICK],
    "nothing": ["show", "own", EVIL],
    "refused": ["learn", EVIL, "-t", "a", "-d", "photos"],
}


@pytest.mark.parametrize("call", CALLS)
def test_no_name_does_anything_to_the_terminal(call, place):
    place.setenv("COLUMNS", "300")
    out, err = terminals.Screen("utf-8"), terminals.Screen("utf-8")
    code = terminals.run(place, CALLS[call], out, err)
    said = out.text + err.text
    assert code == (1 if call in ("nothing", "refused") else 0), said
    signs = {sign for sign in said if unicodedata.category(sign) in ("Cc", "Cf")}
    assert signs <= {"\n"}, said
    assert not any(line.lstrip().startswith("sound: all is well") for line in said.splitlines())
    assert "\N{FIRE}" not in said
    if call in ("show", "tasks", "refused", "predict", "evaluate"):
        assert SEEN in said or SEEN.replace("/", "") in said
