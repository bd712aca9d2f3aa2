"""Pruning over the course of training: the gradual choice of the sub-network, whatever the scores are."""

from __future__ import annotations

import abc
import warnings
from collections.abc import Sequence
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from narrows.masks import Layout
from narrows.methods.base import Learner, Plan, SharedWeights, State
from narrows.methods.evidence import Evidence, latest_start
from narrows.methods.isolation import Isolator
from narrows.methods.schedule import Budget, Choice, Chooser, Curve, Price, Worth
from narrows.methods.signals import Signals


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

    def __init__(self, shared: SharedWeights, config: GradualConfig, plan: Plan) -> None:
        super().__init__(shared)
        self.plan = plan
        self.method = config.name
        self.total_steps = plan.require_steps(self.method)
        self.layout = Layout(mask.shape for mask in shared.frozen)
        self.isolator = Isolator(shared)
        target = self.target()
        # With nothing to spend on values of its own a task had better leave the frozen ones alone from the start.
        self._refines = config.refines and target.new > 0 and shared.frozen_count() > 0
        self._chooser = Chooser(self.layout.join(shared.frozen), target, refine=self._refines)
        self._signals: Signals | None = None
        self._use(self._chooser.all)
        self._options = config
        self._follow(Curve.over(self.total_steps, config.prune_from, config.prune_until))
        self._latest = latest_start(self._curve.stop, self.total_steps)
        self.step = 0
        self._settled = False

    @abc.abstractmethod
    def target(self) -> Budget | Price:
        """What to shrink to, in the units of the scores."""

    @abc.abstractmethod
    def scores(self, weights: Sequence[Tensor]) -> Tensor:
        """What `weights` are worth against being 0, shape (total,); they come in the parameters' shapes."""

    def chosen(self, scores: Tensor, threshold: Tensor) -> None:
        """Called at the last choice, with the scores it was made by and those that each weight had to beat."""

    def waited(self) -> None:
        """Called after each step at which the choice was put off."""

    @property
    def masks(self) -> list[Tensor]:
        return self.isolator.masks

    @property
    def claims(self) -> list[Tensor]:
        return self.isolator.claims

    @property
    def alive(self) -> Tensor:
        """The sub-network of the moment as one flat mask, shape (total,)."""
        return self._choice.alive

    @property
    def settled(self) -> bool:
        """Whether the last choice was made."""
        return self._settled

    @property
    def pruning(self) -> tuple[int, int]:
        return self._curve.start, self._curve.stop

    def signals(self) -> Signals:
        if self._signals is None:  # the choice stands for several steps
            new, reused = (int(part.sum()) / self.layout.total for part in (self._choice.own, self._choice.reused))
            self._signals = Signals(new, reused)
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
        self._use(Choice(*(torch.empty_like(self.alive).copy_(state[part]) for part in ("own", "reused"))))

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
                self._settled = last
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
            self._settled = True
        self.isolator.restore()

    @torch.no_grad()
    def _choose(self, progress: float) -> None:
        own, reuse = self._scores()
        sizes = [self.layout.join(values).abs_() for values in self._values()]
        self._use(self._chooser.choose(Worth(own, sizes[0]), Worth(reuse, sizes[1]), self._choice, progress))
        if progress >= 1:
            self.chosen(*self._against(own, reuse))
            self._warn_of_empty_layers()

    def _against(self, own: Tensor, reuse: Tensor) -> tuple[Tensor, Tensor]:
        """The score of each weight as the task has it, and the one it has to beat to stay."""
        scores = torch.where(self._choice.own, own, reuse)
        return scores, self._chooser.threshold(scores, self._choice)

    def _scores(self) -> tuple[Tensor, Tensor]:
        """What each weight's own value is worth, and what each frozen value is."""
        own, frozen = self._values()
        scores = self.scores(own)
        return scores, self.scores(frozen) if self._refines else scores

    def _values(self) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """How far each weight is from what it falls back to, and each frozen value."""
        params = [param.detach() for param in self.shared.params]
        if not self._refines:
            return params, params
        values = self.shared.values  # 0 where free: there the distance is the weight itself
        return torch._foreach_sub(params, values), values

    def _follow(self, curve: Curve) -> None:
        self._curve = curve
        self._every = self._options.prune_every or curve.interval()

    def _use(self, choice: Choice) -> None:
        self._choice = choice
        self._signals = None
        self.isolator.use(self.layout.split(choice.alive), self.layout.split(choice.own))

    def _warn_of_empty_layers(self) -> None:
        without = () if self.evidence is None else self.evidence.lacking  # it is 0 all over: nothing was lost
        rows = enumerate(zip(self.shared.names, self.masks, strict=True))
        empty = [name for at, (name, mask) in rows if at not in without and not bool(mask.any())]
        if empty:
            warnings.warn(
                f"{self.method}: no weight is kept of {', '.join(empty)}, so nothing passes there. {self.remedy}",
                stacklevel=2,
            )
