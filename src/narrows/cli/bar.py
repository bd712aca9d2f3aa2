"""The bar that a task's figures must reach, said as NAME=VALUE. Knows no command."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from narrows.errors import ConfigError, UnknownNameError, nearest
from narrows.pairs import parse_pairs

if TYPE_CHECKING:
    from narrows.production import Evaluation

Bar = Mapping[str, float]


def parse_bar(pairs: Sequence[str] | None, option: str) -> dict[str, float]:
    """Bounds by the figure's name. ConfigError where one is no number.

    >>> parse_bar(["accuracy=0.9"], "--at-least")
    {'accuracy': 0.9}
    """
    bar: dict[str, float] = {}
    for name, text in parse_pairs(pairs or (), option, f"{option} accuracy=0.9").items():
        try:
            bar[name] = float(text)
        except ValueError:
            bar[name] = math.nan
        if not math.isfinite(bar[name]):
            raise ConfigError(f"{option} {name}={text}: {text!r} is no number.")
    return bar


def require_figures(bar: Iterable[str], known: Mapping[str, Sequence[str]]) -> None:
    """Before anything is measured: UnknownNameError unless some task has a figure of each name of the bar.

    Args:
        known: the names of each task's figures.
    """
    names = tuple(dict.fromkeys(name for figures in known.values() for name in figures))
    for name in bar:
        if known and name not in names:
            who = next(iter(known)) if len(known) == 1 else "no task of the store"
            raise UnknownNameError(
                f"{who} has {'no' if len(known) == 1 else 'a'} figure {name!r}: {nearest(name, names)}"
            )


def missed(found: Evaluation, least: Bar, most: Bar) -> Iterator[str]:
    """What a task does not reach, a sentence each. UnknownNameError where it has no figure of that name."""
    figures = figures_of(found)
    for name in (*least, *most):
        if name not in figures:
            raise UnknownNameError(f"{found.task} has no figure {name!r}: {nearest(name, tuple(figures))}")
    for bar, sign, word in ((least, 1, "least"), (most, -1, "most")):
        for name, bound in bar.items():
            if not sign * figures[name] >= sign * bound:  # NaN reaches nothing
                yield f"{found.task}: {name} is {figures[name]:.4g}, and at {word} {bound:g} is asked for"


def figures_of(found: Evaluation) -> dict[str, float]:
    """By name, those of a target as TARGET.NAME; NaN where there is no such figure of these data."""
    figures = {name: value for name, value in found.scores.items() if value is None or isinstance(value, int | float)}
    for target, scores in found.scores.get("targets", {}).items():
        figures |= {f"{target}.{name}": value for name, value in scores.items()}
    return {name: math.nan if value is None else value for name, value in figures.items()}
