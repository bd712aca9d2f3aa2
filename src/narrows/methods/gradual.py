"""Pruning over the course of training: the gradual choice of the sub-network, whatever the scores are."""

from __future__ import annotations

import abc
import warnings
from collections.abc import Sequence
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from narrows.masks import Layout, magnitudes, pick, places, put_, spread
from narrows.methods.base import Extent, Learner, SharedWeights, State
from narrows.methods.evidence import Evidence, latest_start
from narrows.methods.isolation import Isolator
from narrows.methods.schedule import Budget, Choice, Chooser, Curve, Price, Worth
from narrows.methods.sizes import Sizes


class GradualConfig(Protocol):
    """What a gradual learner reads of its method's options; see `IBM` for what they mean."""

    @property
    def name(self) -> str: ...
    @property
    def refines(self) -> bool: ...
    @property
    def prune_from(self) -> float: ...
    @property
    def prune_until(self) -> float: ...
    @property
    def prune_every(self) -> int | None: ...


class GradualLearner(Learner):
    """Asks a subclass for scores every few steps and keeps what its target allows.

    The higher a weight's score, the more it is worth keeping; all layers are ranked together. Where frozen weights may
    be refined, what counts for a value of the task's own is its distance from the frozen one, which is what the task
    falls back to.

    Where scores come from gradients, nothing leaves before every shared tensor has had one (`evidence`): the choice is
    put off, and its curve laid over the training that is left.
    """

    evidence: Evidence | None = None
    remedy: ClassVar[str] = "Raise the budget (density)."

    def __init__(self, shared: SharedWeights, config: GradualConfig, plan: Extent) -> None:
        super().__init__(shared)
        self.plan = plan
        self.method = config.name
        self.total_steps = plan.require_steps(self.method)
        self.layout = Layout(param.shape for param in shared.params)
        self.isolator = Isolator(shared)
        target = self.target()
        # With nothing to spend on values of its own a task had better leave the frozen ones alone from the start.
        self._refines = config.refines and target.new > 0 and shared.frozen_count() > 0
        self._chooser = Chooser(self.layout, shared.frozen_at, target, refine=self._refines)
        self._signals: Sizes | None = None
        self._use(self._chooser.everything())
        self._options = config
        self._follow(Curve.over(self.total_steps, config.prune_from, config.prune_until))
        self._latest = latest_start(self._curve.stop, self.total_steps)
        self.step = 0
        self._settled = False

    @abc.abstractmethod
    def target(self) -> Budget | Price:
        """What to shrink to, in the units of the scores."""

    @abc.abstractmethod
    def scores(self, weights: Sequence[Tensor], at: Sequence[Tensor] | None = None) -> Tensor:
        """What `weights` are worth against being 0, as one vector.

        Args:
            weights: in the parameters' shapes; or those at the positions `at` of each parameter, 1-D.
            at: positions; once settled, those of the sub-network only.
        """

    def chosen(self, scores: Tensor, threshold: Tensor, at: Sequence[Tensor]) -> None:
        """Called at the last choice, with the scores of what was kept, what it had to beat, and where it is."""

    def waited(self) -> None:
        """Called after each step at which the choice was put off."""

    @property
    def masks(self) -> list[Tensor]:
        return self.isolator.masks

    @property
    def claims(self) -> list[Tensor]:
        return self.isolator.claims

    @property
    def settled(self) -> bool:
        """Whether the last choice was made."""
        return self._settled

    @property
    def pruning(self) -> tuple[int, int]:
        return self._curve.start, self._curve.stop

    def sizes(self) -> Sizes:
        if self._signals is None:  # the choice stands for several steps
            parts = (self._choice.own, self._choice.reused)
            new, reused = (int(part.count_nonzero()) / self.layout.total for part in parts)
            self._signals = Sizes(new, reused)
        return self._signals

    def state(self) -> State:
        return {
            "step": self.step,
            "settled": self._settled,
            "curve": list(self.pruning),
            "evidence": None if self.evidence is None else self.evidence.state(),
            "own": self._choice.own,
            "reused": self._choice.reused,
        }

    def load_state(self, state: State) -> None:
        self.step, self._settled = state["step"], state["settled"]
        self._follow(Curve(*state["curve"]))
        if self.evidence is not None:
            self.evidence.load_state(state["evidence"])
        own, reused = (state[part].to(self._choice.own.device, copy=True) for part in ("own", "reused"))
        self._use(Choice(own, reused))
        if self._settled:
            self.isolator.settle()

    def after_step(self) -> None:
        self.step += 1
        if not self.settled and self.step > self._curve.start:
            last = self.step >= self._curve.stop
            if self.evidence is not None and self.evidence.awaited(self.step, self._latest):
                self._follow(
                    Curve.over(self.total_steps, self._options.prune_from, self._options.prune_until, self.step)
                )
                self.waited()
            elif last or self.step % self._every == 0:
                self._choose(self._curve.at(self.step))
                if last:
                    self._settle()
        self.isolator.restore()

    def finish(self) -> None:
        if not self.settled:
            if self.evidence is not None:
                self.evidence.require(self.step)
            if self.step:
                warnings.warn(
                    f"{self.method}: training ended at step {self.step} of the {self.total_steps} it was told; the "
                    "rest of the sub-network's weights leave at once, which costs accuracy. Say the true total_steps.",
                    stacklevel=2,
                )
            self._choose(1.0)
            self._settle()
        self.isolator.restore()

    @torch.no_grad()
    def _choose(self, progress: float) -> None:
        at, frozen_at = self._choice.own_at, self.shared.frozen_at
        frozen = self._frozen()
        mine = Worth(self._scores_of_own(at), magnitudes(lambda: self._own(at)))
        theirs = Worth(self.scores(frozen, frozen_at), magnitudes(frozen))
        self._use(self._chooser.choose(mine, theirs, self._choice, progress))
        if progress >= 1:
            self.chosen(*self._kept())
            self._warn_of_empty_layers()

    def _settle(self) -> None:
        """Lets go of what only another choice would need."""
        self._settled = True
        self._use(Choice(self._choice.own, self._choice.reused))
        self.isolator.settle()
        if self.evidence is not None:
            self.evidence.let_go([places(mask) for mask in self.masks])

    def _kept(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Of the weights of the sub-network: the score of each as the task has it, what it had to beat, and where."""
        at = [places(mask) for mask in self.masks]
        is_own = self.layout.join([pick(claim, one) for claim, one in zip(self.claims, at, strict=True)])
        values = self._own(at)
        if self._refines:
            rows = zip(self.shared.params, self.shared.frozen_at, self._frozen(), at, strict=True)
            reused = [pick(spread(param.shape, frozen, value), one) for param, frozen, value, one in rows]
            parts = torch.split(is_own, [one.numel() for one in at])
            values = [torch.where(*row) for row in zip(parts, values, reused, strict=True)]
        scores = self.scores(values, at)
        return scores, self._chooser.threshold(scores, is_own), at

    def _scores_of_own(self, at: Sequence[Tensor] | None) -> Tensor:
        """`scores` of `_own`, without another copy of all weights."""
        if at is not None or not self._refines:
            return self.scores(self._own(at), at)
        params, frozen_at = [param.detach() for param in self.shared.params], self.shared.frozen_at
        scores = self.scores(params)
        rows = zip(params, frozen_at, self.shared.frozen_values, strict=True)
        refined = self.scores([pick(param, one).sub_(held) for param, one, held in rows], frozen_at)
        for part, one, score in zip(self.layout.split(scores), frozen_at, self._chooser.split(refined), strict=True):
            put_(part, one, score)
        return scores

    def _own(self, at: Sequence[Tensor] | None) -> list[Tensor]:
        """How far weights are from what they fall back to: all of them, or those at these positions, 1-D."""
        values = [param.detach() for param in self.shared.params]
        if self._refines:
            rows = zip(values, self.shared.frozen_at, self.shared.frozen_values, strict=True)
            # It falls back to 0 where it is free: there the distance is the weight itself.
            values = [put_(value.clone(), frozen, pick(value, frozen).sub_(held)) for value, frozen, held in rows]
        return values if at is None else [pick(value, one) for value, one in zip(values, at, strict=True)]

    def _frozen(self) -> list[Tensor]:
        """The value of each frozen weight, 1-D: where it is not refined, the parameter's."""
        if self._refines:
            return self.shared.frozen_values
        return [pick(param, at) for param, at in zip(self.shared.params, self.shared.frozen_at, strict=True)]

    def _follow(self, curve: Curve) -> None:
        self._curve = curve
        self._every = self._options.prune_every or curve.interval()

    def _use(self, choice: Choice) -> None:
        self._choice = choice
        self._signals = None
        self.isolator.hold(self.layout.split(choice.own), self._chooser.split(choice.reused))

    def _warn_of_empty_layers(self) -> None:
        without = () if self.evidence is None else self.evidence.lacking  # it is 0 all over: nothing was lost
        rows = enumerate(zip(self.shared.names, self.masks, strict=True))
        empty = [name for at, (name, mask) in rows if at not in without and not bool(mask.any())]
        if empty:
            warnings.warn(
                f"{self.method}: no weight is kept of {', '.join(empty)}, so nothing passes there. {self.remedy}",
                stacklevel=2,
            )
