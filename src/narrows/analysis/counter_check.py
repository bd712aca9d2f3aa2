"""The counter-check: what becomes of a task when a layer's kept weights are disturbed or its dropped ones put back.

For each layer of a task, on labelled examples:

* *perturbed*: its kept weights times 1 + level * e, e standard normal, a few draws;
* *removed*: its kept weights set to 0;
* *put back as earlier tasks have them*: dropped weights at the values that warm start offered the task (the frozen
  values of the tasks before it);
* *moved*: dropped weights let go from 0 along the gradient of the loss on one half of the examples (a line search over
  a few lengths, `edits.moved`), the task measured on the other half. The *control* gives the layer's kept weights the
  same lengths and the same half, so that what any further training on these examples gives does not pass as a finding.

A finding is a gain, of the whole score or of the recall of one class, that noise gives with a probability below
`SURE` / (number of comparisons of this task); a *moved* one must exceed its control by as much. It says: it *may*
have been suppressed wrongly (or the density is too low for the task). It is no proof: half of the examples are few, and
one layer is looked at at a time. What no layer alone can bring back is not found.

Knows a loaded network, what it keeps and examples; nothing is written anywhere.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from narrows.analysis.check_results import CheckOptions, CounterCheck, Finding, LayerCheck, Moved, Perturbed
from narrows.analysis.edits import holding, moved, noisy
from narrows.analysis.labelled import Labelled
from narrows.analysis.layers import Layer, layers_of
from narrows.analysis.scoring import SCORES, ScoreChange, ScoredOutputs, compare, compare_classes, outcome
from narrows.subnet import Composition, SubNetwork, positions_of
from narrows.subnet.composing import NOBODY

SURE = 0.01
WAYS = 2
"""Ways in which dropped weights are put back."""


def counter_check(
    model: nn.Module,
    subnet: SubNetwork,
    data: Labelled,
    *,
    earlier: Composition | None = None,
    options: CheckOptions | None = None,
) -> CounterCheck:
    """Tries a task's layers one by one.

    Args:
        model: from `store.load`; put back to the bit.
        subnet: what it keeps, of the parameters that are looked at.
        earlier: what the tasks before it hold, where it could reuse that.

    Raises:
        DataError: the network gives outputs that do not fit the targets.
    """
    options = options or CheckOptions()
    distinct = {layer.parameter: layer for layer in reversed(layers_of(model, subnet.parts))}  # tied weights once
    kept = {name: part.kept for name, part in subnet.parts.items()}
    by_need = sorted(distinct, key=lambda name: len(kept[name]) / max(distinct[name].weight.numel(), 1))
    chosen = [name for name in kept if name in by_need[: options.layers]]
    before = outcome(model, data)
    trial = _Trial(model, data, options, before)
    checks = tuple(trial.check(distinct[name], kept[name], earlier) for name in chosen)
    groups = 1 + (len(torch.unique(data.y)) if data.kind == "classification" else 0)
    threshold = SURE / max(1, WAYS * len(checks) * groups)
    return CounterCheck(
        score=SCORES[data.kind],
        examples=len(data),
        baseline=before.score,
        error=before.error,
        layers=checks,
        left_out=tuple(by_need[options.layers :]),
        threshold=threshold,
        findings=tuple(found for check in checks for found in findings(check, SCORES[data.kind], threshold)),
    )


def findings(check: LayerCheck, score: str, threshold: float) -> tuple[Finding, ...]:
    """What of a layer's check exceeds the noise."""
    found: list[Finding] = []
    if check.put_back is not None:
        sure = [change for change in check.put_back_classes if change.p < threshold]
        found += _finding(check.layer, "put back", score, check.put_back, check.put_back.p < threshold, sure)
    if check.moved is not None:
        tried = check.moved
        pairs = zip(tried.classes, tried.class_advantages, strict=True)
        sure = [change for change, over in pairs if change.p < threshold and over.p < threshold]
        whole = tried.dropped.p < threshold and tried.advantage.p < threshold
        found += _finding(check.layer, "moved", score, tried.dropped, whole, sure)
    return tuple(found)


