"""Scores with their noise, and whether one network is better than another on the same examples by more than noise.

The scores are those of `narrows.production.scores`: accuracy of a classification, mean R2 of a regression's outputs,
micro F1 of labels. Each is a ratio of sums over examples, s = sum a / sum b; its noise is that of the examples drawn,
by the delta method: the influence of example i is z_i = (a_i - s b_i) / mean b, the standard error sd(z) / sqrt n, and
that of a difference of two networks on the same examples sd(z - z') / sqrt n.

Knows outputs and targets; no model and no store.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor, nn

from narrows.analysis.labelled import Labelled
from narrows.data.options import Kind
from narrows.errors import DataError
from narrows.training import evaluating
from narrows.training.device import device_of

SCORES: dict[Kind, str] = {"classification": "accuracy", "regression": "r2", "multilabel": "micro_f1"}
"""Name of the score of each kind of target."""


@dataclass(frozen=True, eq=False)
class ScoredOutputs:
    """A network on examples.

    Attributes:
        score: higher is better, 1 at best.
        influence: float64 (n,), mean 0; see above.
        right: bool (n,): whether each example's class is right; None but for a classification.
        y: the targets.
    """

    score: float
    influence: Tensor
    right: Tensor | None
    y: Tensor

    @property
    def error(self) -> float:
        """Standard error of the score."""
        return _error(self.influence)


@dataclass(frozen=True)
class ScoreChange:
    """A score before and after something was done to a network, on the same examples.

    Attributes:
        group: None for all examples, or the class whose recall it is.
        examples: that it was measured on.
        before, after: scores (of a class: recall), fractions.
        error: standard error of after - before, from the differences example by example.
        p: probability of a gain so large if nothing had changed. Of a classification by the exact sign test of
            McNemar (examples put right against examples put wrong); otherwise by a normal approximation.
    """

    group: str | None
    examples: int
    before: float
    after: float
    error: float
    p: float

    @property
    def gain(self) -> float:
        """after - before."""
        return self.after - self.before


@torch.no_grad()
def outcome(model: nn.Module, data: Labelled) -> ScoredOutputs:
    """How a network does on examples, in eval mode.

    The score of a classification is that of `narrows.training.accuracy` on the same batches, to the last bit.

    Raises:
        DataError: it gives outputs of another shape than (n, outputs), or not as many as there are targets.
    """
    parts = []
    with evaluating(model):
        for x, _ in data.batches():
            parts.append(model(x.to(device_of(model))).detach().cpu())
    outputs = torch.cat(parts)
    return outcome_of(outputs, data)


def outcome_of(outputs: Tensor, data: Labelled) -> ScoredOutputs:
    """The same of outputs (n, outputs)."""
    y = data.y
    if outputs.dim() != 2 or (data.kind != "classification" and outputs.shape != y.shape):
        raise DataError(
            f"for {len(y)} targets of a {data.kind} {tuple(y.shape)} the network gives outputs {tuple(outputs.shape)}"
        )
    if data.kind == "classification":
        right = outputs.argmax(1) == y
        score = int(right.sum()) / len(y)
        return ScoredOutputs(score, right.double() - score, right, y)
    if data.kind == "multilabel":
        predicted, truth = outputs > 0, y > 0.5
        above = 2.0 * (predicted & truth).sum(1).double()
        below = predicted.sum(1).double() + truth.sum(1).double()
        total = float(below.sum())
        score = float(above.sum()) / total if total else 0.0
        return ScoredOutputs(score, (above - score * below) / max(total / len(y), 1e-300), None, y)
    errors, spread = (outputs.double() - y.double()).square(), (y.double() - y.double().mean(0)).square()
    known = spread.mean(0) > 0  # an output that is always the same has no R2
    if not bool(known.any()):
        return ScoredOutputs(0.0, torch.zeros(len(y)).double(), None, y)
    errors, spread = errors[:, known], spread[:, known]
    lost = errors.mean(0) / spread.mean(0)
    influence = ((lost * spread - errors) / spread.mean(0)).mean(1)
    return ScoredOutputs(1 - float(lost.mean()), influence, None, y)


def compare(before: ScoredOutputs, after: ScoredOutputs) -> ScoreChange:
    """What became better or worse, over all examples.

    >>> data = Labelled(torch.zeros(4, 1), torch.tensor([0, 0, 1, 1]))
    >>> wrong, right = torch.tensor([[1.0, 0.0]]).repeat(4, 1), torch.eye(2).repeat_interleave(2, 0)
    >>> change = compare(outcome_of(wrong, data), outcome_of(right, data))
    >>> change.before, change.after, change.p
    (0.5, 1.0, 0.25)
    """
    difference = after.influence - before.influence
    gain, error = after.score - before.score, _error(difference)
    if before.right is None or after.right is None:
        p = 1 - NormalDist().cdf(gain / error) if error > 0 else 0.5
    else:
        p = sign_test(int((after.right & ~before.right).sum()), int((before.right & ~after.right).sum()))
    return ScoreChange(None, len(before.y), before.score, after.score, error, p)


def compare_classes(before: ScoredOutputs, after: ScoredOutputs, names: tuple[str, ...]) -> tuple[ScoreChange, ...]:
    """The same for the recall of each class that has examples; () but for a classification."""
    if before.right is None or after.right is None:
        return ()
    changes = []
    for label in torch.unique(before.y).tolist():
        rows = before.y == label
        one, other = before.right[rows].double(), after.right[rows].double()
        p = sign_test(int((other > one).sum()), int((one > other).sum()))
        name = names[label] if label < len(names) else str(label)
        changes.append(ScoreChange(name, len(one), float(one.mean()), float(other.mean()), _error(other - one), p))
    return tuple(changes)


def sign_test(gained: int, lost: int) -> float:
    """Probability of so many gains or more among `gained` + `lost` changes if each were as likely a loss.

    McNemar 1947, in its exact, one-sided form.

    >>> sign_test(5, 0), sign_test(0, 0), sign_test(1, 1)
    (0.03125, 1.0, 0.75)
    """
    changed = gained + lost
    ways: int = sum(math.comb(changed, count) for count in range(gained, changed + 1))
    return float(ways / (1 << changed))


def _error(differences: Tensor) -> float:
    """Standard error of their mean; 0 for one example."""
    count = len(differences)
    return float(differences.std()) / math.sqrt(count) if count > 1 else 0.0
