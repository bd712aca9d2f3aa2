"""Calls as they were before there was `Training`: its values as keywords beside the others. Goes with version 0.3."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from narrows.errors import ConfigError
from narrows.training.value import Training

P = ParamSpec("P")
R = TypeVar("R")
_VALUES = {one.name for one in fields(Training)}


def takes_old_keywords(
    default: Training | None = None, renamed: Mapping[str, str] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """For a function with a `training`: takes that as keywords too, and the epochs as last argument, with a warning.

    Args:
        default: what holds where a keyword is not said.
        renamed: keywords that have another name now: where a positional argument has theirs, they are meant.

    Raises:
        ConfigError: keywords that neither the function, nor `Training`, nor the optimizer's class takes, or a
            `Training` beside them.
    """

    def wrapped(function: Callable[P, R]) -> Callable[P, R]:
        known = inspect.signature(function).parameters.keys()

        @wraps(function)
        def called(*args: Any, **keywords: Any) -> Any:
            training = keywords.get("training")
            if args and (type(args[-1]) is int or isinstance(args[-1], Training)):
                training = args[-1]
            for name, now in (renamed or {}).items():
                if name in keywords and name in list(known)[: len(args)]:
                    keywords[now] = keywords.pop(name)
                    _warn(f"{function.__name__}({name}=...) is now {function.__name__}({now}=...).")
            old = keywords.keys() - known
            if isinstance(training, Training) and old:
                raise ConfigError(
                    f"{function.__name__} takes no {', '.join(sorted(old))} beside a Training: say it there, "
                    f"Training(...), where it is one of {', '.join(sorted(_VALUES))}."
                )
            if not old and not isinstance(training, int):
                return function(*args, **keywords)
            if isinstance(training, int):
                args, old = args[:-1], {"epochs", *old}
                keywords["epochs"] = training
            keywords["training"] = _training({name: keywords.pop(name) for name in old}, default)
            said = ", ".join(f"{name}=..." for name in sorted(old))
            _warn(
                f"{function.__name__}({said}) is now {function.__name__}(..., training=narrows.Training({said})): "
                "docs/fit.md."
            )
            return function(*args, **keywords)

        return called

    return wrapped


def _warn(text: str) -> None:
    warnings.warn(text, DeprecationWarning, stacklevel=3)


def _training(said: dict[str, Any], default: Training | None) -> Training:
    if "cosine" in said:
        said["schedule"] = "cosine" if said.pop("cosine") else "constant"
    values = {name: said.pop(name) for name in _VALUES & said.keys()}
    if said:
        values["options"] = {**said, **values.get("options", {})}
    return Training(**values) if default is None else replace(default, **values)
