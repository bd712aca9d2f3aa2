"""What is compared: variants of methods read from text, and the options of a whole grid.

Knows no process, file or storage.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from narrows.errors import ConfigError
from narrows.methods import Independent, Method, make_method
from narrows.pairs import json_value, parse_pairs

DENSE = Independent.name
"""The dense reference: what FWT and the step ratio are held against."""


@dataclass(frozen=True)
class Variant:
    """A method with options: one line of the table.

    Attributes:
        label: what it is called, the same however its options were spelled or ordered.
        method: name of the method.
        settings: its options that were said, as text for `narrows run --set`.
        lr: a learning rate that was said; it is then not tuned.
    """

    label: str
    method: str
    settings: Mapping[str, str] = field(default_factory=dict)
    lr: float | None = None

    def make(self, tuned: Mapping[str, float] | None = None) -> Method:
        """The method, with tuned values of its options where there are any ("lr" is none of them)."""
        options = {name: value for name, value in (tuned or {}).items() if name != "lr"}
        return make_method(self.method, {**self.settings, **options})

    def tunable(self) -> dict[str, tuple[float, float]]:
        """What may be tuned, with its range: what the method declares, less what was said."""
        said = {*self.settings, *(() if self.lr is None else ("lr",))}
        return {name: bounds for name, bounds in self.make().tunable.items() if name not in said}

    def defaults(self) -> dict[str, float]:
        """The method's own values of what may be tuned."""
        method = self.make()
        own = {"lr": method.learning_rate, **{name: getattr(method, name) for name in method.tunable if name != "lr"}}
        return {name: float(own[name]) for name in self.tunable()}

    @property
    def slug(self) -> str:
        """The label as a name of a folder."""
        return re.sub(r"[^\w.=+-]+", "-", self.label, flags=re.ASCII).strip("-")


@dataclass(frozen=True)
class CompareOptions:
    """A grid. None means the stream's own default.

    Attributes:
        stream, tasks, classes, image_size, data, network, batch_size, device: as of a run; see `RunOptions`.
        variants: what is compared; see `parse_variants`.
        seeds: each variant is run with each of them.
        epochs: lengths of training, each a run of its own.
        tune: trials that each variant gets, of which the first has the method's defaults; 0 tunes nothing.
        tune_tasks: how many of the first tasks a trial learns.
        holdout: fraction of the training data that a trial is measured on.
        jobs: runs at once; default: the CPU cores over `threads`.
        threads: CPU threads of each run.
        storage: an Optuna storage that several machines share: a database's URL, or a file. Default: a file in
            the grid's folder.
        beat, stale: seconds between a worker's signs of life, and after how many without one its runs are taken
            over by others.
        command: recorded with the figures.
    """

    stream: str
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: tuple[int, ...] | None = None
    tune: int = 5
    tune_tasks: int = 2
    holdout: float = 0.2
    tasks: int | None = None
    classes: int | None = None
    image_size: int | None = None
    data: Path | None = None
    network: str | None = None
    batch_size: int | None = None
    device: str = "cpu"
    jobs: int | None = None
    threads: int = 1
    storage: str | None = None
    beat: float = 30.0
    stale: float = 300.0
    command: tuple[str, ...] = ()


def parse_variants(text: str) -> tuple[Variant, ...]:
    """Variants from text: methods apart by commas, each with options by colons.

    Besides the method's options `lr` may be said; it is then not tuned.

    Raises:
        UnknownNameError: no such method or option; the nearest is suggested.
        ConfigError: a value out of range, a variant said twice, or nothing said.

    >>> [variant.label for variant in parse_variants("wsn,ibm:reuse=3e-2:new=0.01")]
    ['wsn', 'ibm new=0.01 reuse=0.03']
    """
    variants = tuple(_parse_variant(part) for part in _split(text, ","))
    if not variants:
        raise ConfigError("--methods takes one or more methods, as in ibm,wsn or ibm:density=0.03,wsn:density=0.1.")
    require_distinct(variants)
    return variants


def require_distinct(variants: Sequence[Variant]) -> None:
    """Raises ConfigError where two variants are the same, or would have the same folder."""
    seen: dict[str, str] = {}
    for variant in variants:
        if variant.slug in seen:
            same = "is said twice" if seen[variant.slug] == variant.label else f"and {seen[variant.slug]} look alike"
            raise ConfigError(f"the method {variant.label} {same}; each variant is compared once.")
        seen[variant.slug] = variant.label


def parse_numbers(text: str, what: str) -> tuple[int, ...]:
    """Whole numbers apart by commas, each once.

    Raises:
        ConfigError: anything else.

    >>> parse_numbers("2,10", "--epochs")
    (2, 10)
    """
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"{what} takes whole numbers, as in 2,10; got {text!r}.") from None
    if len(set(numbers)) < len(numbers):
        raise ConfigError(f"{what} says a number twice: {text!r}.")
    return numbers


def parse_seeds(text: str) -> tuple[int, ...]:
    """How many seeds, or a list of them.

    >>> parse_seeds("3"), parse_seeds("0,5"), parse_seeds("5,")
    ((0, 1, 2), (0, 5), (5,))
    """
    if "," in text:
        return parse_numbers(text.rstrip(","), "--seeds")
    (count,) = parse_numbers(text, "--seeds")
    if count < 1:
        raise ConfigError(f"--seeds takes how many, at least 1, or a list as in 0,1,5; got {text!r}.")
    return tuple(range(count))


def _parse_variant(text: str) -> Variant:
    name, *pairs = _split(text, ":")
    settings = parse_pairs(pairs, name, "ibm:density=0.03")
    rate = _rate(name, settings.pop("lr")) if "lr" in settings else None
    config = make_method(name, settings).config()
    said = {option: _text(value) for option, value in config.items() if option in settings}
    parts = [name, *(f"{option}={value}" for option, value in said.items())]
    return Variant(" ".join([*parts, *([] if rate is None else [f"lr={rate:g}"])]), name, said, rate)


def _rate(name: str, text: str) -> float:
    rate = json_value(text)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < float("inf"):
        raise ConfigError(f"{name}: lr is a learning rate above 0; got {text!r}.")
    return float(rate)


def _text(value: Any) -> str:
    """An option's value as `narrows run --set` reads it back, in one spelling."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _split(text: str, mark: str) -> list[str]:
    """Parts between the marks that stand outside brackets, without the empty ones."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == mark and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]
