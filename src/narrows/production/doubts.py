"""What is odd about a task that was learned: next to nothing was learned, or pruning took it away again.

Knows figures only: outputs, scores and losses of a training that is over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from narrows.data import Examples
from narrows.errors import DataError
from narrows.production.evaluating import outputs_of
from narrows.production.learning_data import LearningData, in_order
from narrows.training import Fit, History

MEASURED = 1024
"""Training examples that are looked at where there are no validation data."""
LOST = 0.25
"""Share of what had been learned, beyond what chance gives, whose loss in pruning is worth a word."""
EXPLAINED = 0.1
"""Share of the variance of a target that is next to nothing."""

REMEDY = (
    "Give it more epochs (--epochs), smaller batches (--batch-size), more of the weights (--set density=0.1, of ibm) "
    "or another learning rate (--lr). `narrows forget` undoes it."
)


def doubts_of(network: nn.Module, material: LearningData, fit: Fit, history: History) -> tuple[str, ...]:
    """A sentence for each doubt, with what can be done; () where all is well.

    Args:
        network: the task's, as it is loaded.
        material: what it was learned from.
        fit: how training went.
        history: of the same; says when the sub-network had its size.
    """
    kind = material.schema.target.kind
    found = [*_near_chance(network, material, kind), *_fallen(material, kind, fit, history)]
    return (*found[:-1], f"{found[-1]} {REMEDY}") if found else ()


def _near_chance(network: nn.Module, material: LearningData, kind: str) -> list[str]:
    held = material.valid
    examples = _first(material.train) if held is None else held
    assert examples.y is not None
    try:
        outputs = outputs_of(network, in_order(material.schema, examples))
    except DataError as error:  # infinite for some
        return [str(error)]
    where = "training" if held is None else "validation"
    if kind == "regression":
        explained = float(1 - (outputs - examples.y).square().mean() / examples.y.var(0, correction=0).mean())
        if not explained <= EXPLAINED:
            return []
        share = f"{max(explained, 0):.1%}"
        return [f"On the {where} data it explains {share} of the variance: always saying the mean does nearly as well."]
    right, chance = _right(outputs, examples.y, kind), _majority(examples.y, kind)
    if right > min(chance + 2 * _deviation(chance, len(examples)), (1 + chance) / 2):
        return []
    always = "the commonest class" if kind == "classification" else "of each label what is commoner"
    return [
        f"It is right in {right:.1%} of the {where} data, and always saying {always} would be in {chance:.1%}: it has "
        "learned next to nothing."
    ]


def _fallen(material: LearningData, kind: str, fit: Fit, history: History) -> list[str]:
    """Of the best epoch while the sub-network was not down to its size, and the one that was kept."""
    planned, settled = history.schedule, history.schedule.prune_until
    if not settled or not planned.total_steps or not planned.epochs:
        return []
    denser = math.ceil(settled * planned.epochs / planned.total_steps) - 1  # epochs that were over before
    measured = bool(fit.scores)
    values = fit.scores if measured else [-loss for loss in fit.losses]
    if not 0 < denser < len(values):
        return []
    before, after = max(values[:denser]), values[-1 if fit.best_epoch is None else fit.best_epoch]
    examples = material.valid if measured else material.train
    assert examples is not None
    assert examples.y is not None
    accuracies = measured and kind == "classification"
    chance = _majority(examples.y, kind) if accuracies else -_chance_loss(examples.y, kind)
    noise = 2 * _deviation(before, len(examples)) if accuracies else 0.0
    if not before - after > max(LOST * (before - chance), noise):
        return []
    what = "it was right in {:.1%} of the validation data" if accuracies else "its loss was {:.3g}"
    then, now = (before, after) if accuracies else (-before, -after)
    of = "" if accuracies or not measured else " on the validation data"
    of = " on the training data" if not measured else of
    end = f"and is right in {now:.1%} now" if accuracies else f"and is {now:.3g} now"
    return [f"Before it was pruned {what.format(then)}{of}, {end}: pruning cost much of what it had learned."]


def _right(outputs: Tensor, y: Tensor, kind: str) -> float:
    hits = outputs.argmax(1) == y if kind == "classification" else (outputs > 0) == (y > 0)
    return float(hits.double().mean())


def _majority(y: Tensor, kind: str) -> float:
    """How often one is right who always says the commonest."""
    if kind == "classification":
        return float(torch.bincount(y).max()) / len(y)
    share = y.double().mean(0)
    return float(torch.maximum(share, 1 - share).mean())


def _chance_loss(y: Tensor, kind: str) -> float:
    """The loss of who knows nothing but the targets' shares, or mean."""
    if kind == "classification":
        share = torch.bincount(y).double() / len(y)
        return float(-(share * share.clamp_min(1e-30).log()).sum())
    if kind == "regression":
        return float(y.double().var(0, correction=0).mean())
    share = y.double().mean(0).expand(y.shape)
    return float(functional.binary_cross_entropy(share, y.double()))


def _deviation(share: float, count: int) -> float:
    return math.sqrt(max(share * (1 - share), 0.0) / count)


def _first(examples: Examples) -> Examples:
    """Spread over all of them, as files are often sorted by class."""
    rows: Sequence[int] = range(0, len(examples), math.ceil(len(examples) / MEASURED))
    assert examples.y is not None
    chosen = torch.tensor(rows)
    return replace(examples, x=examples.x[chosen], y=examples.y[chosen], ids=tuple(examples.ids[row] for row in rows))
