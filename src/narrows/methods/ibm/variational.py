"""IBM with sampled gates: log sigma^2 of every gate is learned from one noise sample a step.

Minimised is the expected loss + (beta / N) * sum of KL, KL = 1/2 log(1 + theta^2 / sigma^2) nats, the
paper's penalty. Noise is put on the parameters before the forward and taken off after the backward (`sample`),
so the model's forward is never touched. The gates are parameter groups of the user's optimizer with their own
learning rate: Adam moves log alpha by at most that rate a step, and with the weights' rate it takes 10^4 steps
to prune anything.

Where we differ from the published code: evaluation uses mu, not mu + sigma; the KL is divided by the number
of examples, not by the batch size; log alpha is clipped; the scale is folded into the claimed weights.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import OptimizerError
from narrows.masks import fill_, pick, places, put_, spread
from narrows.methods.base import Extent, SharedWeights, State, copy_each
from narrows.methods.evidence import Evidence
from narrows.methods.ibm.config import IBMConfig
from narrows.methods.ibm.learner import IBMLearner
from narrows.methods.isolation import ones
from narrows.methods.own_parameters import lent, precise
from narrows.methods.schedule import Price

TINY = 1e-20
"""Added to squares, so that a weight of exactly 0 has a finite log alpha."""


class VariationalLearner(IBMLearner):
    """What both kinds of gates share. `signal` is what sigma is measured against: theta, or mu."""

    evidence: Evidence

    def __init__(self, shared: SharedWeights, config: IBMConfig, plan: Extent) -> None:
        super().__init__(shared, config, plan, Price(1.0, 1.0))
        if not plan.examples:
            raise OptimizerError(
                "ibm: the variational estimator weighs loss against nats and must know the number of "
                "training examples: say task.optimizer(..., examples=len(dataset))."
            )
        self.evidence = Evidence(shared, config.name)
        self._examples = plan.examples
        self._sampled = False
        self.log_variance = [nn.Parameter(value) for value in self._first_gates()]

    @abc.abstractmethod
    def signal_squares(self) -> list[Tensor]:
        """theta^2 (additive) or mu^2 (multiplicative) of each weight."""

    @abc.abstractmethod
    def perturb(self, noise: list[Tensor]) -> None:
        """Puts a noise sample (standard normal, zero where dropped) on the parameters."""

    @abc.abstractmethod
    def own(self, index: int) -> list[nn.Parameter]:
        """The parameters of the gates on one of the shared parameters."""

    @abc.abstractmethod
    def turn(self, index: int, eps: Tensor, grad: Tensor) -> tuple[list[Tensor], Tensor]:
        """What the gradient at the noisy weights says of each of `own`, and of the weights."""

    @abc.abstractmethod
    def price_signal(self, weights: list[Tensor], masks: list[Tensor]) -> None:
        """Adds the gradient of the KL with respect to the signal; `weights` is the price of each weight's nats.

        `masks` are 1 where a weight is in, 0 elsewhere.
        """

    def scores(self, weights: Sequence[Tensor], at: Sequence[Tensor] | None = None) -> Tensor:  # noqa: ARG002
        squares, log_variances = self.signal_squares(), [value.detach() for value in self.log_variance]
        if at is not None:
            squares = [pick(square, one) for square, one in zip(squares, at, strict=True)]
            log_variances = [pick(value, one) for value, one in zip(log_variances, at, strict=True)]
        return (self.layout.join(squares) + TINY) * torch.exp(-self.layout.join(log_variances))

    def nats(self, scores: Tensor, threshold: Tensor) -> Tensor:  # noqa: ARG002
        return 0.5 * torch.log1p(scores)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": self.log_variance, "lr": self.config.gate_lr, "weight_decay": 0.0}]

    @contextmanager
    def sample(self) -> Iterator[None]:
        """One noise sample for one forward and backward; gradients of several add up."""
        params = self.shared.params
        clean = [param.detach().clone() for param in params]
        rows = zip(self.log_variance, self.masks, strict=True)
        noise = [torch.randn_like(one).mul_(ones(mask, one)) for one, mask in rows]

        def turn(index: int, grad: Tensor) -> tuple[list[Tensor], Tensor]:
            return self.turn(index, noise[index], precise(grad))

        own = [self.own(index) for index in range(len(params))]
        with lent(params, own, partial(self.perturb, noise), partial(copy_each, params, clean), turn):
            yield
        self._sampled = True

    @torch.no_grad()
    def before_step(self) -> None:
        if not self._sampled:
            raise OptimizerError(
                "ibm: the variational estimator needs its noise in the forward pass. Wrap it: "
                "`with task.sample(): loss = ...; loss.backward()`."
            )
        self._sampled = False
        self.evidence.add()
        weights = self._weights()
        masks = [ones(mask, one) for mask, one in zip(self.masks, self.log_variance, strict=True)]
        rows = zip(self.log_variance, self.signal_squares(), weights, masks, strict=True)
        for log_variance, square, weight, mask in rows:
            # d KL / d log sigma^2 = -1/2 theta^2 / (theta^2 + sigma^2)
            slope = -0.5 * square / (square + log_variance.exp() + TINY)
            grad = torch.zeros_like(slope) if log_variance.grad is None else log_variance.grad
            log_variance.grad = (grad + weight * slope) * mask
        self.price_signal(weights, masks)
        self.isolator.mask_gradients()

    @torch.no_grad()
    def after_step(self) -> None:
        low, high = self.config.log_alpha_range
        for log_variance, square in zip(self.log_variance, self.signal_squares(), strict=True):
            log_square = (square + TINY).log()
            log_variance.clamp_(log_square + low, log_square + high)
        super().after_step()

    def waited(self) -> None:
        """Gates are learned from when all have a gradient, or those that have waited would lag behind."""
        copy_each(self.log_variance, self._first_gates())

    def state(self) -> State:
        return super().state() | {"log_variance": [value.detach() for value in self.log_variance]}

    def load_state(self, state: State) -> None:
        super().load_state(state)
        copy_each(self.log_variance, state["log_variance"])

    def _weights(self) -> list[Tensor]:
        """beta / N of every weight at this step: warm-up, layer ratio, new or reused.

        It is 0 where there is no gradient: the price alone would shut those gates.
        """
        warm = min(1.0, (self.step + 1) / max(1.0, self.config.kl_warmup * self.pace.total))
        new, reuse = (warm * price / self._examples for price in self.config.prices())
        priced = [
            0.0 if param.grad is None or at in self.evidence.lacking else ratio
            for at, (param, ratio) in enumerate(zip(self.shared.params, self.layer_prices(), strict=True))
        ]
        rows = zip(self.shared.params, self.shared.frozen_at, priced, strict=True)
        return [
            fill_(torch.full(param.shape, new * ratio, device=param.device), at, value=reuse * ratio)
            for param, at, ratio in rows
        ]

    def _first_gates(self) -> list[Tensor]:
        return [(square + TINY).log() + self.config.log_alpha for square in self.signal_squares()]

    def sigma(self, index: int) -> Tensor:
        """Of the gates on one of the shared parameters."""
        return torch.exp(0.5 * self.log_variance[index].detach())


class AdditiveLearner(VariationalLearner):
    """z = w + sigma eps: two numbers a weight while it is trained, w and log sigma^2."""

    def signal_squares(self) -> list[Tensor]:
        return [precise(param).square() for param in self.shared.params]

    def perturb(self, noise: list[Tensor]) -> None:
        for index, (param, eps) in enumerate(zip(self.shared.params, noise, strict=True)):
            param.copy_(precise(param).addcmul(eps, self.sigma(index)))

    def own(self, index: int) -> list[nn.Parameter]:
        return [self.log_variance[index]]

    def turn(self, index: int, eps: Tensor, grad: Tensor) -> tuple[list[Tensor], Tensor]:
        return [0.5 * grad * eps * self.sigma(index)], grad

    def price_signal(self, weights: list[Tensor], masks: list[Tensor]) -> None:  # noqa: ARG002
        for param, log_variance, weight in zip(self.shared.params, self.log_variance, weights, strict=True):
            if param.grad is not None:
                # d KL / d theta = theta / (theta^2 + sigma^2)
                param.grad.add_(weight * param / (precise(param).square() + log_variance.exp() + TINY))


class MultiplicativeLearner(VariationalLearner):
    """z = w (mu + sigma eps), the paper's gates. Reused weights keep mu = 1, so they are reused as they are.

    Once the sub-network is chosen w is held of its weights only.
    """

    def __init__(self, shared: SharedWeights, config: IBMConfig, plan: Extent) -> None:
        self.scale = [nn.Parameter(torch.ones_like(precise(param))) for param in shared.params]
        self._at: list[Tensor] | None = None  # of the sub-network's weights, once it is chosen
        self._sampled_from: list[Tensor] = []  # w, from a sample to the step
        self._held = [param.detach().clone() for param in shared.params]
        super().__init__(shared, config, plan)

    def weight(self, index: int) -> Tensor:
        """w, in the parameter's shape; 0 where it has left for good."""
        held = self._held[index]
        return held if self._at is None else spread(self.shared.params[index].shape, self._at[index], held)

    def chosen(self) -> None:
        super().chosen()
        self._at = [places(mask) for mask in self.masks]
        self._held = [pick(held, at) for held, at in zip(self._held, self._at, strict=True)]

    def parameter_groups(self) -> list[dict[str, Any]]:
        gates = super().parameter_groups()
        return [*gates, {"params": self.scale, "weight_decay": 0.0}]

    def signal_squares(self) -> list[Tensor]:
        return [scale.detach().square() for scale in self.scale]

    def perturb(self, noise: list[Tensor]) -> None:
        self._sampled_from = [self.weight(index) for index in range(len(noise))]
        rows = zip(self.shared.params, self._sampled_from, noise, strict=True)
        for index, (param, weight, eps) in enumerate(rows):
            # holds w mu already
            param.copy_(precise(param).addcmul(precise(weight), eps * self.sigma(index)))

    def own(self, index: int) -> list[nn.Parameter]:
        return [self.log_variance[index], self.scale[index]]

    def turn(self, index: int, eps: Tensor, grad: Tensor) -> tuple[list[Tensor], Tensor]:
        weight, sigma = self._sampled_from[index], self.sigma(index)
        free = fill_(grad * weight, self.shared.frozen_at[index], value=0.0)
        slopes = [0.5 * grad * weight * eps * sigma, free]
        return slopes, grad * (self.scale[index] + sigma * eps)

    def price_signal(self, weights: list[Tensor], masks: list[Tensor]) -> None:
        rows = zip(self.scale, self.log_variance, weights, self.shared.frozen_at, masks, strict=True)
        for scale, log_variance, weight, frozen, mask in rows:
            grad = torch.zeros_like(scale) if scale.grad is None else scale.grad
            slope = weight * scale / (scale.square() + log_variance.exp() + TINY)
            scale.grad = fill_((grad + slope) * mask, frozen, value=0.0)

    @torch.no_grad()
    def before_step(self) -> None:
        super().before_step()
        # The optimizer moves w, not w mu: its weight decay and its state are about w.
        for param, weight in zip(self.shared.params, self._sampled_from, strict=True):
            param.copy_(weight)
        self._sampled_from = []

    @torch.no_grad()
    def after_step(self) -> None:
        rows = zip(self.shared.params, self.scale, self.shared.frozen_at, self.shared.frozen_values, strict=True)
        for index, (param, scale, at, values) in enumerate(rows):
            put_(param, at, values)
            if self._at is None:
                self._held[index].copy_(param)
            else:
                self._held[index] = pick(param, self._at[index])
            fill_(scale, at, value=1.0)
            param.copy_(param * scale)
        super().after_step()

    def state(self) -> State:
        return super().state() | {"scale": [scale.detach() for scale in self.scale], "held": list(self._held)}

    def load_state(self, state: State) -> None:
        super().load_state(state)
        copy_each(self.scale, state["scale"])
        pairs = zip(state["held"], self.shared.params, strict=True)
        self._held = [held.to(param.device, copy=True) for held, param in pairs]
        self._at = [places(mask) for mask in self.masks] if self.settled else None
