"""No weight is chosen without evidence: backbones frozen at first, branches that are not used, layers that join late."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

import narrows as nw
from checkpoints import Memory, stop_at
from narrows.errors import ConfigError, ModelMismatchError, OptimizerError
from narrows.methods import Plan
from narrows.methods.information import FisherAverage
from toys import MLP, TOYS, weights

STEPS = 240
GRADIENT_SCORED: dict[str, nw.Method] = {
    "laplace": nw.IBM(density=0.1),
    "price": nw.IBM(beta=1e-4),
    "multiplicative": nw.IBM(density=0.1, estimator="variational"),
    "additive": nw.IBM(density=0.1, estimator="variational", gates="additive"),
    "magnitude-ib": nw.Magnitude(density=0.1, score="ib"),
    "packnet-ib": nw.PackNet(keep=0.1, score="ib"),
}
DRAWN: dict[str, nw.Method] = {
    "wsn": nw.WSN(density=0.2),
    "wsn-gradual": nw.WSN(density=0.2, schedule="gradual"),
    "wsn-ib": nw.WSN(density=0.2, score="ib"),
    "supsup": nw.SupSup(),
    "hat": nw.HAT(),
}


class Net(nn.Module):
    """Digits; a backbone, a layer after it, and a branch that the forward may leave out."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
        self.branch = nn.Linear(48, 48)
        self.top = nn.Linear(48, 48)
        self.head = nn.Linear(48, 10)
        self.detached, self.branched = False, True

    def forward(self, x: Tensor) -> Tensor:
        x = self.backbone(x)
        x = x.detach() if self.detached else x
        x = x + torch.relu(self.branch(x)) if self.branched else x
        return self.head(torch.relu(self.top(x)))


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    found = load_digits()
    return torch.tensor(found.data).float() / 16, torch.tensor(found.target)


Freeze = Callable[[nw.Task, torch.optim.Optimizer, bool], None]


def toggled(task: nw.Task, optimizer: torch.optim.Optimizer, frozen: bool) -> None:
    task.model.backbone.requires_grad_(not frozen)


def detached(task: nw.Task, optimizer: torch.optim.Optimizer, frozen: bool) -> None:
    task.model.detached = frozen


def no_gradients(task: nw.Task, optimizer: torch.optim.Optimizer, frozen: bool) -> None:
    for param in task.model.backbone.parameters():
        param.grad = None if frozen else param.grad


def zero_gradients(task: nw.Task, optimizer: torch.optim.Optimizer, frozen: bool) -> None:
    for param in task.model.backbone.parameters():
        param.grad.mul_(0 if frozen else 1)


def no_rate(task: nw.Task, optimizer: torch.optim.Optimizer, frozen: bool) -> None:
    optimizer.param_groups[0]["lr"] = 0.0 if frozen else 6e-3


BEFORE_FORWARD = {"toggled": toggled, "detached": detached, "no rate": no_rate}
BEFORE_STEP = {"no gradients": no_gradients, "zero gradients": zero_gradients}


def trained(
    path: Path, method: nw.Method, data: tuple[Tensor, Tensor], freeze: str = "", until: int = 0, net: Any = None
) -> tuple[float, Any]:
    """Accuracy on other digits of the task as it is loaded, and its record."""
    torch.manual_seed(0)
    store = nw.TaskStore.create(path / "store", Net() if net is None else net)
    x, y = data
    with store.begin("t", method, head=("head", nn.Linear(48, 10))) as task:
        groups: Any = None
        if freeze == "no rate":
            rest = [param for name, param in task.model.named_parameters() if not name.startswith("backbone")]
            groups = [{"params": list(task.model.backbone.parameters())}, {"params": rest}]
        if freeze == "toggled":
            task.model.backbone.requires_grad_(False)
        plan = {"total_steps": STEPS, "examples": 1000, "batch_size": 64}
        optimizer = task.optimizer(torch.optim.Adam, groups, lr=6e-3, **plan)
        for step in range(STEPS):
            rows = torch.randint(1000, (64,))
            if freeze in BEFORE_FORWARD:
                BEFORE_FORWARD[freeze](task, optimizer, step < until)
            with task.sample():
                F.cross_entropy(task.model(x[rows]), y[rows]).backward()
            if freeze in BEFORE_STEP:
                BEFORE_STEP[freeze](task, optimizer, step < until)
            optimizer.step()
            optimizer.zero_grad()
        record = task.commit()
    loaded = store.load("t")
    loaded.detached = False
    return float((loaded(x[1000:]).argmax(1) == y[1000:]).float().mean()), record


@pytest.mark.filterwarnings("ignore:.*had no gradient in 50 steps")
@pytest.mark.parametrize("freeze", [*BEFORE_FORWARD, *BEFORE_STEP])
@pytest.mark.parametrize("method", GRADIENT_SCORED.values(), ids=GRADIENT_SCORED)
def test_a_backbone_frozen_for_the_first_half_loses_nothing(
    tmp_path: Path, digits: tuple[Tensor, Tensor], method: nw.Method, freeze: str
) -> None:
    accuracy, record = trained(tmp_path, method, digits, freeze, STEPS // 2)
    assert accuracy > 0.87
    assert all(layer["used"] for layer in record.layers.values())
    if freeze != "no rate":  # there gradients tell all the time
        assert record.history["prune_from"] >= STEPS // 2
