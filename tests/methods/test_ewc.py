"""EWC: what is carried is the Fisher information of the task alone, and it slows forgetting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import narrows as nw
from narrows.errors import OptimizerError
from narrows.methods import Extent
from toys import MLP, learn, weights

SHAPES = {"a": (4, 3), "b": (2, 4)}


def _gradients(shared: Any, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(param.shape, generator=generator, dtype=param.dtype) for param in shared.params]


def test_the_penalty_and_the_fisher_information_by_hand() -> None:
    shared = weights({"a": (4, 3)}, dtype=torch.float64)
    old = {"fisher.a": torch.rand(4, 3).double(), "anchor.a": torch.randn(4, 3).double()}
    learner: Any = nw.EWC(strength=3.0, gamma=0.5).learner(shared, Extent(total_steps=10, batch_size=8), old)
    squares = torch.zeros(4, 3).double()
    for step in range(10):
        (gradient,) = _gradients(shared, step)
        shared.params[0].grad = gradient.clone()
        theta = shared.params[0].detach().clone().requires_grad_()
        (1.5 * (old["fisher.a"] * (theta - old["anchor.a"]).square()).sum()).backward()
        learner.before_step()
        torch.testing.assert_close(shared.params[0].grad, gradient + theta.grad)
        shared.params[0].data -= 0.1 * shared.params[0].grad
        learner.after_step()
        if step >= 8:  # the last fifth
            squares += gradient.square()
    learner.finish()
    carried = learner.carry()
    torch.testing.assert_close(carried["fisher.a"], 0.5 * old["fisher.a"] + 8 * squares / 2)
    assert torch.equal(carried["anchor.a"], shared.params[0])


def test_without_strength_it_is_finetune_bit_for_bit(tmp_path: Path) -> None:
    digests = []
    for method in (nw.Finetune(), nw.EWC(strength=0.0), nw.EWC(strength=1.0)):
        store = nw.TaskStore.create(tmp_path / f"{len(digests)}", MLP.make(), head=MLP.place)
        for name in ("a", "b"):
            torch.manual_seed(3)
            learn(store, name, method)
        digests.append([record.weights_sha256 for record in store.tasks()])
    finetune, free, bound = digests
    assert free == finetune
    assert bound[0] == finetune[0]  # the first task has nothing to keep
    assert bound[1] != finetune[1]


def test_it_forgets_less_than_finetune(tmp_path: Path) -> None:
    tasks = {"a": MLP.batch(64, 4, seed=5), "b": MLP.batch(64, 4, seed=6)}

    def losses(method: nw.Method) -> tuple[float, float, float]:
        store = nw.TaskStore.create(tmp_path / f"{method.name}", MLP.make(), head=MLP.place)

        def loss(name: str) -> float:
            x, y = tasks[name]
            with torch.no_grad():
                return float(F.cross_entropy(store.load(name)(x), y))

        def train(name: str) -> None:
            torch.manual_seed(3)
            with store.begin(name, method, head=MLP.head(4)) as task:
                task.fit([tasks[name]], nw.Training(200, lr=0.01, batch_size=64))
                task.commit()

        train("a")
        learned = loss("a")
        train("b")
        return learned, loss("a"), loss("b")

    at_first, finetuned, _ = losses(nw.Finetune())
    same, consolidated, new = losses(nw.EWC(strength=300.0))
    assert same == at_first
    assert finetuned > 3 * at_first
    assert consolidated - at_first < 0.5 * (finetuned - at_first)
    assert new < 1.0, "it should still learn the new task"


def test_information_about_what_a_head_takes_the_place_of_is_kept() -> None:
    both, one = weights(SHAPES), weights({"a": (4, 3)})
    old = {f"{what}.{name}": torch.rand(shape) for what in ("fisher", "anchor") for name, shape in SHAPES.items()}
    learner: Any = nw.EWC().learner(one, Extent(total_steps=1, batch_size=8), old)
    learner.before_step()
    learner.after_step()
    carried = learner.carry()
    assert torch.equal(carried["fisher.b"], old["fisher.b"])
    assert torch.equal(carried["anchor.b"], old["anchor.b"])
    alone: Any = nw.EWC().learner(both, Extent(total_steps=1, batch_size=8), {"fisher.a": old["fisher.a"]})
    assert alone._fisher[1] is None


def test_what_it_must_know_is_asked_for(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    with store.begin("a", nw.EWC(), head=MLP.head(3)) as task, pytest.raises(OptimizerError, match="batch_size="):
        task.optimizer(torch.optim.SGD, lr=0.1, total_steps=10)
    with store.begin("a", nw.EWC(), head=MLP.head(3)) as task, pytest.raises(OptimizerError, match="total_steps="):
        task.optimizer(torch.optim.SGD, lr=0.1, batch_size=8)
    with store.begin("a", nw.EWC(), head=MLP.head(3)) as task:
        optimizer = task.optimizer(torch.optim.SGD, lr=0.1, batch_size=8, total_steps=10)
        MLP.loss(task.model(MLP.batch(8, 3)[0]), MLP.batch(8, 3)[1]).backward()
        optimizer.step()
        with pytest.raises(OptimizerError, match="from step 9 on, and training ended after 1"):
            task.commit()
