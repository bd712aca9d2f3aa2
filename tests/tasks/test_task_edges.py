"""Models and optimizers at the edges: sparse gradients, bfloat16 weights, fused steps, the caller's own head."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import narrows as nw
from narrows.errors import OptimizerError
from toys import MLP, same, state


def embedding(sparse: bool) -> nn.Module:
    return nn.Sequential(nn.Embedding(6, 4, sparse=sparse), nn.Flatten(), nn.Linear(8, 3))


def test_a_sparse_gradient_is_refused_with_the_name_of_the_parameter(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "s", embedding(sparse=True))
    words, labels = torch.tensor([[0, 1], [2, 3]]), torch.tensor([0, 1])
    with store.begin("t", nw.IBM(density=0.5)) as task:
        optimizer = task.optimizer(torch.optim.SGD, lr=0.1, total_steps=4)
        nn.functional.cross_entropy(task.model(words), labels).backward()
        with pytest.raises(OptimizerError, match=r"0\.weight has a sparse gradient.*private"):
            optimizer.step()


def test_a_sparse_embedding_may_be_private(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "s", embedding(sparse=True), private=["0"])
    words, labels = torch.tensor([[0, 1], [2, 3]]), torch.tensor([0, 1])
    with store.begin("t", nw.IBM(density=0.5)) as task:
        task.fit([(words, labels)], 4, optimizer=torch.optim.SGD, progress=False)
        task.commit()
        assert same(state(task.model), state(store.load("t")))


def test_the_callers_head_is_copied(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "s", MLP.make())
    path, head = MLP.head(2)
    before = state(head)
    with store.begin("t", nw.IBM(density=0.5), head=(path, head)) as task:
        task.fit([MLP.batch(16, 2)], 4, progress=False)
        task.commit()
    assert same(before, state(head))


def test_bfloat16_weights_keep_their_fisher_in_float32(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "s", MLP.make().to(torch.bfloat16))
    x, y = MLP.batch(16, 2)
    path, head = MLP.head(2)
    with store.begin("t", nw.IBM(density=0.5), head=(path, head.to(torch.bfloat16))) as task:
        task.fit([(x.to(torch.bfloat16), y)], 6, progress=False)
        record = task.commit()
        assert same(state(task.model), state(store.load("t")))
    kept = sum(layer["used"] for layer in record.layers.values())
    assert kept == int(0.5 * sum(spec.numel for spec in store.shared))
    assert all(layer["nats"] > 0 for layer in record.layers.values())


def test_a_fused_step_that_unscales_by_itself_is_refused(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "s", MLP.make())
    x, y = MLP.batch(16, 2)
    with store.begin("t", nw.IBM(density=0.5), head=MLP.head(2)) as task:
        optimizer = task.optimizer(torch.optim.Adam, lr=1e-3, total_steps=4)
        nn.functional.cross_entropy(task.model(x), y).backward()
        optimizer.grad_scale = torch.tensor(2.0)  # what GradScaler sets on a fused optimizer
        with pytest.raises(OptimizerError, match="fused=False"):
            optimizer.step()