def _finding(
    layer: str, way: Literal["put back", "moved"], score: str, change: ScoreChange, whole: bool, sure: list[ScoreChange]
) -> list[Finding]:
    """A class counts where the whole does not pay for it: a shift from one class to another is no finding."""
    best = max(sure, key=lambda change: change.gain, default=None)
    return [Finding(layer, way, score, change, best)] if whole or (best is not None and change.gain >= 0) else []


class _Trial:
    """One task's network, and the examples."""

    def __init__(self, model: nn.Module, data: Labelled, options: CheckOptions, before: ScoredOutputs) -> None:
        self.model, self.data, self.options, self.before = model, data, options, before
        self.halves = data.halves(options.seed) if len(data) > 1 else None

    def check(self, layer: Layer, kept: Tensor, earlier: Composition | None) -> LayerCheck:
        offered = _offered(layer, kept, earlier)
        put_back: ScoredOutputs | None = None
        if earlier is not None and len(offered):
            value = layer.weight.detach().clone()
            value.view(-1)[offered.to(value.device)] = earlier.values[layer.parameter][offered].to(value)
            put_back = self._with(layer, value)
        removed = self._with(layer, torch.zeros_like(layer.weight)) if len(kept) else None
        total = layer.weight.numel()
        return LayerCheck(
            layer=layer.parameter,
            weights=total,
            kept=len(kept),
            perturbed=tuple(self._perturbed(layer, level) for level in self.options.levels) if len(kept) else (),
            removed=None if removed is None else compare(self.before, removed),
            offered=len(offered),
            put_back=None if put_back is None else compare(self.before, put_back),
            put_back_classes=() if put_back is None else compare_classes(self.before, put_back, self.data.names),
            moved=self._moved(layer, kept) if len(kept) < total else None,
        )

    def _with(self, layer: Layer, value: Tensor, data: Labelled | None = None) -> ScoredOutputs:
        with holding(layer.weight, value):
            return outcome(self.model, data or self.data)

    def _perturbed(self, layer: Layer, level: float) -> Perturbed:
        seeds = range(self.options.seed * 1009, self.options.seed * 1009 + self.options.draws)
        scores = torch.tensor(
            [self._with(layer, noisy(layer.weight, level, seed)).score for seed in seeds], dtype=torch.float64
        )
        error = float(scores.std()) / len(scores) ** 0.5 if len(scores) > 1 else 0.0
        return Perturbed(level, float(scores.mean()), error)

    def _moved(self, layer: Layer, kept: Tensor) -> Moved | None:
        if self.halves is None:
            return None
        (size, dropped), (control_size, control) = (
            self._let_go(layer, kept, are_kept, *self.halves) for are_kept in (False, True)
        )
        before, names = outcome(self.model, self.halves[1]), self.data.names
        return Moved(
            size=size,
            control_size=control_size,
            dropped=compare(before, dropped),
            control=compare(before, control),
            advantage=compare(control, dropped),
            classes=compare_classes(before, dropped, names),
            class_advantages=compare_classes(control, dropped, names),
        )

    def _let_go(
        self, layer: Layer, kept: Tensor, are_kept: bool, fitting: Labelled, measuring: Labelled
    ) -> tuple[float, ScoredOutputs]:
        sizes, steps = self.options.sizes, self.options.steps
        value, size = moved(self.model, layer.weight, kept, fitting, sizes, steps, dropped=not are_kept)
        return size, self._with(layer, value, measuring)


def _offered(layer: Layer, kept: Tensor, earlier: Composition | None) -> Tensor:
    """Positions of dropped weights that earlier tasks have a value of."""
    if earlier is None:
        return kept[:0]
    held = earlier.owners[layer.parameter] != NOBODY
    held[kept] = False
    return positions_of(held)
