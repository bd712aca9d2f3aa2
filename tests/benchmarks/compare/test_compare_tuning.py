"""Tuning: as many trials for all, the same whoever asks, the defaults first, and a pick without chance."""

from __future__ import annotations

import optuna

from narrows.benchmarks.compare import parse_variants
from narrows.benchmarks.compare.tuning import pick, trial_values


def test_every_method_gets_as_many_trials_and_its_defaults_first():
    for variant in parse_variants("ibm,wsn:density=0.03,finetune"):
        values = trial_values(variant, 5)
        assert len(values) == 5
        assert values[0] == {"lr": variant.make().learning_rate}
        assert len({trial["lr"] for trial in values}) == 5
        assert all(3e-4 <= trial["lr"] <= 3e-2 for trial in values)


def test_the_same_values_are_tried_whoever_asks_and_for_every_method():
    ibm, wsn = parse_variants("ibm,wsn")
    assert trial_values(ibm, 4) == trial_values(ibm, 4)
    assert trial_values(ibm, 4)[1:] == trial_values(wsn, 4)[1:]
    assert trial_values(ibm, 6)[:4] == trial_values(ibm, 4)


def test_what_was_said_is_not_tuned():
    (variant,) = parse_variants("ibm:lr=0.01")
    assert trial_values(variant, 5) == []
    assert trial_values(parse_variants("ibm")[0], 0) == []


def test_options_that_a_method_declares_are_tuned_too(monkeypatch):
    (variant,) = parse_variants("ibm")
    ranges = {"lr": (1e-3, 1e-2), "free_scale": (0.5, 1.0)}  # its default, 0.3, lies outside
    monkeypatch.setattr(type(variant.make()), "tunable", ranges)
    values = trial_values(variant, 4)
    assert values[0] == {"lr": 6e-3, "free_scale": 0.3}
    assert all(1e-3 <= trial["lr"] <= 1e-2 and 0.3 <= trial["free_scale"] <= 1.0 for trial in values[1:])
    assert variant.make(values[1]).free_scale == values[1]["free_scale"]
    assert list(trial_values(parse_variants("ibm:free_scale=0.2")[0], 3)[0]) == ["lr"]


def test_ewc_tunes_its_strength_with_no_more_trials_than_others():
    ewc, bound = parse_variants("ewc,ewc:strength=100")
    values = trial_values(ewc, 5)
    assert values[0] == {"lr": 1e-3, "strength": 1000.0}
    assert len(values) == len(trial_values(bound, 5)) == 5
    assert len({trial["strength"] for trial in values}) == 5


def test_the_best_is_picked_and_of_equal_ones_the_first():
    tried = [{"values": {"lr": rate}, "accuracy": found} for rate, found in ((1, 0.5), (2, 0.7), (3, 0.7), (4, None))]
    assert pick(tried) == {"lr": 2}
    assert pick(tried[3:]) is None


def test_optuna_is_left_as_talkative_as_it_was():
    before = optuna.logging.get_verbosity()
    trial_values(parse_variants("ibm")[0], 2)
    assert optuna.logging.get_verbosity() == before
