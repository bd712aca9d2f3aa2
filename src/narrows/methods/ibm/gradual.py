"""What both estimators share: the gradual choice of the sub-network, and the account of it."""

from __future__ import annotations

import abc
import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from narrows.masks import Layout
from narrows.methods.base import Learner, Plan, SharedWeights
from narrows.methods.ibm.config import IBMConfig
from narrows.methods.ibm.schedule import Budget, Chooser, Curve, Price
from narrows.methods.isolation import Isolator


class GradualLearner(Learner):
    """Asks a subclass for scores every few steps and keeps what its target allows.

    A score is theta^2/sigma^2-like: the more, the more nats the weight carries.
    """

    def __init__(self, shared: SharedWeights, config: IBMConfig, plan: Plan) -> None:
        super().__init__(shared)
        self.config = config
        self.plan = plan
        self.total_steps = plan.require_steps("ibm")
        self.layout = Layout(mask.shape for mask in shared.frozen)
        self.isolator = Isolator(shared)
        self.ratios = [1.0] * len(shared.names)
        self._frozen = self.layout.join(shared.frozen)
        self._alive = torch.ones_like(self._frozen)
        self._chooser = Chooser(self._frozen, self.target())
        self._curve = Curve.over(self.total_steps, config.prune_from, config.prune_until)
        self._every = config.prune_every or self._curve.interval()
        self.step = 0
        self._settled = False
        self._nats: Tensor | None = None

    @abc.abstractmethod
    def target(self) -> Budget | Price:
        """What to shrink to, in the units of the scores."""

    @abc.abstractmethod
    def scores(self) -> Tensor:
        """Score of every weight, shape (total,); called between steps."""

    @abc.abstractmethod
    def nats(self, scores: Tensor, threshold: Tensor) -> Tensor:
        """Information each weight carries, in nats, given the scores they had to beat."""

    @property
    def masks(self) -> list[Tensor]:
        return self.isolator.masks

    @property
    def alive(self) -> Tensor:
        """The sub-network of the moment as one flat mask, shape (total,)."""
        return self._alive

    @property
    def choosing(self) -> bool:
        """Whether weights may still leave."""
        return not self._settled

    def after_step(self) -> None:
        self.step += 1
        last = self.step >= self._curve.stop
        due = self.step > self._curve.start and self.step % self._every == 0
        if self.choosing and (due or last):
            self._choose(self._curve.at(self.step))
            self._settled = last
        self.isolator.restore()

    def finish(self) -> None:
        if self.choosing:
            if self.step:
                warnings.warn(
                    f"ibm: training ended at step {self.step} of the {self.total_steps} it was told; the rest of the "
                    "sub-network's weights leave at once, which costs accuracy. Say the true total_steps.",
                    stacklevel=2,
                )
            self._choose(1.0)
            self._settled = True
        self.isolator.restore()

    def wants_ratio(self, epoch: int) -> bool:
        return self.config.ratio != "none" and self.choosing and epoch % self.config.ratio_every == 0

    def set_ratio(self, ratios: Mapping[str, float]) -> None:
        self.ratios = [max(ratios.get(name, 1.0), 1e-3) for name in self.shared.names]

    def layer_prices(self) -> list[float]:
        """What multiplies the price of each layer's information."""
        if self.config.ratio == "features":
            return self.ratios
        if self.config.ratio == "inverse":
            return [1 / ratio for ratio in self.ratios]
        return [1.0] * len(self.ratios)

    def explain(self) -> dict[str, dict[str, float | None]]:
        nats = None if self._nats is None else self.layout.split(self._nats)
        measured = self.config.ratio != "none"
        return {
            name: {
                "nats": None if nats is None else float(nats[index].sum()),
                "ratio": self.ratios[index] if measured else None,
            }
            for index, name in enumerate(self.shared.names)
        }

    @torch.no_grad()
    def _choose(self, progress: float) -> None:
        scores = self.scores()
        self._alive = self._chooser.choose(scores, self._alive, progress)
        self.isolator.use(self.layout.split(self._alive))
        if progress >= 1:
            threshold = self._chooser.threshold(scores, self._alive)
            self._nats = self.nats(scores, threshold) * self._alive
            self._warn_of_empty_layers()

    def _warn_of_empty_layers(self) -> None:
        empty = [name for name, mask in zip(self.shared.names, self.masks, strict=True) if not bool(mask.any())]
        if empty:
            warnings.warn(
                f"ibm: no weight is kept of {', '.join(empty)}, so nothing passes there. Lower the price (beta) or "
                "raise the budget (density).",
                stacklevel=2,
            )
