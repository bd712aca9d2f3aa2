"""What pages are made of in these tests: a store with two small tasks that were measured."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

import narrows as nw


@pytest.fixture(scope="session")
def sold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks; the second has validation scores."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    store = nw.TaskStore.create(tmp_path_factory.mktemp("shop") / "store", model, head="2")
    x = torch.randn(48, 6)
    for place, name in enumerate(("returns", "sizes")):
        with store.begin(name, nw.IBM(density=0.3), head=nn.Linear(12, 3)) as task:
            task.fit([(x, (x[:, place] > 0).long() + (x[:, 3] > 1).long())], nw.Training(25), progress=False)
            scores = {"examples": 48, "accuracy": 0.875, "log_loss": 0.25, "macro_f1": 0.8}
            task.commit(metrics={"validation": scores} if place else None)
    return store.path


@pytest.fixture
def shop(sold: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of it to do with as one likes."""
    return Path(shutil.copytree(sold, tmp_path_factory.mktemp("copy") / "store"))
