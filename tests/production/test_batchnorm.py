"""A network with BatchNorm, as `learn` trains it: batches of one, and layers its factory froze."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from narrows.errors import DataError
from narrows.methods import IBM
from narrows.production import init, learn
from narrows.tasks import TaskStore

FACTORY = """
from torch import nn
def net(frozen=False):
    model = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    if frozen:
        model[1].eval()
    return model
"""


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """33 rows, and a factory of networks beside them."""
    (tmp_path / "norm_net.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "norm_net", raising=False)
    (tmp_path / "x.csv").write_text("a,b,label\n" + "\n".join(f"{i % 5},{i % 7}.5,{'xy'[i % 2]}" for i in range(33)))
    return tmp_path


def made(rows: Path, **arguments: object) -> TaskStore:
    return init(rows / "s", "norm_net:net", arguments, head="3")


def test_a_batch_of_one_is_refused_in_words_and_nothing_is_kept(rows: Path) -> None:
    store = made(rows)
    with pytest.raises(DataError, match=r"one example cannot train BatchNorm.*--batch-size"):
        learn(store, "one", rows / "x.csv", batch_size=1, epochs=2, method=IBM(density=0.3))
    assert store.tasks() == ()
    assert learn(store, "one", rows / "x.csv", batch_size=8, epochs=2, method=IBM(density=0.3)).fit.steps == 8


def test_an_example_that_is_left_over_is_said_to_be(rows: Path) -> None:
    store = made(rows)
    notes = {
        size: learn(store, f"by {size}", rows / "x.csv", batch_size=size, epochs=2, method=IBM(density=0.3)).notes
        for size in (8, 5)
    }
    assert "33 examples leave one over batches of 8: each epoch does without one, another each time" in notes[8]
    assert not any("leave one over" in note for note in notes[5])


@pytest.mark.parametrize("frozen", [True, False])
def test_a_layer_that_the_factory_froze_stays_frozen(rows: Path, frozen: bool) -> None:
    store = made(rows, frozen=frozen)
    learn(store, "one", rows / "x.csv", batch_size=8, epochs=2, method=IBM(density=0.3))
    norm = store.load("one")[1]
    assert int(norm.num_batches_tracked) == (0 if frozen else 8)
    assert torch.equal(norm.running_mean, torch.zeros(8)) is frozen
