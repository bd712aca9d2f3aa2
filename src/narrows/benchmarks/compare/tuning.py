"""What tuning tries, and what it picks. The same on every machine, whoever does which trial, in whatever order.

A trial learns the stream's first tasks and is measured on held-out training data (`RunOptions.holdout`). The first
trial has the method's defaults; the others are a quasi-random sequence (scrambled Halton points, Optuna's
`QMCSampler` with a fixed seed), uniform in the logarithm of each value. That sequence needs no result of an earlier
trial, so trials can be done in parallel and the grid stays reproducible, which a sampler that learns would not allow.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from narrows.benchmarks.compare.spec import Variant
from narrows.benchmarks.compare.summary import Trial


def trial_values(variant: Variant, count: int) -> list[dict[str, float]]:
    """The values of each of `count` trials, rounded to three digits.

    Nothing to tune or no trials: none.
    """
    import optuna

    ranges = variant.tunable()
    if not ranges or not count:
        return []
    defaults = variant.defaults()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.QMCSampler(qmc_type="halton", scramble=True, seed=0)
    storage = optuna.storages.InMemoryStorage()
    study = _quietly_created(storage, sampler)
    study.enqueue_trial(defaults)
    tried = []
    for _ in range(count):
        trial = study.ask()
        for name, (low, high) in ranges.items():
            trial.suggest_float(name, min(low, defaults[name]), max(high, defaults[name]), log=True)
        tried.append({name: float(f"{value:.3g}") for name, value in trial.params.items()})
        study.tell(trial, 0.0)
    tried[0] = defaults
    return tried


def _quietly_created(storage: Any, sampler: Any) -> Any:
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(storage=storage, sampler=sampler)
    finally:
        optuna.logging.set_verbosity(before)


def pick(tried: Sequence[Trial]) -> Mapping[str, float] | None:
    """The values of the trial with the best accuracy on held-out data; of equal ones the first. None: all failed.

    >>> pick([{"values": {"lr": 0.001}, "accuracy": 0.9}, {"values": {"lr": 0.01}, "accuracy": None}])
    {'lr': 0.001}
    """
    done = [trial for trial in tried if trial["accuracy"] is not None]
    return max(done, key=lambda trial: trial["accuracy"] or 0.0)["values"] if done else None
