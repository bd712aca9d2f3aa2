"""Pruning over the course of training: the gradual choice of the sub-network, whatever the scores are."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from narrows.masks import Layout, magnitudes, pick, put_
from narrows.methods.base import Learner, SharedWeights, State
from narrows.methods.evidence import Evidence
from narrows.methods.information import FisherAverage
from narrows.methods.isolation import Isolator
from narrows.methods.pace import Pace
from narrows.methods.schedule import Budget, Choice, Chooser, Curve, Price, Worth
from narrows.methods.sizes import Sizes


def choosing(shared: SharedWeights, target: Budget | Price, *, refines: bool) -> Chooser:
    """What shrinks all of `shared` to the target; frozen weights get values of the task's own where it `refines`.

    With nothing to spend on values of its own a task had better leave the frozen ones alone from the start.
    """
    refine = refines and target.new > 0 and shared.frozen_count() > 0
    return Chooser(Layout(param.shape for param in shared.params), shared.frozen_at, target, refine=refine)


class GradualLearner(Learner):
    """Every few steps, or at one, keeps of its weights what its target allows; what has left stays out.

    The higher a weight's score, the more it is worth keeping. Where frozen weights may be refined, what counts for a
    value of the task's own is its distance from the frozen one, which is what the task falls back to.

    Where scores come from gradients, nothing leaves before every shared tensor has had one (`evidence`): the choice is
    put off, and its curve laid over the training that is left.

    Args:
        shared: the parameters it works on.
        method: its name, for messages.
        pace: when weights leave.
        chooser: how many, and which are ranked together.
        fisher: what theta^2 F is made of, the score of a weight; without it that is |w|.
        evidence: which tensors have had a gradient, where that must be known; by default `fisher`.
    """

    remedy: ClassVar[str] = "Raise the budget (density)."

    def __init__(
        self,
        shared: SharedWeights,
        method: str,
        pace: Pace,
        chooser: Chooser,
        fisher: FisherAverage | None = None,
        evidence: Evidence | None = None,
    ) -> None:
        super().__init__(shared)
        self.method, self.pace, self.chooser = method, pace, chooser
        self.fisher, self.evidence = fisher, evidence or fisher
        self.layout = chooser.layout
        self.isolator = Isolator(shared)
        self._use(chooser.everything())
        self.step = 0
        self._settled = False

    def scores(self, weights: Sequence[Tensor], at: Sequence[Tensor] | None = None) -> Tensor:
        """What `weights` are worth against being 0, as one vector.

        Args:
            weights: in the parameters' shapes; or those at the positions `at` of each parameter, 1-D.
            at: positions; once settled, those of the sub-network only.
        """
        if self.fisher is not None:
            return self.fisher.joined(weights, at)
        return self.layout.join([weight.detach().abs() for weight in weights])

    def chosen(self) -> None:
        """Called when the last choice is made; lets go of what was seen of weights that nobody will ask for."""
        if self.evidence is not None:
            self.evidence.let_go([at[:0] for at in self.shared.frozen_at])

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
        return self.pace.span

    def sizes(self) -> Sizes:
        parts = (self._choice.own, self._choice.reused)
        return Sizes(*(int(part.count_nonzero()) / self.layout.total for part in parts))

    def state(self) -> State:
        return {
            "step": self.step,
            "settled": self._settled,
            "curve": [self.pace.curve.start, self.pace.curve.stop],
            "evidence": None if self.evidence is None else self.evidence.state(),
            "own": self._choice.own,
            "reused": self._choice.reused,
        }

    def load_state(self, state: State) -> None:
        self.step, self._settled = state["step"], state["settled"]
        self.pace.follow(Curve(*state["curve"]))
        if self.evidence is not None:
            self.evidence.load_state(state["evidence"])
        own, reused = (state[part].to(self._choice.own.device, copy=True) for part in ("own", "reused"))
        self._use(Choice(own, reused))
        if self._settled:
            self.isolator.settle()

    @torch.no_grad()
    def before_step(self) -> None:
        if self.evidence is not None and not self._settled:
            self.evidence.add()
        self.isolator.mask_gradients()

    def after_step(self) -> None:
        self.step += 1
        if not self._settled and self.pace.asks(self.step):
            if self.evidence is not None and self.evidence.awaited(self.step, self.pace.latest):
                self.pace.put_off(self.step)
                self.waited()
            elif self.pace.due(self.step):
                self._choose(self.pace.curve.at(self.step))
        self.isolator.restore()

    def finish(self) -> None:
        if not self._settled:
            if self.evidence is not None:
                self.evidence.require(self.step)
            if self.step:
                warnings.warn(
                    f"{self.method}: training ended at step {self.step} of the {self.pace.total} it was told; the "
                    "rest of the sub-network's weights leave at once, which costs accuracy. Say the true total_steps.",
                    stacklevel=2,
                )
            self._choose(1.0)
        self.isolator.restore()

    @torch.no_grad()
    def _choose(self, progress: float) -> None:
        at, frozen_at = self._choice.own_at, self.shared.frozen_at
        frozen = self._frozen()
        mine = Worth(self._scores_of_own(at), magnitudes(lambda: self.distances(at)))
        theirs = Worth(self.scores(frozen, frozen_at), magnitudes(frozen))
        self._use(self.chooser.choose(mine, theirs, self._choice, progress))
        if progress >= 1:
            self._settled = True
            self._use(Choice(self._choice.own, self._choice.reused))  # without what only another choice would need
            self.isolator.settle()
            self.chosen()
            self._warn_of_empty_layers()

    def _scores_of_own(self, at: Sequence[Tensor] | None) -> Tensor:
        """`scores` of `distances`, without another copy of all weights."""
        if at is not None or not self.chooser.refine:
            return self.scores(self.distances(at), at)
        params, frozen_at = [param.detach() for param in self.shared.params], self.shared.frozen_at
        scores = self.scores(params)
        rows = zip(params, frozen_at, self.shared.frozen_values, strict=True)
        refined = self.scores([pick(param, one).sub_(held) for param, one, held in rows], frozen_at)
        for part, one, score in zip(self.layout.split(scores), frozen_at, self.chooser.split(refined), strict=True):
            put_(part, one, score)
        return scores

    def distances(self, at: Sequence[Tensor] | None) -> list[Tensor]:
        """How far weights are from what they fall back to: all of them, or those at these positions, 1-D."""
        values = [param.detach() for param in self.shared.params]
        if self.chooser.refine:
            rows = zip(values, self.shared.frozen_at, self.shared.frozen_values, strict=True)
            # It falls back to 0 where it is free: there the distance is the weight itself.
            values = [put_(value.clone(), frozen, pick(value, frozen).sub_(held)) for value, frozen, held in rows]
        return values if at is None else [pick(value, one) for value, one in zip(values, at, strict=True)]

    def _frozen(self) -> list[Tensor]:
        """The value of each frozen weight, 1-D: where it is not refined, the parameter's."""
        if self.chooser.refine:
            return self.shared.frozen_values
        return [pick(param, at) for param, at in zip(self.shared.params, self.shared.frozen_at, strict=True)]

    def _use(self, choice: Choice) -> None:
        self._choice = choice
        self.isolator.hold(self.layout.split(choice.own), self.chooser.split(choice.reused))

    def _warn_of_empty_layers(self) -> None:
        without = () if self.evidence is None else self.evidence.lacking  # it is 0 all over: nothing was lost
        rows = enumerate(zip(self.shared.names, self.masks, strict=True))
        empty = [name for at, (name, mask) in rows if at not in without and not bool(mask.any())]
        if empty:
            warnings.warn(
                f"{self.method}: no weight is kept of {', '.join(empty)}, so nothing passes there. {self.remedy}",
                stacklevel=2,
            )
