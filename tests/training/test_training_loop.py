"""The training loop by itself: what it calls, what it writes down, what it refuses."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn
from torch.nn import functional as F

from narrows.errors import DataError, NonFiniteError
from narrows.training import ProgressBar, Step, check_labels, train


def setup() -> tuple[nn.Module, torch.optim.Optimizer, list[Any]]:
    model = nn.Linear(3, 2)
    return model, torch.optim.SGD(model.parameters(), lr=0.1), [(torch.randn(4, 3), torch.tensor([0, 1, 1, 0]))] * 3


def test_the_loop_is_the_plain_loop() -> None:
    model, optimizer, batches = setup()
    other = nn.Linear(3, 2)
    other.load_state_dict(model.state_dict())
    plain = torch.optim.SGD(other.parameters(), lr=0.1)
    losses = []
    for _ in range(2):
        for x, y in batches:
            loss = F.cross_entropy(other(x), y)
            loss.backward()
            plain.step()
            plain.zero_grad()
            losses.append(loss.item())
    log = train(model, optimizer, batches, 2, total_steps=6)
    assert torch.equal(model.weight, other.weight)
    assert log.steps == 6
    assert log.losses == pytest.approx([sum(losses[:3]) / 3, sum(losses[3:]) / 3])
    assert log.seconds > 0


def test_callbacks_samples_schedules_and_epochs() -> None:
    model, optimizer, batches = setup()
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    seen: list[Step] = []
    calls: list[Any] = []

    @contextmanager
    def sample() -> Iterator[None]:
        calls.append("in")
        yield
        assert model.weight.grad is not None
        calls.append("out")

    def epoch(number: int) -> None:
        model.eval()  # whatever happens between epochs, training happens in train mode
        calls.append(number)

    def callback(step: Step) -> None:
        assert model.training
        seen.append(step)

    train(
        model,
        optimizer,
        batches * 4,
        2,
        total_steps=24,
        scheduler=scheduler,
        sample=sample,
        before_epoch=epoch,
        callbacks=iter([callback]),
    )
    assert calls == [0, *["in", "out"] * 12, 1, *["in", "out"] * 12]
    assert [step.step for step in seen] == list(range(1, 25))
    assert [step.epoch for step in seen] == [0] * 12 + [1] * 12
    assert [step.lr for step in seen] == pytest.approx([0.1 * 0.5**i for i in range(24)])
    assert all(step.total_steps == 24 and step.epochs == 2 for step in seen)
    assert [step.loss is None for step in seen[:12]] == [True] * 9 + [False] * 3


@pytest.mark.parametrize("bad", [1, 2, 7, 10, 12])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_named_by_its_step(bad: int, value: float) -> None:
    model, optimizer, _ = setup()
    batches = [(torch.full((4, 3), value if step == bad else 1.0), torch.zeros(4, 2)) for step in range(1, 13)]
    with pytest.raises(NonFiniteError, match=rf"became (nan|inf) at step {bad}\. Nothing was committed"):
        train(model, optimizer, batches, 1, loss=F.mse_loss, total_steps=12)


def test_a_step_number_counts_over_epochs() -> None:
    model, optimizer, batches = setup()
    factor = iter([1.0] * 4 + [math.inf] * 9)
    with pytest.raises(NonFiniteError, match="at step 5"):
        train(model, optimizer, batches, 3, loss=lambda out, y: next(factor) * F.cross_entropy(out, y), total_steps=9)


def test_no_batch_is_refused() -> None:
    model, optimizer, _ = setup()
    with pytest.raises(DataError, match="no batch"):
        train(model, optimizer, [], 1, total_steps=1)


@pytest.mark.parametrize("labels", [[0, 1, 2], [-1, 0, 1], [-100, 5]])
def test_labels_outside_the_head(labels: list[int]) -> None:
    with pytest.raises(DataError, match=r"the head has 2 outputs \(labels 0 to 1\)"):
        check_labels(torch.tensor(labels), 2)


@pytest.mark.parametrize("labels", [[0, 1], [], [-100, 1], [-100]])
def test_labels_inside_the_head(labels: list[int]) -> None:
    check_labels(torch.tensor(labels, dtype=torch.long), 2)
    check_labels(torch.tensor([7.5]), 2)  # not classes


def test_the_progress_bar_draws_the_last_step() -> None:
    text = io.StringIO()
    with ProgressBar("shop", Console(file=text, force_terminal=True, width=120)) as bar:
        bar(Step(step=3, total_steps=4, epoch=0, epochs=2, loss=0.5, lr=0.1))
    assert "shop" in text.getvalue()
    assert "3/4" in text.getvalue()
    assert "loss 0.500" in text.getvalue()
