"""IBM with sampled gates: its gradients are those of autograd, and the noise leaves no trace."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import narrows as nw
from narrows.errors import OptimizerError
from narrows.methods import Extent
from toys import MLP, learn, state, weights

BETA, EXAMPLES, STEPS = 0.7, 5, 12
GATES = ["multiplicative", "additive"]


def bases(learner: Any) -> list[Tensor]:
    """w of each multiplicative gate."""
    return [learner.weight(index) for index in range(len(learner.scale))]


class Run:
    """A two-layer net in float64 under a learner whose noise is known."""

    def __init__(self, gates: Any, monkeypatch: pytest.MonkeyPatch, frozen: float = 0.4) -> None:
        self.shared = weights({"a": (6, 4), "b": (3, 6)}, frozen, torch.float64)
        method = nw.IBM(
            beta_new=BETA,
            beta_reuse=BETA / 2,
            estimator="variational",
            gates=gates,
            kl_warmup=0.5,
            prune_every=1,
            log_alpha=-0.3,
        )
        self.learner: Any = method.learner(self.shared, Extent(STEPS, EXAMPLES, 5), None)
        groups = self.learner.parameter_groups()
        self.optimizer = torch.optim.Adam([{"params": self.shared.params, "weight_decay": 0.1}, *groups], lr=0.05)
        self.x, self.y = torch.randn(5, 4).double(), torch.randn(5, 3).double()
        self.noise: list[Tensor] = []
        monkeypatch.setattr(torch, "randn_like", self.draw)
        self.gates, self.step_number = gates, 0

    def draw(self, like: Tensor) -> Tensor:
        self.noise.append(torch.randn(like.shape, dtype=like.dtype))
        return self.noise[-1]

    def loss(self, params: list[Tensor]) -> Tensor:
        return (torch.tanh(self.x @ params[0].T) @ params[1].T - self.y).square().mean()

    def sample(self) -> list[Tensor]:
        self.noise = []
        with self.learner.sample():
            self.loss(self.shared.params).backward()
        return self.noise

    def expected(self, noises: list[list[Tensor]]) -> list[list[Tensor]]:
        """Autograd's gradients of the objective, written out: those of the weights, mu and log sigma^2."""
        free = [mask & ~frozen for mask, frozen in zip(self.learner.masks, self.shared.frozen, strict=True)]
        multiplicative = self.gates == "multiplicative"
        source = bases(self.learner) if multiplicative else self.shared.params
        weight = [value.detach().clone().requires_grad_() for value in source]
        scales = self.learner.scale if multiplicative else [torch.ones_like(value) for value in weight]
        scale = [value.detach().clone().requires_grad_() for value in scales]
        log_variance = [value.detach().clone().requires_grad_() for value in self.learner.log_variance]
        objective = torch.zeros((), dtype=torch.float64)
        for noise in noises:
            params = []
            for w, mu, lv, eps, mask in zip(weight, scale, log_variance, noise, self.learner.masks, strict=True):
                sigma = (lv / 2).exp()
                params.append(mask * (w * (mu + sigma * eps) if multiplicative else w + sigma * eps))
            objective = objective + self.loss(params)
        warm = min(1.0, (self.step_number + 1) / (0.5 * STEPS))
        for w, mu, lv, mask, frozen in zip(
            weight, scale, log_variance, self.learner.masks, self.shared.frozen, strict=True
        ):
            kl = 0.5 * torch.log1p((mu if multiplicative else w).square() / lv.exp())
            price = torch.where(frozen, BETA / 2, BETA) / EXAMPLES
            objective = objective + warm * (price * mask * kl).sum()
        objective.backward()
        trained = [weight, *([scale] if multiplicative else [])]
        grads = [[value.grad * mask for value, mask in zip(values, free, strict=True)] for values in trained]
        return [*grads, [lv.grad * mask for lv, mask in zip(log_variance, self.learner.masks, strict=True)]]

    def found(self) -> list[list[Tensor]]:
        scales = [self.learner.scale] if self.gates == "multiplicative" else []
        return [[value.grad for value in values] for values in (self.shared.params, *scales, self.learner.log_variance)]

    def check(self, noises: list[list[Tensor]]) -> None:
        expected = self.expected(noises)
        self.learner.before_step()
        torch.testing.assert_close(self.found(), expected)
        self.optimizer.step()
        self.learner.after_step()
        self.optimizer.zero_grad()
        self.step_number += 1
        if self.gates == "multiplicative":  # reused weights: the noise is about their own value
            rows = zip(bases(self.learner), self.learner.masks, self.shared.frozen, self.shared.values, strict=True)
            for weight, mask, frozen, value in rows:
                assert torch.equal(weight[mask & frozen], value[mask & frozen])


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("gates", GATES)
def test_gradients_are_those_of_the_objective_at_every_step(
    gates: str, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(gates, monkeypatch)
    for _ in range(STEPS):
        run.check([run.sample() for _ in range(samples)])
    dropped = sum(int((~mask).sum()) for mask in run.learner.masks)
    assert 0 < dropped < 42, "the run should have seen weights leave"


@pytest.mark.parametrize("gates", GATES)
def test_the_noise_is_taken_off_exactly(gates: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(gates, monkeypatch)
    run.check([run.sample()])
    clean = [param.detach().clone() for param in run.shared.params]
    with run.learner.sample():
        assert not any(torch.equal(param, value) for param, value in zip(run.shared.params, clean, strict=True))
        run.loss(run.shared.params).backward()
    assert all(torch.equal(param, value) for param, value in zip(run.shared.params, clean, strict=True))
    noises = [run.noise[-2:]]

    def fail() -> None:
        with run.learner.sample():
            run.loss(run.shared.params).backward()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert all(torch.equal(param, value) for param, value in zip(run.shared.params, clean, strict=True))
    run.check([*noises, run.noise[-2:]])  # gradients are whole at any moment, as in a loop without noise


def test_a_step_without_a_sample_is_refused(tmp_path: Any) -> None:
    method = nw.IBM(density=0.5, estimator="variational")
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    with store.begin("a", method, head=MLP.head(2)) as task:
        with pytest.raises(OptimizerError, match=r"examples=len\(dataset\)"):
            task.optimizer(torch.optim.Adam, lr=0.01, total_steps=2)
        optimizer = task.optimizer(torch.optim.Adam, lr=0.01, total_steps=2, examples=8)
        x, y = MLP.batch(8, 2)
        MLP.loss(task.model(x), y).backward()
        with pytest.raises(OptimizerError, match=r"with task.sample\(\)"):
            optimizer.step()


def test_gates_are_folded_into_the_weights(tmp_path: Any) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    learn(store, "a", nw.IBM(density=0.3, estimator="variational", prune_every=2))
    task = learn(store, "b", nw.IBM(density=0.3, estimator="variational", prune_every=2))
    learner, content = task.learner, store.directory.content("b")
    assert content.private.keys() == {"one.bias", "two.bias", "head.weight", "head.bias"}
    moved = False
    for name, weight, scale, frozen in zip(
        learner.shared.names, bases(learner), learner.scale, learner.shared.frozen, strict=True
    ):
        claimed = content.subnet.claimed_masks()[name]
        assert torch.equal(content.subnet.parts[name].values, (weight * scale)[claimed])
        assert (scale[frozen] == 1).all()
        moved |= bool((scale[claimed] != 1).any())
    assert moved
    assert state(store.load("b")).keys() == state(task.model).keys()


@pytest.mark.parametrize("gates", GATES)
def test_log_alpha_stays_in_its_range(gates: Any, tmp_path: Any) -> None:
    method = nw.IBM(
        density=0.5, estimator="variational", gates=gates, gate_lr=1.0, log_alpha_range=(-4.5, -3.5), prune_every=2
    )
    task = learn(nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place), "a", method)
    squares = [square + 1e-20 for square in task.learner.signal_squares()]
    for log_variance, square, mask in zip(task.learner.log_variance, squares, task.learner.masks, strict=True):
        alpha = (log_variance - square.log())[mask]
        assert alpha.min() >= -4.501
        assert alpha.max() <= -3.499
