"""A task whose steps never had a gradient is not committed, and one that learned beside what is shared says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import narrows as nw
from checkpoints import Memory, stop_at
from narrows.errors import OptimizerError
from narrows.methods import make_method
from toys import MLP

NAMES = ("packnet", "wsn", "supsup", "hat", "ewc", "finetune", "independent")
"""Methods that choose by something else than gradients, or choose nothing; the others refuse by themselves."""
SHARED = ("one.weight", "two.weight")


def loss_of(task: nw.Task) -> Tensor:
    x, y = MLP.batch(8, 2)
    return F.cross_entropy(task.model(x), y)


def nothing(_: nw.Task) -> None:
    """A loop that forgot the backward pass."""


def zeros(task: nw.Task) -> None:
    (0 * loss_of(task)).backward()


def head_only(task: nw.Task) -> None:
    loss_of(task).backward()
    for name in SHARED:
        task.model.get_parameter(name).grad = None


def everything(task: nw.Task) -> None:
    loss_of(task).backward()


def learn(path: Path, method: nw.Method, *backwards: Callable[[nw.Task], None]) -> nw.TaskStore:
    store = nw.TaskStore.create(path / "store", MLP.make(), head=MLP.place)
    with store.begin("t", method, head=MLP.head(2)) as task:
        optimizer = task.optimizer(torch.optim.SGD, lr=0.1, total_steps=len(backwards), examples=8, batch_size=8)
        for backward in backwards:
            with task.sample():
                backward(task)
            optimizer.step()
            optimizer.zero_grad()
        task.commit()
    return store


@pytest.mark.parametrize("backward", [nothing, zeros])
@pytest.mark.parametrize("name", NAMES)
def test_steps_without_one_gradient_are_not_committed(
    name: str, backward: Callable[[nw.Task], None], tmp_path: Path
) -> None:
    with pytest.raises(OptimizerError, match=r"'t' has taken 2 optimizer steps, and no parameter had a gradient"):
        learn(tmp_path, make_method(name), backward, backward)
    assert not nw.TaskStore.open(tmp_path / "store").tasks()


@pytest.mark.filterwarnings("ignore:.*had no gradient in all of training")
@pytest.mark.parametrize("name", NAMES)
def test_a_task_that_learned_in_its_head_alone_says_so(name: str, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"no weight that tasks share had a gradient in 1 optimizer step: .*head"):
        store = learn(tmp_path, make_method(name), head_only)
    assert len(store.tasks()) == 1


@pytest.mark.parametrize("name", NAMES)
def test_one_gradient_is_enough(name: str, tmp_path: Path) -> None:
    assert len(learn(tmp_path, make_method(name), nothing, everything, nothing).tasks()) == 1


def test_what_had_a_gradient_before_an_interruption_counts(tmp_path: Path) -> None:
    store, memory = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place), Memory()
    method = make_method("finetune")
    batches = [MLP.batch(8, 2)]
    with pytest.raises(KeyboardInterrupt), store.begin("t", method, head=MLP.head(2)) as task:
        task.fit(batches, nw.Training(6), checkpoint=memory, callbacks=[stop_at(3)], progress=False)
    with store.begin("t", method, head=MLP.head(2)) as task:
        for name in SHARED:
            task.model.get_parameter(name).requires_grad_(False)
        task.fit(batches, nw.Training(6), checkpoint=memory, progress=False)
        task.commit()


def test_a_second_training_adds_to_the_first(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    with store.begin("t", make_method("finetune"), head=MLP.head(2)) as task:
        task.fit([MLP.batch(8, 2)], nw.Training(1), progress=False)
        for name in SHARED:
            task.model.get_parameter(name).requires_grad_(False)
        task.fit([MLP.batch(8, 2)], nw.Training(1), progress=False)
        task.commit()
