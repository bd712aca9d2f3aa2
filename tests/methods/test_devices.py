"""What not every device can do is not asked of it: float64, and the n-th of a vector (Apple's GPUs)."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import narrows as nw
from narrows.masks import selection, top
from narrows.methods.features import Covariance
from narrows.training.recording import SAMPLE, quantiles
from toys import METHODS


class NoDoubles(TorchDispatchMode):
    """As on a device that has no float64: each operation that gives such numbers fails."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        if any(isinstance(leaf, Tensor) and leaf.dtype == torch.float64 for leaf in tree_leaves(out)):
            raise TypeError(f"Cannot convert a tensor to float64: {function}")
        return out


def test_doubles_are_seen() -> None:
    with NoDoubles(), pytest.raises(TypeError, match="float64"):
        torch.zeros(2).double()


@pytest.mark.parametrize("method", METHODS)
def test_a_task_is_trained_kept_and_taken_up_without_float64(method: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 3))
    store = nw.TaskStore.create(tmp_path / "store", model)
    x, y = torch.randn(8, 96), torch.arange(8) % 3
    with store.begin("a", METHODS[method]) as task:
        assert task.model[0].weight.numel() > SAMPLE
        with NoDoubles():
            optimizer = task.optimizer(torch.optim.Adam, lr=0.01, total_steps=6, examples=8, batch_size=8)
            for _ in range(6):
                with task.sample():
                    F.cross_entropy(task.model(x), y).backward()
                optimizer.step()
                task.model.zero_grad()
                task.load_state(task.state())
        assert task.commit().history["steps"] == 6


def test_quantiles_of_many_are_those_of_before() -> None:
    values = torch.randn(3 * SAMPLE, generator=torch.Generator().manual_seed(1))
    turns = torch.arange(SAMPLE, dtype=torch.float64) * ((5**0.5 - 1) / 2)
    picked = values[((turns - turns.floor()) * values.numel()).long()].sort().values
    assert quantiles(values) == tuple(float(picked[round(q / 100 * (SAMPLE - 1))]) for q in (5, 25, 50, 75, 95))


def test_ranks_of_layers_on_apples_gpu_are_computed_on_the_cpu() -> None:
    rows = torch.randn(20, 4)
    there = SimpleNamespace(device=torch.device("mps"), detach=lambda: SimpleNamespace(cpu=lambda: rows))
    here, elsewhere = Covariance(), Covariance()
    here.add(rows)
    elsewhere.add(there)  # type: ignore[arg-type]
    assert here.effective_rank() == elsewhere.effective_rank()


def test_the_best_are_chosen_where_the_nth_of_a_vector_is_not_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "_on_host", lambda _: False)
    scores = torch.randn(50)
    chosen = [top(scores, count) for count in (1, 20, 49)]

    def missing(*_: Any) -> Any:
        raise NotImplementedError("The operator 'aten::kthvalue.values' is not currently implemented for MPS")

    monkeypatch.setattr(Tensor, "kthvalue", missing)
    assert all(torch.equal(top(scores, count), mask) for count, mask in zip((1, 20, 49), chosen, strict=True))
