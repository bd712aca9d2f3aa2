"""What can be wrong with a batch and its loss is said in words, and nothing is broadcast in silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from narrows.errors import ConfigError, DataError
from narrows.training import Training, accuracy, mean_loss, train

X, Y = torch.randn(4, 3), torch.tensor([0, 1, 1, 0])


def step(batch: Any, loss: Callable[[Any, Any], Any] = F.cross_entropy, model: nn.Module | None = None) -> None:
    model = model or nn.Linear(3, 2)
    train(model, [batch], Training(1, lr=0.1, loss=loss))


@pytest.mark.parametrize("loss", [F.cross_entropy, nn.CrossEntropyLoss()], ids=["function", "module"])
@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (Y[:, None], r"labels are int64 \(4, 1\).* takes \(4,\): labels\.squeeze\(1\)"),
        (Y[:2], r"labels are int64 \(2,\)"),
        (Y.float(), r"labels are float32 \(4,\).*int64.*labels\.long\(\).*mse_loss"),
        (Y.float()[:, None], r"labels are float32 \(4, 1\)"),
        (Y.int(), r"labels are int32.*labels\.long\(\)"),
        (Y.bool(), r"labels are bool"),
        (Y + 1, r"Labels run from 1 to 2, and the head has 2 outputs"),
        (["cat"] * 4, r"targets are a list of 4, and .* takes a tensor"),
        (None, r"targets are None"),
    ],
)
def test_labels_that_are_none(loss: Any, targets: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        step((X, targets), loss)


def test_labels_that_are_some() -> None:
    step((X, Y))
    step((X, Y.to(torch.uint8)))
    step((X, F.one_hot(Y, 2).float()))  # probabilities
    step((torch.randn(2, 3, 5, 5), torch.zeros(2, 5, 5).long()), model=nn.Conv2d(3, 2, 1))
    step((X, torch.tensor([0, 1, 7, 7])), nn.CrossEntropyLoss(ignore_index=7))


class Answer(nn.Module):
    """Gives its linear layer's outputs as something else."""

    def __init__(self, change: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.linear, self.change = nn.Linear(3, 2), change

    def forward(self, x: torch.Tensor) -> Any:
        return self.change(self.linear(x))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda out: out[:, 0], r"network gives float32 \(4,\).*an output for each class"),
        (lambda out: {"logits": out}, r"network gives a dict with 'logits'.*loss=lambda"),
        (lambda out: (out, out), r"network gives a tuple of 2"),
    ],
)
def test_outputs_that_are_of_no_classes(change: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        step((X, Y), model=Answer(change))
    with pytest.raises(DataError, match="Accuracy is of outputs"):
        accuracy(Answer(change), [(X, Y)])


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, nn.MSELoss(), nn.HuberLoss()])
def test_numbers_are_compared_with_their_own(loss: Any) -> None:
    model = nn.Linear(3, 1)
    for of in (step, lambda batch, loss, model: mean_loss(model, [batch], loss)):
        with pytest.raises(DataError, match=r"gives float32 \(4, 1\), the targets are float32 \(4,\)"):
            of((X, Y.float()), loss, model)
    step((X, Y.float()[:, None]), loss, model)


def test_accuracy_is_of_each_label_once() -> None:
    with pytest.raises(DataError, match=r"labels have the shape \(4, 1\)"):
        accuracy(nn.Linear(3, 2), [(X, Y[:, None])])
    images = torch.zeros(2, 3, 4, 4)
    right = nn.Conv2d(3, 2, 1).requires_grad_(False)
    right.bias.copy_(torch.tensor([0.0, 1.0]))
    assert accuracy(right, [(images, torch.ones(2, 4, 4).long())]) == 1.0


@pytest.mark.parametrize(
    ("gives", "said"),
    [
        (lambda *_: None, "loss gives None"),
        (lambda *_: 0.5, "loss gives a float"),
        (lambda out, y: F.cross_entropy(out, y, reduction="none"), r"float32 \(4,\), and should return one number"),
        (lambda out, y: F.cross_entropy(out.detach(), y), "does not depend on the network's parameters"),
    ],
)
def test_a_loss_that_is_no_number_to_train_on(gives: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        step((X, Y), gives)


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ({"x": X, "y": Y}, "a dict with 'x', 'y'"),
        ((X, Y, Y), "a tuple of 3"),
        ([X], "a list of 1"),
        (X[:2], r"float32 \(2, 3\)"),
        (None, "None"),
    ],
)
def test_a_batch_that_is_no_pair(batch: Any, said: str) -> None:
    for of in (step, lambda batch: accuracy(nn.Linear(3, 2), [batch])):
        with pytest.raises(DataError, match=rf"pair, \(inputs, targets\), and this one is {said}"):
            of(batch)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.linear(inputs["left"] + inputs["right"])


def test_inputs_may_be_a_dict() -> None:
    step(({"left": X, "right": X}, Y), model=Two())


@pytest.mark.parametrize("rest", [0, 1])
def test_one_example_cannot_train_batchnorm(rest: int) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    batches = [(X, Y)] * rest + [(X[:1], Y[:1])]
    with pytest.raises(DataError, match=r"one example cannot train BatchNorm \(first '1'\).*drop_last=True"):
        train(model, batches, Training(1, lr=0.1))
    model[1].eval()  # as it says
    train(model, batches, Training(1, lr=0.1))


def test_another_error_of_the_network_stays_its_own() -> None:
    def refuse(_: torch.Tensor) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        step((X, Y), model=Answer(refuse))
