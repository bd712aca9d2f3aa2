"""IBM by Laplace's approximation: the gate's variance in closed form, no noise and no extra parameters.

At a weight theta the loss over N examples rises by N F sigma^2 / 2 when the weight gets noise of variance
sigma^2, F being the diagonal Fisher information of one example. Minimising

    N F sigma^2 / 2  +  beta / 2 * log(1 + theta^2 / sigma^2)

over sigma^2 gives  sigma^2 = (-theta^2 + sqrt(theta^4 + 4 beta theta^2 / (N F))) / 2,  and the gate is more
signal than noise, alpha = sigma^2/theta^2 < 1, exactly when  2 N F theta^2 > beta.  docs/method.md derives
it; a test holds it against a numerical minimiser.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from narrows.errors import OptimizerError
from narrows.methods.base import Extent, SharedWeights
from narrows.methods.ibm.config import IBMConfig
from narrows.methods.ibm.learner import IBMLearner
from narrows.methods.information import FisherAverage
from narrows.methods.schedule import Price


def gate_variance(theta: Tensor, information: Tensor, beta: float) -> Tensor:
    """The best sigma^2 of a gate on weight `theta`: what the scores are derived from; choosing needs only their ratio.

    Args:
        theta: weights, any shape.
        information: N F, the Fisher information of the whole data set about each weight; > 0.
        beta: price.

    >>> gate_variance(torch.tensor(1.0), torch.tensor(0.5), beta=1.0)  # 2 N F theta^2 = beta: alpha = 1
    tensor(1.)
    """
    # The formula above with its difference multiplied out, which would cancel where alpha is small.
    size, ratio = theta.abs(), beta / information
    return 2 * ratio * size / (size + (size.square() + 4 * ratio).sqrt())


def gate_nats(relative_score: Tensor) -> Tensor:
    """KL of a gate in nats, 1/2 log(1 + 1/alpha), from 2 N F theta^2 / beta; 1/2 log 2 where that is 1.

    >>> gate_nats(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.3466])
    """
    # 1/alpha = 2 / (sqrt(1 + 8/r) - 1) = r (sqrt(1 + 8/r) + 1) / 4, the second form being exact at large r
    signal = relative_score * ((1 + 8 / relative_score.clamp_min(1e-30)).sqrt() + 1) / 4
    return 0.5 * torch.log1p(signal)


class LaplaceLearner(IBMLearner):
    """Scores weights by theta^2 F, with F a moving average of the squared mini-batch gradient.

    The square of a mini-batch's mean gradient is, near a minimum, F / batch size on average; so
    N F = examples * batch_size * average. The gradient is taken dense, before it is masked.
    """

    def __init__(self, shared: SharedWeights, config: IBMConfig, plan: Extent) -> None:
        price = self._price(config, plan) if config.uses_price else Price(0, 0)
        super().__init__(shared, config, plan, price, FisherAverage(shared, config.name, config.decay))

    def scores(self, weights: Sequence[Tensor], at: Sequence[Tensor] | None = None) -> Tensor:
        scores = super().scores(weights, at)
        if self.config.ratio != "none":
            parts = torch.split(scores, [weight.numel() for weight in weights])
            for part, price in zip(parts, self.layer_prices(), strict=True):
                part /= price
        return scores

    def nats(self, scores: Tensor, threshold: Tensor) -> Tensor:
        return gate_nats(scores / threshold)

    @staticmethod
    def _price(config: IBMConfig, plan: Extent) -> Price:
        if not plan.examples or not plan.batch_size:
            raise OptimizerError(
                "ibm: a price in nats needs to know the data: say "
                "task.optimizer(..., examples=len(dataset), batch_size=loader.batch_size)."
            )
        new, reuse = config.prices()
        scale = 2 * plan.examples * plan.batch_size
        return Price(new / scale, reuse / scale)
