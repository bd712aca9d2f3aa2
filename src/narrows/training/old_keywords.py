"""Calls as they were before there was `Training`: its values as keywords beside the others. Goes with version 0.3."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
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
        def called(*positional: Any, **keywords: Any) -> Any:
            args = list(positional)
            given = isinstance(keywords.get("training"), Training) or any(isinstance(one, Training) for one in args)
            for name, now in (renamed or {}).items():
                if name in keywords and name in list(known)[: len(args)]:
                    keywords[now] = keywords.pop(name)
                    _warn(f"{function.__name__}({name}=...) is now {function.__name__}({now}=...).")
            old = keywords.keys() - known
            if given and old:
                raise ConfigError(
                    f"{function.__name__} takes no {', '.join(sorted(old))} beside a Training: say it there, "
                    f"Training(...), where it is one of {', '.join(sorted(_VALUES))}."
                )
            if args and type(args[-1]) is int:
                keywords["epochs"] = args.pop()
                old = {"epochs", *old}
            if not old:
                return function(*args, **keywords)
            values = _values({name: keywords.pop(name) for name in old})
            keywords["training"] = Training(**values) if default is None else replace(default, **values)
            _warn(
                f"{function.__name__}({_listed(old)}) is now {function.__name__}(..., training="
                f"narrows.Training({_listed(values)})): docs/fit.md."
            )
            return function(*args, **keywords)

        return called

    return wrapped


def _warn(text: str) -> None:
    warnings.warn(text, DeprecationWarning, stacklevel=3)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"{name}=..." for name in sorted(names))


def _values(said: dict[str, Any]) -> dict[str, Any]:
    """Those of a `Training`."""
    if "cosine" in said:
        said["schedule"] = "cosine" if said.pop("cosine") else "constant"
    values = {name: said.pop(name) for name in _VALUES & said.keys()}
    if said:
        values["options"] = {**said, **values.get("options", {})}
    return values
