"""What the counter-check tries and what it finds, as plain values. `counter_check` says what they mean together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from narrows.analysis.scoring import ScoreChange


@dataclass(frozen=True)
class CheckOptions:
    """What is tried.

    Attributes:
        levels: of noise on kept weights, fractions of each weight.
        draws: of noise, for each level.
        sizes: lengths that dropped weights may move, relative to the norm of the layer's weights.
        steps: gradient steps for each length.
        layers: looked at, at most: those that keep the smallest fraction.
        seed: of noise, and of the halves.
    """

    levels: tuple[float, ...] = (0.1, 0.3)
    draws: int = 3
    sizes: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0)
    steps: int = 3
    layers: int = 12
    seed: int = 0


@dataclass(frozen=True)
class Perturbed:
    """The score with noise on the kept weights.

    Attributes:
        level: standard deviation of the noise, a fraction of each weight.
        score: mean over the draws.
        error: standard error of that mean; 0 for one draw.
    """

    level: float
    score: float
    error: float


@dataclass(frozen=True)
class Moved:
    """Dropped weights let go, and the control.

    Attributes:
        size, control_size: length taken, relative to the norm of the layer's weights; 0: none lowered the loss.
        dropped, control: the task before and after, on the half that nothing was fitted to.
        advantage: from the control to the dropped weights let go.
        classes, class_advantages: the same for the recall of each class.
    """

    size: float
    control_size: float
    dropped: ScoreChange
    control: ScoreChange
    advantage: ScoreChange
    classes: tuple[ScoreChange, ...]
    class_advantages: tuple[ScoreChange, ...]


@dataclass(frozen=True)
class LayerCheck:
    """One layer; None where there was nothing to do (nothing kept, nothing dropped, no earlier task).

    Attributes:
        layer: its parameter.
        weights, kept: how many there are and how many the task keeps.
        perturbed: for each level of noise.
        removed: with all its kept weights at 0.
        offered: dropped weights that earlier tasks have a value of.
        put_back: with those at these values; `put_back_classes`: the recall of each class.
        moved: with dropped weights let go along the gradient.
    """

    layer: str
    weights: int
    kept: int
    perturbed: tuple[Perturbed, ...]
    removed: ScoreChange | None
    offered: int
    put_back: ScoreChange | None
    put_back_classes: tuple[ScoreChange, ...]
    moved: Moved | None


@dataclass(frozen=True)
class Finding:
    """Dropped weights that may have been suppressed wrongly.

    Attributes:
        layer: its parameter.
        way: "put back" at earlier tasks' values, or "moved" along the gradient.
        score: name of the score.
        change: of the whole score.
        class_change: of the recall of the class that shows it, where it is one class.
    """

    layer: str
    way: Literal["put back", "moved"]
    score: str
    change: ScoreChange
    class_change: ScoreChange | None

    def text(self) -> str:
        """A sentence."""
        how = "as earlier tasks have them" if self.way == "put back" else "and letting them move"
        gain = f"{self.score} changes by {100 * self.change.gain:+.1f} ± {100 * self.change.error:.1f} points"
        one = self.class_change
        named = "" if one is None else f', the recall of class "{one.group}" by {100 * one.gain:+.1f}'
        return (
            f"Putting back dropped weights of {self.layer} {how}: {gain}{named}. It may have been suppressed wrongly."
        )


@dataclass(frozen=True)
class CounterCheck:
    """A task's layers, tried one by one (measured now, from `tasks/*` and the examples given).

    Attributes:
        score: which: "accuracy", "r2" or "micro_f1".
        examples: that all but `moved` was measured on; `moved` on half of them.
        baseline, error: the score as it is, and its standard error.
        layers: those looked at.
        left_out: layers not looked at, as there are more than `CheckOptions.layers`.
        threshold: probability below which a gain counts as no noise.
        findings: empty where nothing exceeds the noise.
    """

    score: str
    examples: int
    baseline: float
    error: float
    layers: tuple[LayerCheck, ...]
    left_out: tuple[str, ...]
    threshold: float
    findings: tuple[Finding, ...]
