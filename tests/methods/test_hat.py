"""HAT: gates learn by the paper's gradient, saturate, and keep what they opened for the task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import narrows as nw
from narrows.errors import OptimizerError
from narrows.methods import Extent
from toys import MLP, learn, violations, weights


def _attention(learner: Any) -> Tensor:
    return torch.cat([a.flatten() for gates in learner.gates for a in gates.soft(learner.steepness)])


def _interrupted(task: nw.Task, x: Tensor, y: Tensor, hard: Tensor) -> None:
    with task.sample():
        MLP.loss(task.model(x), y).backward()
        assert not torch.equal(next(task.model.parameters()), hard)
        raise KeyboardInterrupt


def _density(store: nw.TaskStore, name: str) -> float:
    layers = store.explain(name)
    return sum(layer.used for layer in layers) / sum(layer.weights for layer in layers)


def test_gradients_are_those_of_the_paper() -> None:
    shared = weights({"a": (6, 4), "b": (3, 6)}, frozen=0.5, dtype=torch.float64)
    c, smax = 0.75, 20.0
    learner: Any = nw.HAT(c=c, smax=smax).learner(shared, Extent(total_steps=9), None)
    x, y = torch.randn(5, 4).double(), torch.randn(5, 3).double()

    def loss(a: Tensor, b: Tensor) -> Tensor:
        return (torch.tanh(x @ a.T) @ b.T - y).square().mean()

    groups = [{"params": shared.params}, *learner.parameter_groups()]
    optimizer = torch.optim.SGD(groups, lr=0.05, momentum=0.9)
    used = [[frozen.any(1), frozen.any(0)] for frozen in shared.frozen]
    for step in range(9):
        s = 1 / smax + (smax - 1 / smax) * step / 8
        w = [weight.detach().clone().requires_grad_() for weight in learner._weights]
        e = [[part.detach().clone().requires_grad_() for part in gates.embeddings] for gates in learner.gates]
        a = [[torch.sigmoid(s * part) for part in parts] for parts in e]
        free = sum(float((~unit).sum()) for units in used for unit in units)
        rows = [pair for parts, units in zip(a, used, strict=True) for pair in zip(parts, units, strict=True)]
        regulariser = sum((part * ~unit).sum() for part, unit in rows) / free
        (
            loss(*(value * out[:, None] * into for value, (out, into) in zip(w, a, strict=True))) + c * regulariser
        ).backward()
        with learner.sample():
            loss(*shared.params).backward()
        learner.before_step()
        for param, value, frozen in zip(shared.params, w, shared.frozen, strict=True):
            torch.testing.assert_close(param.grad, value.grad * ~frozen)
        for gates, parts in zip(learner.gates, e, strict=True):
            for ours, theirs in zip(gates.embeddings, parts, strict=True):
                compensation = smax * (torch.cosh(s * theirs) + 1) / (s * (torch.cosh(theirs) + 1))
                expected = torch.where((s * theirs).abs() < 50, theirs.grad * compensation, 0.0)
                torch.testing.assert_close(ours.grad, expected.detach(), rtol=1e-5, atol=1e-8)
        optimizer.step()
        learner.after_step()
        optimizer.zero_grad()
        for weight, frozen, value in zip(learner._weights, shared.frozen, shared.values, strict=True):
            assert torch.equal(weight[frozen], value[frozen])


def test_attention_saturates(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    saturated = []
    with store.begin("a", nw.HAT(gate_lr=0.1), head=MLP.head(3)) as task:

        def look(_: Any) -> None:
            a = _attention(task._learner)
            saturated.append(float(((a < 0.01) | (a > 0.99)).float().mean()))

        task.fit([MLP.batch(32, 3)], nw.Training(200), callbacks=[look])
        task.commit()
    assert saturated[0] < 0.1
    assert saturated[-1] > 0.95
    assert saturated[0] < saturated[20] < saturated[-1]


def test_used_units_are_protected_and_free_to_reuse(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    first = learn(store, "a", nw.HAT())
    before = store.load("a").state_dict()
    for mask in first.learner.masks:
        assert torch.equal(mask, mask.any(1)[:, None] & mask.any(0)[None, :])  # whole units
        assert mask.any()
    with store.begin("b", nw.HAT(), head=MLP.head(3)) as task:
        task.optimizer(torch.optim.Adam, lr=0.1, total_steps=4)
        for gates, mask in zip(task._learner.gates, first.learner.masks, strict=True):
            assert [part.bool().tolist() for part in gates.unused] == [(~mask.any(dim)).tolist() for dim in (1, 0)]
    learn(store, "b", nw.HAT())
    assert all(torch.equal(value, before[name]) for name, value in store.load("a").state_dict().items())
    assert sum(layer.reused for layer in store.explain("b")) > 0


def test_a_higher_price_opens_fewer_units(tmp_path: Path) -> None:
    densities = []
    for c in (0.0, 20.0):
        store = nw.TaskStore.create(tmp_path / str(c), MLP.make(), head=MLP.place)
        with store.begin("a", nw.HAT(c=c, gate_lr=0.1), head=MLP.head(3)) as task:
            task.fit([MLP.batch(32, 3)], nw.Training(60))
            task.commit()
        densities.append(_density(store, "a"))
    assert 0 < densities[1] < 0.5 * densities[0]


def test_no_layer_loses_its_last_unit() -> None:
    shared = weights({"a": (6, 4), "b": (8, 1, 3, 3), "c": (1, 1, 2)})
    learner: Any = nw.HAT().learner(shared, Extent(total_steps=3), None)
    for gates in learner.gates:
        for e in gates.embeddings:
            e.data.fill_(-8.0)
    learner.after_step()
    assert [int(mask.sum()) for mask in learner.masks] == [1, 9, 2]
    learner._step = 3
    for gates, mask in zip(learner.gates, learner.masks, strict=True):
        for a in gates.soft(learner.steepness):
            assert ((a > 0.99).sum(), (a < 0.01).sum()) == (1, a.numel() - 1)
        assert mask.any()


def test_steepness_grows_over_the_task_or_over_each_epoch() -> None:
    def steps(method: nw.HAT, plan: Extent) -> list[float]:
        learner: Any = method.learner(weights({"a": (3, 4)}), plan, None)
        seen = []
        for _ in range(plan.total_steps or 0):
            seen.append(round(learner.steepness, 3))
            learner.after_step()
        assert learner.steepness == method.smax
        return seen

    assert steps(nw.HAT(smax=4), Extent(total_steps=4)) == [0.25, 1.5, 2.75, 4.0]
    assert steps(nw.HAT(smax=4, anneal="epoch"), Extent(4, examples=5, batch_size=4)) == [0.25, 4.0, 0.25, 4.0]
    with pytest.raises(OptimizerError, match="examples="):
        nw.HAT(anneal="epoch").learner(weights({"a": (3, 4)}), Extent(4), None)


def test_gates_are_soft_within_sample_only(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    learn(store, "a", nw.HAT())
    with store.begin("b", nw.HAT(), head=MLP.head(3)) as task:
        with pytest.raises(OptimizerError, match="total_steps="):
            task.optimizer(torch.optim.Adam, lr=0.1)
        optimizer = task.optimizer(torch.optim.Adam, lr=0.1, total_steps=5)
        x, y = MLP.batch(8, 3)
        hard = [param.detach().clone() for param in task._learner.shared.params]
        MLP.loss(task.model(x), y).backward()
        with pytest.raises(OptimizerError, match="Wrap it"):
            optimizer.step()
        optimizer.zero_grad()
        with pytest.raises(KeyboardInterrupt):
            _interrupted(task, x, y, hard[0])
        cut_off = [param.grad.clone() for param in task._learner.shared.params]
        assert violations(task) == []
        gradients = []
        for times in (1, 2):
            optimizer.zero_grad()
            for gates in task._learner.gates:
                for e in gates.embeddings:
                    e.grad = None
            for _ in range(times):
                with task.sample():
                    MLP.loss(task.model(x), y).backward()
            assert all(torch.equal(p, value) for p, value in zip(task._learner.shared.params, hard, strict=True))
            parts = [*task._learner.shared.params, *(e for gates in task._learner.gates for e in gates.embeddings)]
            gradients.append([part.grad.clone() for part in parts])
        assert all(torch.equal(2 * one, two) for one, two in zip(*gradients, strict=True))
        assert all(map(torch.equal, cut_off, gradients[0])), "a gradient is that of the weights from the start"
