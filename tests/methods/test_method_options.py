"""Options of methods: what is refused, and how the message helps."""

from __future__ import annotations

from typing import Any

import pytest

import narrows as nw
from narrows.errors import ConfigError, UnknownNameError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"density": 0.1, "beta": 1.0}, "not both"),
        ({"density": 0.1, "new": 0.1, "reuse": 0.1}, "not both"),
        ({"new": 0.1}, "say both"),
        ({"beta_new": 1.0}, "beta, or both"),
        ({"density": 0.0}, "leaves no network"),
        ({"density": 1.5}, "got 1.5"),
        ({"density": float("nan")}, "density"),
        ({"new": -0.1, "reuse": 0.1}, "got -0.1"),
        ({"beta": 0.0}, "above 0"),
        ({"beta": float("nan")}, "above 0"),
        ({"estimator": "mcmc"}, "laplace, variational"),
        ({"gates": "other"}, "multiplicative, additive"),
        ({"ratio": "rank"}, "none, features, inverse"),
        ({"prune_from": 0.7}, "from < until"),
        ({"prune_until": 1.1}, "from < until"),
        ({"decay": 1.0}, "decay"),
        ({"prune_every": 0}, "at least 1"),
        ({"log_alpha_range": (1.0, -1.0)}, "lower one first"),
    ],
)
def test_ibm_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        nw.IBM(**options)


@pytest.mark.parametrize("density", [0.0, -1.0, 1.1, float("nan")])
def test_wsn_refuses(density: float) -> None:
    with pytest.raises(ConfigError, match="wsn: density"):
        nw.WSN(density=density)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (nw.SupSup, {"density": 0.0}, "supsup: density"),
        (nw.SupSup, {"weights": "random"}, "signed, base"),
        (nw.HAT, {"c": -1.0}, "hat: c"),
        (nw.HAT, {"smax": 1.0}, "hat: smax"),
        (nw.HAT, {"gate_lr": 0.0}, "hat: gate_lr"),
        (nw.HAT, {"anneal": "step"}, "task, epoch"),
        (nw.EWC, {"strength": float("nan")}, "ewc: strength"),
        (nw.EWC, {"gamma": 1.1}, "ewc: gamma"),
    ],
)
def test_rivals_refuse(method: type[nw.Method], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        method(**options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("imb", {}, "did you mean 'ibm'"),
        ("zzz", {}, "there are: ibm, wsn"),
        ("ibm", {"densty": 0.1}, "did you mean 'density'"),
        ("finetune", {"density": 0.1}, "no option 'density': there are: none"),
    ],
)
def test_an_unknown_name_is_answered_by_the_nearest(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        nw.make_method(name, options)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("density", "much"),
        ("density", True),
        ("density", [0.1]),
        ("prune_every", "2.5"),
        ("prune_every", "True"),
        ("estimator", "x"),
        ("log_alpha_range", "[1]"),
        ("log_alpha_range", "1"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"ibm: {option}"):
        nw.make_method("ibm", {option: value})


def test_text_is_read_as_the_options_type() -> None:
    text = {"new": "0.01", "reuse": "3e-2", "prune_every": "5", "log_alpha_range": "[-8, 3]", "beta": "none"}
    method = nw.make_method("ibm", text)
    assert method == nw.IBM(new=0.01, reuse=0.03, prune_every=5, log_alpha_range=(-8.0, 3.0))


def test_a_price_may_shape_variational_gates_beside_a_budget() -> None:
    method = nw.IBM(estimator="variational", density=0.1, beta=0.5)
    assert not method.uses_price
    assert method.prices() == (0.5, 0.5)
    assert nw.IBM(estimator="variational", density=0.1).prices() == (0.01, 0.01)
    assert nw.IBM(estimator="variational", beta=0.5).uses_price
