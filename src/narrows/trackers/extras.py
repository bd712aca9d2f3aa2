"""What trackers log to, imported where it is first needed; and what they all say of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from importlib import import_module
from typing import Any

from narrows.errors import ConfigError
from narrows.training.history import QUANTILES, Point


def require(module: str, extra: str) -> Any:
    """Imports a module of that extra of narrows.

    Raises:
        ConfigError: it is not installed; the message says how to.

    >>> require("json", "mlflow").dumps([1])
    '[1]'
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(
            f'Logging to {extra} needs a package that is not there ({error}): pip install "narrows[{extra}]".'
        ) from error


def scalars(point: Point) -> dict[str, float]:
    """What of a point is known, by name.

    >>> scalars(Point(1, 0, 0.5, None, 0.75, 0.25))
    {'loss': 0.5, 'new': 0.75, 'reused': 0.25, 'density': 1.0}
    """
    found = {"loss": point.loss, "lr": point.lr, "new": point.new, "reused": point.reused, "density": point.density}
    found |= {f"log_alpha/{percent}": value for percent, value in zip(QUANTILES, point.log_alpha or (), strict=False)}
    return {name: value for name, value in found.items() if value is not None}


def settings(about: Mapping[str, Any]) -> dict[str, Any]:
    """What a task was begun with, flat: "ibm.density", "schedule.epochs", ...; what was not said is left out."""
    method, schedule = about["method"], about["schedule"]
    found = {f"{method['name']}.{name}": value for name, value in method["config"].items()}
    found |= {f"schedule.{name}": value for name, value in plain(schedule).items()}
    return {name: value for name, value in found.items() if value is not None}


def plain(schedule: Any) -> Any:
    """A schedule as plain values; what is no dataclass as it is."""
    return asdict(schedule) if is_dataclass(schedule) and not isinstance(schedule, type) else schedule
