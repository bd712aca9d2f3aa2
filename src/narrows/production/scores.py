"""Figures of how good outputs are: classification, regression, multi-label. All in plain JSON values.

Knows tensors of outputs and targets; no model, data or store. Needs scikit-learn (`narrows[data]`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional

from narrows.data.extras import require

Scores = dict[str, Any]

_FIGURES = {
    "classification": ("examples", "accuracy", "log_loss", "macro_f1"),
    "regression": ("examples", "r2"),
    "multilabel": ("examples", "micro_f1", "macro_f1", "mean_average_precision", "exact", "log_loss"),
}


def figure_names(kind: str, targets: Sequence[str]) -> tuple[str, ...]:
    """The names of a kind's single figures, known before anything is measured; those of a target as TARGET.NAME.

    >>> figure_names("regression", ["price"])
    ('examples', 'r2', 'price.mae', 'price.rmse', 'price.r2')
    """
    each = targets if kind == "regression" else ()
    return (*_FIGURES[kind], *(f"{target}.{name}" for target in each for name in ("mae", "rmse", "r2")))


def classification_scores(logits: Tensor, labels: Tensor) -> Scores:
    """Of logits (n, classes) and labels (n).

    Returns:
        accuracy and macro_f1 (fractions; a class without an example and never predicted does not count), log_loss
        (mean, in nats), confusion (a row for each true class, a column for each predicted one; examples).

    >>> import torch
    >>> classification_scores(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1]))["confusion"]
    [[1, 0], [0, 1]]
    """
    metrics = require("sklearn.metrics")
    predicted = logits.argmax(1)
    classes = range(logits.shape[1])
    return {
        "examples": len(labels),
        "accuracy": float((predicted == labels).double().mean()),
        "log_loss": float(functional.cross_entropy(logits.double(), labels)),
        "macro_f1": float(metrics.f1_score(labels.numpy(), predicted.numpy(), average="macro", zero_division=0.0)),
        "confusion": metrics.confusion_matrix(labels.numpy(), predicted.numpy(), labels=list(classes)).tolist(),
    }


def regression_scores(values: Tensor, targets: Tensor, names: Sequence[str]) -> Scores:
    """Of predicted and true values (n, targets), in the user's units.

    Returns:
        for each target mae, rmse (both in its units) and r2 (None with one example, or all alike); r2, their mean.
    """
    of: dict[str, dict[str, float | None]] = {}
    for column, name in enumerate(names):
        error = (values[:, column] - targets[:, column]).double()
        of[name] = {
            "mae": float(error.abs().mean()),
            "rmse": float(error.square().mean().sqrt()),
            "r2": _r2(values[:, column], targets[:, column]),
        }
    known = [score["r2"] for score in of.values() if score["r2"] is not None]
    return {"examples": len(targets), "r2": sum(known) / len(known) if known else None, "targets": of}


def multilabel_scores(logits: Tensor, labels: Tensor) -> Scores:
    """Of logits (n, labels) and which labels hold (n, labels), 0 or 1. A label is predicted above one half.

    Returns:
        micro_f1, macro_f1, mean_average_precision (fractions; the last over labels that hold somewhere, None where
        none does), exact (examples whose labels are all right), log_loss (mean over labels, nats).
    """
    metrics = require("sklearn.metrics")
    truth, predicted = labels.bool().numpy(), (logits > 0).numpy()
    present = [column for column in range(truth.shape[1]) if truth[:, column].any()]
    precisions = [metrics.average_precision_score(truth[:, column], logits[:, column].numpy()) for column in present]
    return {
        "examples": len(labels),
        "micro_f1": float(metrics.f1_score(truth, predicted, average="micro", zero_division=0.0)),
        "macro_f1": float(metrics.f1_score(truth, predicted, average="macro", zero_division=0.0)),
        "mean_average_precision": float(sum(precisions) / len(precisions)) if precisions else None,
        "exact": float((truth == predicted).all(1).mean()),
        "log_loss": float(functional.binary_cross_entropy_with_logits(logits.double(), labels.double())),
    }


def _r2(values: Tensor, targets: Tensor) -> float | None:
    spread = (targets.double() - targets.double().mean()).square().sum()
    if not float(spread):
        return None
    return 1 - float((values.double() - targets.double()).square().sum() / spread)
