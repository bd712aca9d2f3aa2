"""The field's measures, on matrices worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from narrows.errors import DataError
from narrows.training import accuracy, metrics

# R[i][j] after task i on task j; R[i-1][i] is that of the network task i starts from
R = [
    [0.9, 0.2, None],
    [0.95, 0.8, 0.3],
    [0.6, 0.7, 1.0],
]


def test_by_hand() -> None:
    assert metrics.average_accuracy(R) == pytest.approx((0.6 + 0.7 + 1.0) / 3)
    assert metrics.backward_transfer(R) == pytest.approx(((0.6 - 0.9) + (0.7 - 0.8)) / 2)
    assert metrics.forgetting(R) == pytest.approx(((0.95 - 0.6) + (0.8 - 0.7)) / 2)
    assert metrics.forward_transfer_gem(R, [0.1, 0.5, 0.5]) == pytest.approx(((0.2 - 0.5) + (0.3 - 0.5)) / 2)
    assert metrics.forward_transfer_independent(R, [0.8, 0.9, 1.0]) == pytest.approx((0.1 - 0.1 + 0.0) / 3)


def test_one_task_has_no_transfer() -> None:
    one = [[0.7]]
    assert metrics.average_accuracy(one) == 0.7
    assert metrics.backward_transfer(one) is None
    assert metrics.forgetting(one) is None
    assert metrics.forward_transfer_gem(one, [0.5]) is None
    assert metrics.forward_transfer_independent(one, [0.5]) == pytest.approx(0.2)


def test_forgetting_is_negative_where_a_task_gets_better() -> None:
    assert metrics.forgetting([[0.5, None], [0.9, 0.8]]) == pytest.approx(-0.4)


def test_what_was_not_measured_is_no_number() -> None:
    with pytest.raises(ValueError, match=r"R\[0\]\[1\] was not measured"):
        metrics.forward_transfer_gem([[0.5, None], [0.5, 0.5]], [0.0, 0.0])


def test_accuracy_counts_over_uneven_batches_and_puts_the_modes_back() -> None:
    model = nn.Sequential(nn.Dropout(0.99), nn.Identity())
    model[1].eval()
    x = torch.eye(5)
    batches = [(x[:3], torch.tensor([0, 1, 0])), (x[3:], torch.tensor([3, 0]))]
    assert accuracy(model, batches) == 3 / 5
    assert [module.training for module in model.modules()] == [True, True, False]
    with pytest.raises(DataError, match="no example"):
        accuracy(model, [])
    model.eval()
    assert accuracy(model, batches) == 3 / 5
    assert not model.training
