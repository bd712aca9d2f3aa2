"""The training loop by itself: what it calls, what it writes down, what it refuses."""

from __future__ import annotations

import copy
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
from narrows.training import Position, ProgressBar, Step, Training, check_labels, evaluating, mean_loss
from narrows.training.loop import TrainingLog, run
from narrows.training.optimizer_steps import OptimizerSteps


def setup() -> tuple[nn.Module, torch.optim.Optimizer, list[Any]]:
    model = nn.Linear(3, 2)
    return model, torch.optim.SGD(model.parameters(), lr=0.1), [(torch.randn(4, 3), torch.tensor([0, 1, 1, 0]))] * 3


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Any,
    training: Training,
    length: int | None = None,
    **options: Any,
) -> TrainingLog:
    """Trains by an optimizer that is there already; `length`: batches of an epoch, where they do not say."""
    steps = OptimizerSteps(model, optimizer, training, len(batches) if length is None else length)
    return run(model, steps, batches, **options)


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
    log = train(model, optimizer, batches, Training(2, schedule="constant"))
    assert torch.equal(model.weight, other.weight)
    assert log.steps == 6
    assert log.losses == pytest.approx([sum(losses[:3]) / 3, sum(losses[3:]) / 3])
    assert log.seconds > 0


def test_callbacks_samples_schedules_and_epochs() -> None:
    model, optimizer, batches = setup()
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
        Training(2, schedule=lambda optimizer, _: torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)),
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
        train(model, optimizer, batches, Training(1, loss=F.mse_loss))


def test_a_step_number_counts_over_epochs() -> None:
    model, optimizer, batches = setup()
    factor = iter([1.0] * 4 + [math.inf] * 9)
    with pytest.raises(NonFiniteError, match="at step 5"):
        train(model, optimizer, batches, Training(3, loss=lambda out, y: next(factor) * F.cross_entropy(out, y)))


def test_no_batch_is_refused() -> None:
    model, optimizer, _ = setup()
    with pytest.raises(DataError, match="no batch"):
        train(model, optimizer, [], Training(1))


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


class Halting:
    """A keeper that ends training after a step, or an epoch, and keeps where it stood."""

    def __init__(self, step: int = 0, epochs: int = 0) -> None:
        self.step, self.epochs = step, epochs
        self.done = False
        self.kept: Any = None

    def after_step(self, at: Position) -> None:
        if at.steps == self.step:
            self.kept = at.state()
            raise InterruptedError

    def after_epoch(self, at: Position) -> None:
        self.done = at.epoch == self.epochs
        self.kept = at.state()

    def interrupted(self, _: Position) -> None:
        raise AssertionError("no callback raised")


