"""Next month, in a new process: older tasks are read to the last bit, and another is learned beside them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

import narrows as nw
from toys import METHODS, TOYS, files, learn, logits, same, state

PROGRAM = """
import sys
import torch
from toys import METHODS, TOYS, learn, logits, state
import narrows as nw

torch.manual_seed(99)
store = nw.TaskStore.open(sys.argv[1], TOYS["grouped"].make(seed=123))
x, _ = TOYS["grouped"].batch(6, 3, seed=5)
seen = {name: (state(store.load(name)), logits(store.load(name), x)) for name in store.directory.task_names()}
for key, toy in METHODS.items():
    if key in ("laplace", "wsn"):
        learn(store, "late " + key, toy, TOYS["grouped"], classes=4)
torch.save(seen, sys.argv[2])
"""


def test_a_store_goes_on_in_another_process(tmp_path: Path) -> None:
    toy = TOYS["grouped"]
    store = nw.TaskStore.create(tmp_path / "store", toy.make(), head=toy.place)
    names = ["laplace", "multiplicative", "wsn", "independent"]
    for name in names:
        learn(store, name, METHODS[name], toy)
    x, _ = toy.batch(6, 3, seed=5)
    here = {name: (state(store.load(name)), logits(store.load(name), x)) for name in names}
    before = files(store.path / "tasks")
    where = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(where), "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(store.path), str(tmp_path / "seen")]
    subprocess.run(command, check=True, env=environment, timeout=60)
    there = torch.load(tmp_path / "seen", weights_only=True)
    assert [record.name for record in nw.TaskStore.open(store.path).tasks()] == [*names, "late laplace", "late wsn"]
    assert before.items() <= files(store.path / "tasks").items()
    again = nw.TaskStore.open(store.path, toy.make(seed=321))
    for name in names:
        for found in (there[name], (state(again.load(name)), logits(again.load(name), x))):
            assert same(found[0], here[name][0])
            assert torch.equal(found[1], here[name][1])
    assert again.verify(deep=True) == []
