"""The forecast is deterministic, exact where claims are, wide where little is known, and as right as it says."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

import narrows as nw
from analysis_samples import BUDGET, empty_store, random_store
from narrows.analysis.back_test import back_test
from narrows.analysis.capacity import Capacity, Growth, LayerCapacity, capacity
from narrows.analysis.claims import Past, simulate
from narrows.analysis.forecast import FAN, forecast
from toys import MLP, learn

OTHER = {"name": "of-the-user", "config": {}}
"""A method without a budget that is known here."""


def stream(fresh, weights=(6000, 4000), refined=0, method=OTHER, isolation="shared") -> Capacity:
    """A capacity with these claims of free weights, by task and layer."""
    growth, taken, kept, total = [], np.zeros(len(weights)), 0, sum(weights)
    for number, claims in enumerate(fresh):
        taken, kept = taken + claims, kept + sum(claims) + refined
        name, used = f"task {number}", kept / total
        row = (used, taken.sum() / total, sum(claims) + refined, tuple(claims), 0)
        growth.append(Growth(name, isolation, method, *row))
    layers = tuple(
        LayerCapacity(f"layer {at}", size, int(size - gone), (), int(gone))
        for at, (size, gone) in enumerate(zip(weights, taken, strict=True))
    )
    free = sum(layer.free for layer in layers)
    return Capacity((), (), (), layers, LayerCapacity("", total, free, (), kept), tuple(growth))


def test_without_tasks_that_share_there_is_no_forecast(tmp_path):
    assert forecast(capacity(empty_store(tmp_path / "s"))) is None
    assert back_test(capacity(empty_store(tmp_path / "t"))) is None
    assert forecast(stream([(0, 0)] * 3, isolation="own")) is None
    assert forecast(stream([(0, 0)] * 3, isolation="none")) is None


def test_the_same_seed_gives_the_same_forecast():
    known = stream([(900, 100), (300, 40), (250, 10), (310, 60), (280, 33)])
    assert forecast(known) == forecast(known)
    assert back_test(known) == back_test(known)
    assert forecast(known) != forecast(known, seed=1)


def test_equal_claims_are_forecast_exactly():
    told = forecast(stream([(600, 400)] + [(300, 100)] * 5))
    assert told.rests_on == 5
    assert not told.weak
    # 3,900 of 6,000 and 3,100 of 4,000 are free: the first layer is full after 13 tasks, all after 17
    assert (told.fits.low, told.fits.median, told.fits.high) == (17, 17, 17)
    assert told.next_limit.layer == "layer 0"
    assert told.next_limit.tasks.median == 13
    assert [step.median for step in told.used[:3]] == pytest.approx([0.34, 0.38, 0.42])
    assert told.used[0].low == pytest.approx(told.used[0].high)
    assert told.taken[-1].high <= 1 + 1e-9


def test_the_budget_of_the_latest_task_bounds_the_forecast():
    told = forecast(stream([(300, 300)] + [(150, 50)] * 3, method=BUDGET))
    assert (told.budget, told.refines, told.refused) == (200, False, False)
    assert told.fits.median == (10_000 - 1200) // 200
    one = forecast(stream([(600, 400)], method=BUDGET))  # the first task of all claims more than any later
    assert one.weak
    assert one.used[0].high <= 0.1 + 0.02 + 1e-9


def test_a_method_that_would_refuse_the_next_task_leaves_room_for_none():
    told = forecast(stream([(5900, 3950), (10, 10)], method=BUDGET))
    assert told.refused
    assert (told.fits.low, told.fits.high) == (0, 0)


def test_a_method_that_refines_is_never_refused():
    refining = {"name": "ibm", "config": {"new": 0.02, "reuse": 0.1}}
    told = forecast(stream([(5900, 3950), (10, 10)], refined=150, method=refining))
    assert told.refines
    assert not told.refused
    assert told.used[-1].high > 1  # values kept go on to grow
    assert told.taken[-1].high <= 1


def test_claims_that_shrink_by_a_constant_factor_are_seen():
    fresh = [(6000 * 0.25 * 0.75**t, 4000 * 0.25 * 0.75**t) for t in range(9)]
    told = forecast(stream(fresh))
    truth = 1 - 0.75**14
    assert told.taken[4].median == pytest.approx(truth, abs=0.02)
    assert told.fits.median is None


def test_a_damped_trend_is_followed_where_claims_fall():
    fresh = [(1000 * 0.9**t, 100) for t in range(12)]
    told = forecast(stream(fresh, weights=(60_000, 40_000)))
    truth = (sum(map(sum, fresh)) + sum(1000 * 0.9**t + 100 for t in range(12, 15))) / 100_000
    flat = (sum(map(sum, fresh)) + 3 * np.mean([sum(claims) for claims in fresh])) / 100_000
    assert abs(told.used[2].median - truth) < 0.2 * abs(flat - truth)


def test_one_or_two_tasks_give_a_wide_and_weak_forecast():
    few, many = forecast(stream([(300, 100)])), forecast(stream([(300, 100)] * 8))
    assert few.weak
    assert forecast(stream([(300, 100)] * 2)).weak
    assert few.used[4].high - few.used[4].low > 0.1
    assert many.used[4].high - many.used[4].low < 1e-9


def test_tasks_of_other_options_do_not_count():
    known = stream([(900, 900)] * 4 + [(100, 100)] * 4)
    mixed = replace(
        known, growth=tuple(replace(step, method=BUDGET) if at < 4 else step for at, step in enumerate(known.growth))
    )
    assert forecast(mixed).rests_on == 4
    assert forecast(mixed).used[0].median == pytest.approx(0.82)


def test_tasks_that_claim_nothing_fit_without_end():
    told = forecast(stream([(100, 100), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0)]))
    assert told.fits.low is None
    assert told.next_limit is None


@pytest.mark.parametrize("known", [3, 5, 10, 20])
def test_intervals_hold_about_as_much_as_they_say_where_claims_are_exchangeable(known):
    within = np.zeros(5)
    for seed in range(120):
        claims = 1000 * np.exp(0.3 * np.random.default_rng(seed).standard_normal(known + 5))
        futures = simulate(Past(claims[:known, None], np.zeros(known), np.array([1e9])), 5, 100, seed)
        low, high = np.quantile(futures.kept, [0.1, 0.9], axis=0)
        truth = np.cumsum(claims[known:])
        within += (low <= truth) & (truth <= high)
    assert 0.62 < within.mean() / 120 < 0.93


def test_the_back_test_compares_with_what_came():
    told = back_test(stream([(600, 400)] + [(300, 100)] * 6))
    assert [horizon.ahead for horizon in told.horizons] == list(range(1, 7))
    assert [horizon.count for horizon in told.horizons] == [6, 5, 4, 3, 2, 1]
    exact = [retried for retried in told.forecasts if retried.known >= 4]
    assert all(retried.median == pytest.approx(retried.truth) for retried in exact)
    assert told.all.error == pytest.approx(np.mean([abs(one.median - one.truth) for one in told.forecasts]))
    assert (told.settled.error, told.settled.within) == (pytest.approx(0), 1)
    assert told.settled.count == sum(not retried.weak for retried in told.forecasts) == 6


def test_with_a_method_that_refines_used_is_exact_and_taken_is_not():
    rng = np.random.default_rng(0)
    fresh = [(300, 0)] + [(int(part), 0) for part in rng.integers(100, 200, 9)]
    known = stream(fresh)
    growth = tuple(
        replace(step, method={"name": "ibm", "config": {"new": 0.02, "reuse": 0.1}}, claimed=300 if not at else 200)
        for at, step in enumerate(known.growth)
    )
    known = replace(known, growth=growth)
    assert back_test(known).all.error == pytest.approx(0)
    assert 0 < back_test(known, of="taken").settled.error < 0.05


@pytest.mark.parametrize("tasks", [1, 2, 200])
def test_forecasts_of_stores_are_plain_json(tmp_path, large_store, tasks):
    known = capacity(large_store if tasks == 200 else random_store(tmp_path / "s", tasks))
    told, tested = forecast(known), back_test(known)
    assert len(told.used) == FAN
    assert (tested is None) == (tasks == 1)
    json.dumps([asdict(told), tested and asdict(tested)], allow_nan=False)


def test_a_real_store_is_forecast(tmp_path):
    store = nw.TaskStore.create(tmp_path / "s", MLP.make(), head=MLP.place)
    for number in range(3):
        learn(store, f"task {number}", nw.IBM(new=0.1, reuse=0.3, prune_every=2))
    told = forecast(capacity(store.directory))
    assert told.refines
    assert told.budget == int(0.1 * sum(spec.numel for spec in store.shared))
