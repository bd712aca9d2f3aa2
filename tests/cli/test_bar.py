"""The bar: what reaches it, what misses it, and figures that are not there."""

from __future__ import annotations

import math

import pytest
import torch

from narrows.cli.bar import figures_of, missed, parse_bar, require_figures
from narrows.errors import ConfigError, UnknownNameError
from narrows.production import Evaluation
from narrows.production.scores import classification_scores, figure_names, multilabel_scores, regression_scores


def found(**scores: object) -> Evaluation:
    return Evaluation("june", None, scores, (), 0)


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        ({"accuracy": 0.9}, {}, []),
        ({"accuracy": 0.91}, {}, ["june: accuracy is 0.9, and at least 0.91 is asked for"]),
        ({}, {"price.mae": 2}, []),
        ({}, {"price.mae": 1}, ["june: price.mae is 2, and at most 1 is asked for"]),
        ({"macro_f1": 0}, {}, ["june: macro_f1 is nan, and at least 0 is asked for"]),
        ({}, {"log_loss": 9}, ["june: log_loss is nan, and at most 9 is asked for"]),
    ],
)
def test_what_misses_the_bar_is_said(least, most, said):
    scores = {"accuracy": 0.9, "macro_f1": None, "log_loss": math.nan, "targets": {"price": {"mae": 2.0}}}
    assert list(missed(found(**scores, confusion=[[1]]), least, most)) == said


def test_a_figure_that_the_task_has_not_is_no_pass():
    with pytest.raises(UnknownNameError, match="june has no figure 'acuracy': did you mean 'accuracy'"):
        list(missed(found(accuracy=1.0), {"acuracy": 0.5}, {}))


@pytest.mark.parametrize("text", ["accuracy=high", "accuracy=nan", "accuracy=inf", "accuracy="])
def test_a_bound_that_is_no_number_is_refused(text):
    with pytest.raises(ConfigError, match="is no number"):
        parse_bar([text], "--at-least")


def test_the_names_of_the_bar_are_those_of_some_task():
    known = {"june": ("accuracy", "log_loss"), "price": ("r2", "price.mae")}
    require_figures(["accuracy", "price.mae"], known)
    with pytest.raises(
        UnknownNameError, match=r"no task of the store has a figure 'price.mea': did you mean 'price.mae'"
    ):
        require_figures(["price.mea"], known)


def test_the_names_of_figures_are_those_that_are_measured():
    kinds = {
        "classification": classification_scores(torch.eye(2), torch.tensor([0, 1])),
        "regression": regression_scores(torch.ones(2, 2), torch.ones(2, 2), ["price", "area"]),
        "multilabel": multilabel_scores(torch.ones(2, 2), torch.ones(2, 2)),
    }
    for kind, scores in kinds.items():
        assert set(figure_names(kind, ["price", "area"])) == set(figures_of(Evaluation("june", None, scores, (), 0)))
