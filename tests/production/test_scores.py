"""Scores are those of the textbooks, and have no figure where there is none."""

from __future__ import annotations

import math

import pytest
import torch

from narrows.production.scores import classification_scores, multilabel_scores, regression_scores


def test_classification():
    logits = torch.log(torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]]))
    scores = classification_scores(logits, torch.tensor([0, 1, 1, 2]))
    assert scores["accuracy"] == 0.75
    assert scores["log_loss"] == pytest.approx(-(math.log(0.7) + math.log(0.8) + math.log(0.3) + math.log(0.6)) / 4)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert scores["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]


def test_a_class_without_an_example_has_its_row():
    scores = classification_scores(torch.eye(3)[:2], torch.tensor([0, 1]))
    assert scores["confusion"] == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert scores["macro_f1"] == 1


def test_regression_of_two_targets_in_their_own_units():
    values, targets = torch.tensor([[1.0, 10.0], [3.0, 10.0]]), torch.tensor([[0.0, 10.0], [2.0, 10.0]])
    scores = regression_scores(values, targets, ["price", "year"])
    assert scores["targets"]["price"] == {"mae": 1.0, "rmse": 1.0, "r2": 0.0}
    assert scores["targets"]["year"] == {"mae": 0.0, "rmse": 0.0, "r2": None}
    assert scores["r2"] == 0.0


def test_regression_of_one_example_has_no_r2():
    assert regression_scores(torch.ones(1, 1), torch.ones(1, 1), ["y"])["r2"] is None


def test_multilabel():
    logits = torch.tensor([[2.0, -1.0, -3.0], [1.0, 1.0, -3.0], [-1.0, 0.5, -3.0]])
    labels = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 1, 0]])
    scores = multilabel_scores(logits, labels)
    assert scores["micro_f1"] == pytest.approx(6 / 7)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert scores["mean_average_precision"] == 1  # over the two labels that hold somewhere
    assert scores["exact"] == pytest.approx(2 / 3)


def test_multilabel_without_any_label():
    scores = multilabel_scores(torch.full((2, 2), -1.0), torch.zeros(2, 2))
    assert scores["mean_average_precision"] is None
    assert scores["exact"] == 1
