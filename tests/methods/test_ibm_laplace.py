"""IBM by Laplace's approximation: its formula, its estimate of the Fisher information, its choices."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from torch import Tensor

import narrows as nw
from narrows.errors import CapacityError
from narrows.methods import Extent
from narrows.methods.ibm import gate_nats, gate_variance
from toys import MLP, learn, same, state, weights

SHAPES = {"a": (10, 12), "b": (4, 20)}
positive = st.floats(-5, 5).map(lambda power: 10.0**power)
signed = st.tuples(positive, st.sampled_from([-1.0, 1.0])).map(lambda pair: pair[0] * pair[1])


def exact(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def variance(theta: float, information: float, beta: float) -> float:
    return float(gate_variance(exact(theta), exact(information), beta))


@given(theta=signed, information=positive, beta=positive)
def test_variance_is_the_minimum_of_the_objective(theta: float, information: float, beta: float) -> None:
    def objective(log_variance: float) -> float:
        loss = information * math.exp(log_variance) / 2
        return loss + beta / 2 * math.log1p(theta**2 * math.exp(-log_variance))

    found = math.log(variance(theta, information, beta))
    numerical = minimize_scalar(objective, bounds=(-45, 45), method="bounded", options={"xatol": 1e-9})
    assert objective(found) <= numerical.fun * (1 + 1e-12)
    assert objective(found) < min(objective(found - 0.01), objective(found + 0.01))  # it is convex
    # d/d sigma^2 = 0
    assert information == pytest.approx(beta / math.exp(found) * theta**2 / (theta**2 + math.exp(found)), rel=1e-6)


@given(theta=signed, information=positive, beta=positive)
def test_a_gate_is_more_signal_than_noise_above_the_threshold(theta: float, information: float, beta: float) -> None:
    worth = 2 * information * theta**2 / beta
    assume(abs(worth - 1) > 1e-9)
    assert (variance(theta, information, beta) < theta**2) == (worth > 1)


@given(theta=signed, information=positive, beta=positive)
def test_nats_follow_from_the_variance(theta: float, information: float, beta: float) -> None:
    nats = float(gate_nats(exact(2 * information * theta**2 / beta)))
    assert nats == pytest.approx(0.5 * math.log1p(theta**2 / variance(theta, information, beta)), rel=1e-9)


def test_nats_at_the_threshold_and_at_the_ends() -> None:
    assert float(gate_nats(exact(1.0))) == pytest.approx(0.5 * math.log(2), rel=1e-12)
    nats = gate_nats(torch.tensor([0.0, 1e-30, 1e-3, 1.0, 1e3, 1e30]))
    assert nats[0] == 0
    assert (nats.diff() >= 0).all()
    assert torch.isfinite(nats).all()
    assert variance(0.0, 1.0, 1.0) == 0


class Run:
    """A learner fed with gradients of its own choice; a step does what an optimizer without effect would."""

    def __init__(self, frozen: float = 0.0, steps: int = 40, examples: int = 100, **options: Any) -> None:
        self.shared = weights(SHAPES, frozen)
        self.learner: Any = nw.IBM(**options).learner(self.shared, Extent(steps, examples, 8), None)
        self.steps, self.frozen = steps, torch.cat([mask.flatten() for mask in self.shared.frozen])
        self.average = [torch.zeros(shape) for shape in SHAPES.values()]
        self.scale = [torch.rand(shape) for shape in SHAPES.values()]

    def step(self) -> None:
        for param, average, scale in zip(self.shared.params, self.average, self.scale, strict=True):
            param.grad = torch.randn_like(param) * scale
            average.copy_(0.95 * average + 0.05 * param.grad**2)
        self.learner.before_step()
        self.learner.after_step()

    def all(self) -> Run:
        for _ in range(self.steps):
            self.step()
        self.learner.finish()
        return self

    @property
    def kept(self) -> Tensor:
        return torch.cat([mask.flatten() for mask in self.learner.masks])

    def flat(self, tensors: list[Tensor]) -> Tensor:
        return torch.cat([tensor.detach().flatten() for tensor in tensors])


def test_fisher_information_is_the_average_of_the_dense_squared_gradient() -> None:
    run = Run(frozen=0.5, density=0.2, prune_from=0.5, prune_every=5, refine=False)
    theta = run.flat(run.shared.params)
    for step in range(1, 20):
        run.step()
        expected = theta**2 * run.flat(run.average) / (1 - 0.95**step)
        torch.testing.assert_close(run.learner.scores(run.shared.params), expected)
        assert not run.flat([param.grad for param in run.shared.params])[run.frozen].any()


@pytest.mark.parametrize("every", [1, 3, 10])
def test_the_subnetwork_shrinks_on_the_cubic_curve(every: int) -> None:
    total, steps = sum(math.prod(shape) for shape in SHAPES.values()), 50
    run = Run(
        frozen=0.5, steps=steps, new=0.05, reuse=0.1, prune_every=every, prune_from=0.1, prune_until=0.62, refine=False
    )
    start, goal = {True: total // 2, False: total // 2}, {True: total // 10, False: total // 20}
    expected, before = dict(start), run.kept
    assert before.all()
    for step in range(1, steps + 1):
        run.step()
        if (5 < step <= 31 and step % every == 0) or step == 31:
            left = max(0.0, 1 - (step - 5) / (31 - 5)) ** 3
            expected = {group: goal[group] + int((start[group] - goal[group]) * left) for group in start}
        for group in (True, False):
            assert abs(int((run.kept & (run.frozen == group)).sum()) - expected[group]) <= (step < 31), step
        assert not (run.kept & ~before).any(), "a weight came back"
        before = run.kept
    assert expected == goal


def test_a_refined_weight_counts_by_its_distance_from_the_frozen_value_and_falls_back_to_it() -> None:
    run = Run(frozen=0.5, new=0.1, reuse=0.2, prune_every=100)  # one choice only, at step 24
    values = run.flat(run.shared.values)
    with torch.no_grad():
        for param in run.shared.params:
            param.add_(torch.randn_like(param))
    theta = run.flat(run.shared.params).clone()
    for _ in range(23):
        run.step()
        assert torch.equal(run.flat(run.shared.params), theta), "all weights are trained until the choice"
    run.step()
    claims, average = run.flat(run.learner.claims).bool(), run.flat(run.average)
    reused = run.kept & ~claims
    worth, value_worth = (theta - values) ** 2 * average, values**2 * average
    assert int(claims.sum()) == 20
    assert int(reused.sum()) == 40
    assert worth[claims].min() > worth[~claims].max()
    assert value_worth[reused].min() > value_worth[~claims & ~reused].max()
    assert (claims & run.frozen).any()
    assert (claims & ~run.frozen).any()
    now = run.flat(run.shared.params)
    assert torch.equal(now[claims], theta[claims])
    assert torch.equal(now[reused], values[reused])
    assert not now[~run.kept].any()


def test_a_refined_weight_leaves_the_task_it_came_from_alone(tmp_path: Any) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    learn(store, "a", nw.IBM(density=0.3))
    before = state(store.load("a"))
    model = learn(store, "b", nw.IBM(new=0.2, reuse=0.3)).model
    first, second = (store.directory.subnet(name).claimed_masks() for name in "ab")
    assert any((first[name] & second[name]).any() for name in first)
    assert same(before, state(store.load("a")))
    assert same(state(model), state(store.load("b")))
    total = sum(spec.numel for spec in store.shared)
    assert store.values_kept() == (int(0.3 * total) + int(0.2 * total)) / total
    learn(store, "c", nw.IBM(new=0.0, reuse=1.0))  # reuses the refined value where there are two
    third = state(store.load("c"))
    for name, claimed in first.items():
        both = claimed & second[name]
        assert torch.equal(third[name][both], state(model)[name][both])


def test_with_no_new_values_to_spend_frozen_weights_are_left_alone_from_the_start() -> None:
    run = Run(frozen=0.5, new=0.0, reuse=0.2, prune_every=100)
    assert not (run.flat(run.learner.claims).bool() & run.frozen).any()


def test_a_refining_network_never_fills_up() -> None:
    nw.IBM(density=1.0).check_tasks(1000)
    assert nw.IBM(new=0.5, reuse=0.5).budget(total=100, frozen=100) == nw.IBM(new=0.5, reuse=0.5).budget(100, 90)
    with pytest.raises(CapacityError, match="3 tasks do not fit"):
        nw.IBM(new=0.5, reuse=0.5, refine=False).check_tasks(3)


def test_a_dropped_weight_stays_out_even_where_all_are_worth_the_same() -> None:
    run = Run(density=0.5, prune_every=4, prune_from=0.0)
    before = run.kept
    for step in range(24):
        if step == 10:
            for param in run.shared.params:
                param.detach().zero_()  # every score is 0 now: ties, which go by position
        run.step()
        assert not (run.kept & ~before).any()
        before = run.kept
    assert int(before.sum()) == 100


def test_the_best_of_each_group_stay() -> None:
    run = Run(frozen=0.5, new=0.1, reuse=0.2, prune_every=100)  # one choice only, at step 24
    theta = run.flat(run.shared.params).clone()
    for _ in range(24):
        run.step()
    scores = theta**2 * run.flat(run.average)
    for group, count in ((True, 40), (False, 20)):
        assert int((run.kept & (run.frozen == group)).sum()) == count
        assert scores[run.kept & (run.frozen == group)].min() > scores[~run.kept & (run.frozen == group)].max()
    explained = run.learner.explain()
    assert all(explained[name]["ratio"] is None for name in SHAPES)
    # 1/2 log 2 for the last weight kept of each group, more for the others
    relative = torch.cat(
        [scores[kept] / scores[kept].min() for kept in (run.kept & run.frozen, run.kept & ~run.frozen)]
    )
    nats = sum(explained[name]["nats"] for name in SHAPES)
    assert nats == pytest.approx(float(gate_nats(relative).sum()), rel=1e-4)
    assert nats > 60 * 0.5 * math.log(2)


@pytest.mark.parametrize("prices", [{"beta": 30.0}, {"beta_new": 100.0, "beta_reuse": 3.0}])
def test_at_a_price_the_gates_with_more_signal_than_noise_stay(prices: dict[str, float]) -> None:
    run = Run(frozen=0.5, prune_every=100, **prices)
    theta = run.flat(run.shared.params).clone()
    for _ in range(24):
        run.step()
    information = 100 * 8 * run.flat(run.average) / (1 - 0.95**24)
    common = prices.get("beta", 0.0)
    for group, beta in ((False, prices.get("beta_new", common)), (True, prices.get("beta_reuse", common))):
        expected = gate_variance(theta, information, beta) < theta**2
        chosen = run.frozen == group
        assert torch.equal(run.kept[chosen], expected[chosen])
        assert 0 < int(expected[chosen].sum()) < int(chosen.sum())


def test_the_ratio_moves_a_layer_up_or_down() -> None:
    kept = {}
    for ratio in ("none", "features", "inverse"):
        torch.manual_seed(3)
        run = Run(density=0.3, ratio=ratio, prune_every=5)
        assert run.learner.wants_ratio(0) == (ratio != "none")
        run.learner.set_ratio({"a": 0.25})  # b was not measured: 1
        run.all()
        assert not run.learner.wants_ratio(0)
        kept[ratio] = int(run.learner.masks[0].sum())
        assert int(run.kept.sum()) == 60
        assert run.learner.explain()["a"]["ratio"] == (None if ratio == "none" else 0.25)
    assert kept["inverse"] < kept["none"] < kept["features"]


def test_room_for_weights_that_carry_nothing(tmp_path: Any) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    with store.begin("a", nw.IBM(density=0.95), head=MLP.head(2)) as task:
        x, y = MLP.batch(8, 2)
        x[:, 3:] = 0  # half of the first layer never has a gradient
        task.fit([(x, y)], nw.Training(10))
        task.commit()
    for layer in store.explain("a"):
        assert layer.nats is not None
        assert 0 <= layer.nats < math.inf


def test_warnings_say_what_goes_wrong() -> None:
    run = Run(density=0.2)
    for _ in range(10):
        run.step()
    with pytest.warns(UserWarning, match="ended at step 10 of the 40"):
        run.learner.finish()
    assert int(run.kept.sum()) == 40
    run = Run(beta=1e9)
    with pytest.warns(UserWarning, match=r"no weight is kept of a, b.*Lower the price"):
        run.all()


def test_a_budget_is_split_as_documented() -> None:
    assert nw.IBM(density=0.04).budget(1000, 0) == nw.IBM(new=0.04, reuse=0.0).budget(1000, 0)
    for frozen, new, reuse in ((0, 40, 0), (10, 30, 10), (30, 10, 30), (500, 10, 30)):
        budget = nw.IBM(density=0.04).budget(1000, frozen)
        assert (budget.new, budget.reuse) == (new, reuse)
    for frozen, new, reuse in ((0, 30, 0), (10, 10, 10), (500, 10, 30)):  # the first task has nothing to reuse
        budget = nw.IBM(new=0.01, reuse=0.03).budget(1000, frozen)
        assert (budget.new, budget.reuse) == (new, reuse)


def test_free_weights_start_smaller_and_frozen_ones_as_they_are(tmp_path: Any) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    first = learn(store, "a", nw.IBM(density=0.3)).model
    with store.begin("b", nw.IBM(density=0.3, free_scale=0.5), head=MLP.head(2)) as task:
        used = store.directory.subnet("a").kept_masks()["one.weight"]
        expected = torch.where(used, first.one.weight, 0.5 * MLP.make().one.weight)
        assert torch.equal(task.model.one.weight, expected)
