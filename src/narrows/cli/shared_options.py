"""Options that several commands have in common, declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any


def shares_options(*declared: Callable[..., None]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """For a command that takes keywords (`**shared`): it has the parameters of `declared` after its own, given by name.

    >>> def common(device: str = "cpu") -> None: ...
    >>> @shares_options(common)
    ... def command(store: str, **shared: Any) -> None:
    ...     print(store, shared)
    >>> list(inspect.signature(command).parameters), command("shop", device="cuda")
    shop {'device': 'cuda'}
    (['store', 'device'], None)
    """

    def shared(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def called(*args: Any, **said: Any) -> None:
            command(*args, **said)

        of = [inspect.signature(one, eval_str=True).parameters.values() for one in (command, *declared)]
        found = [one for parameters in of for one in parameters if one.kind is not inspect.Parameter.VAR_KEYWORD]
        vars(called)["__signature__"] = inspect.Signature(found)
        called.__annotations__ = {one.name: one.annotation for one in found}
        return called

    return shared