def weights_after(model: nn.Module, halting: Halting | None, resume: Any = None) -> Any:
    """SGD has no state of its own: model and position are all there is."""
    x, y = torch.arange(36.0).reshape(12, 3) / 36, torch.arange(12) % 2
    data = torch.utils.data.TensorDataset(x, y)
    loader = torch.utils.data.DataLoader(data, batch_size=2, shuffle=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return train(model, optimizer, loader, Training(3, schedule="constant"), keeper=halting, resume=resume)


@pytest.mark.parametrize("step", [1, 5, 6, 7, 12, 18])
def test_training_goes_on_at_any_step(step: int) -> None:
    model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    other = copy.deepcopy(model)
    torch.manual_seed(1)
    log = weights_after(model, None)
    torch.manual_seed(1)
    halting = Halting(step)
    with pytest.raises(InterruptedError):
        weights_after(other, halting)
    torch.manual_seed(2)
    again = weights_after(other, None, halting.kept)
    assert (again.steps, again.losses) == (log.steps, log.losses)
    assert all(map(torch.equal, model.parameters(), other.parameters()))


def test_a_keeper_may_end_training_after_an_epoch() -> None:
    halting = Halting(epochs=2)
    log = weights_after(nn.Linear(3, 2), halting)
    assert (log.steps, len(log.losses)) == (12, 2)
    assert (halting.kept["epoch"], halting.kept["step"]) == (2, 0)


def test_evaluating_puts_every_module_back_into_its_mode() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    model[1].eval()
    with evaluating(model):
        assert not model.training
        assert not torch.is_grad_enabled()
    assert (model.training, model[0].training, model[1].training) == (True, True, False)


def test_the_mean_loss_weighs_examples_alike() -> None:
    model = nn.Linear(3, 2)
    batches = [(torch.randn(n, 3), torch.randn(n, 2)) for n in (4, 1)]
    whole = [torch.cat(parts) for parts in zip(*batches, strict=True)]
    expected = F.mse_loss(model(whole[0]), whole[1]).item()
    assert mean_loss(model, batches, F.mse_loss) == pytest.approx(expected)
    with pytest.raises(DataError, match="no example"):
        mean_loss(model, [], F.mse_loss)


def frozen() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    model[1].eval()
    return model


def trained(model: nn.Module, **options: Any) -> None:
    batches = [(torch.randn(4, 3), torch.tensor([0, 1, 1, 0]))] * 2
    train(model, torch.optim.SGD(model.parameters(), lr=0.1), batches, Training(2, schedule="constant"), **options)


def test_a_module_in_eval_mode_stays_in_it() -> None:
    model = frozen()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    trained(model, before_epoch=lambda _: model.train() and None)
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
    assert [module.training for module in model] == [True, False, True, True]


def test_a_model_that_was_only_evaluated_is_trained_whole() -> None:
    model = frozen().eval()
    trained(model)
    assert all(module.training for module in model.modules())
    assert model[1].num_batches_tracked == 4


def test_a_train_method_of_the_models_own_is_called() -> None:
    class Own(nn.Sequential):
        def train(self, mode: bool = True) -> Any:
            super().train(mode)
            return self[1].eval() and self

    model = Own(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))  # its BatchNorm is in train mode at first
    trained(model)
    assert model[1].num_batches_tracked == 0


class Uneven:
    """One batch more in each pass."""

    def __init__(self) -> None:
        self.passes = 0

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        return iter(setup()[2][:1] * (self.passes + 1))


def test_epochs_that_differ_in_steps_are_said_and_the_schedule_ends_where_it_was_to() -> None:
    model, optimizer, _ = setup()
    rates: list[float] = []
    with pytest.warns(UserWarning, match=r"After epoch 2 of 2 training has taken 5 steps.*2 in each.*steps_per_epoch"):
        train(
            model,
            optimizer,
            Uneven(),
            Training(2),
            length=2,
            callbacks=[lambda step: rates.append(step.lr)],
        )
    assert len(rates) == 5
    assert rates[4] == pytest.approx(0, abs=1e-12)  # and does not rise again


def test_an_epoch_may_end_before_the_data_do() -> None:
    model, optimizer, batches = setup()
    assert train(model, optimizer, batches, Training(2, steps_per_epoch=2), length=2).steps == 4
    endless = (batches[0] for _ in iter(int, 1))
    assert train(model, optimizer, endless, Training(3, steps_per_epoch=2), length=2).steps == 6


def test_batches_that_come_once_are_said_to_be_used_up() -> None:
    model, optimizer, batches = setup()
    with pytest.raises(DataError, match=r"Epoch 2 has no batch, after 3 steps: the data can be passed over once only"):
        train(model, optimizer, iter(batches), Training(2), length=3)


def test_gradients_left_from_before_do_not_count() -> None:
    models = [nn.Linear(3, 2) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    models[1](torch.randn(4, 3)).sum().backward()
    torch.manual_seed(0)
    batches = [(torch.randn(4, 3), torch.tensor([0, 1, 1, 0]))]
    for model in models:
        train(model, torch.optim.SGD(model.parameters(), lr=0.1), batches, Training(1))
    assert torch.equal(models[0].weight, models[1].weight)
