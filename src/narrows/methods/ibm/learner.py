"""What both estimators of IBM share: layer prices, and the account of nats."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from narrows.masks import pick, places, spread
from narrows.methods.base import Extent, SharedWeights, State
from narrows.methods.gradual import GradualLearner, choosing
from narrows.methods.ibm.config import IBMConfig
from narrows.methods.information import FisherAverage
from narrows.methods.schedule import Price

MAX_LOG_ALPHA = 30.0


class IBMLearner(GradualLearner):
    """A score is theta^2/sigma^2-like: the more, the more nats the weight carries."""

    remedy: ClassVar[str] = "Lower the price (beta) or raise the budget (density)."

    def __init__(
        self, shared: SharedWeights, config: IBMConfig, plan: Extent, price: Price, fisher: FisherAverage | None = None
    ) -> None:
        self.config = config
        self.ratios = [1.0] * len(shared.names)
        self._nats: list[float] | None = None
        chooser = choosing(shared, config.target(shared, price), refines=config.refines)
        super().__init__(shared, config.name, config.pace(plan), chooser, fisher)

    @abc.abstractmethod
    def nats(self, scores: Tensor, threshold: Tensor) -> Tensor:
        """Information each weight carries, in nats, given the scores they had to beat."""

    def chosen(self) -> None:
        scores, threshold, at = self._kept()
        carried = torch.split(self.nats(scores, threshold), [one.numel() for one in at])
        rows = zip(self.layout.shapes, at, carried, strict=True)
        self._nats = [float(spread(shape, one, nats).sum()) for shape, one, nats in rows]
        if self.evidence is not None:
            self.evidence.let_go(at)

    @torch.no_grad()
    def log_alpha(self) -> Tensor:
        """Of the gates at this moment's price; where there is a budget, at the price its last weight is worth.

        nats = 1/2 log(1 + 1/alpha), so alpha follows from them. Clipped to `MAX_LOG_ALPHA` either way: a weight whose
        gradient has always been 0 carries nothing, and has an infinite alpha.
        """
        scores, threshold, _ = self._kept()
        nats = self.nats(scores, threshold).float()
        return (2 * nats).expm1().log().neg().clamp(-MAX_LOG_ALPHA, MAX_LOG_ALPHA)

    def _kept(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Of the weights of the sub-network: the score of each as the task has it, what it had to beat, and where."""
        at = [places(mask) for mask in self.masks]
        is_own = self.layout.join([pick(claim, one) for claim, one in zip(self.claims, at, strict=True)])
        values = self.distances(at)
        if self.chooser.refine:
            rows = zip(self.shared.params, self.shared.frozen_at, self.shared.frozen_values, at, strict=True)
            reused = [pick(spread(param.shape, frozen, value), one) for param, frozen, value, one in rows]
            parts = torch.split(is_own, [one.numel() for one in at])
            values = [torch.where(*row) for row in zip(parts, values, reused, strict=True)]
        scores = self.scores(values, at)
        return scores, self.chooser.threshold(scores, is_own), at

    def state(self) -> State:
        return super().state() | {"ratios": list(self.ratios), "nats": self._nats}

    def load_state(self, state: State) -> None:
        super().load_state(state)
        self.ratios = list(state["ratios"])
        self._nats = state["nats"]

    def wants_ratio(self, epoch: int) -> bool:
        return self.config.ratio != "none" and not self.settled and epoch % self.config.ratio_every == 0

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
        measured = self.config.ratio != "none"
        return {
            name: {
                "nats": None if self._nats is None else self._nats[index],
                "ratio": self.ratios[index] if measured else None,
            }
            for index, name in enumerate(self.shared.names)
        }
