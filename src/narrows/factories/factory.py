"""How to build a model or a head again: what a store writes down of it, so that a later process needs only the store.

Knows names, arguments and how to call; whether a factory may be called at all is for `trust` to say.
"""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch
from torch import nn

from narrows.errors import ConfigError, ModelBuildError, nearest
from narrows.here import way_to
from narrows.store import strict_json

_MOST = 64 << 10  # bytes of the arguments, which are shown where one is asked to trust them


@dataclass(frozen=True)
class Factory:
    """What makes an `nn.Module`, by name, and what it is called with.

    Attributes:
        factory: "package.module:name" of a class or function that gives an `nn.Module`; the name may be dotted.
        arguments: its keyword arguments, plain JSON values (a tuple is kept as a list).

    Raises:
        ConfigError: the factory is not spelled so, or an argument is no plain JSON value.

    >>> factory = Factory("narrows.networks:mlp", {"input_shape": [1, 8, 8], "classes": 10})
    >>> Factory.from_json(factory.to_json()) == factory, factory.build().head
    (True, Linear(in_features=512, out_features=10, bias=True))
    """

    factory: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_factory(self.factory)
        object.__setattr__(self, "arguments", _plain(self.arguments, self.factory))

    @property
    def module(self) -> str:
        """The dotted name of the module that has the factory."""
        return self.factory.partition(":")[0]

    @property
    def call(self) -> str:
        """The call as one would write it, on one line of ASCII: nothing in it can look like something else."""
        said = ", ".join(_argument(name, value) for name, value in self.arguments.items())
        return f"{ascii(self.factory)[1:-1]}({said})"

    def to_json(self) -> dict[str, Any]:
        """Plain values, as store.json has them under `model`, and task.json among those of a head."""
        return {"factory": self.factory, "arguments": copy.deepcopy(dict(self.arguments))}

    @classmethod
    def from_json(cls, value: Any) -> Factory:
        """The factory in a JSON object. ConfigError for a missing, unknown or unfit entry."""
        if not isinstance(value, dict) or value.keys() != {"factory", "arguments"}:
            raise ConfigError("what makes a module is written down as an object of the entries factory and arguments")
        if not isinstance(value["arguments"], dict):
            raise ConfigError("the arguments of a factory are written down as an object")
        return cls(value["factory"], value["arguments"])

    def build(self, seed: int = 0) -> nn.Module:
        """Imports the factory and calls it. The caller has made sure that it may be.

        Args:
            seed: of the initial weights; the generator of the CPU is left as it was.

        Raises:
            ModelBuildError: the module or the name is not there, the call fails, or gives no `nn.Module`.
        """
        factory = _find(_import(self.module), self.factory.partition(":")[2])
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            try:
                model = factory(**copy.deepcopy(dict(self.arguments)))
            except Exception as error:  # whatever the user's code may raise
                way = way_to(error.name) if isinstance(error, ModuleNotFoundError) else ""
                raise ModelBuildError(f"{self.call} failed: {type(error).__name__}: {error}.{way}") from error
        if not isinstance(model, nn.Module):
            raise ModelBuildError(
                f"{self.call} gave a {type(model).__name__}, not an nn.Module. Name a class derived from nn.Module, or "
                "a function that returns one."
            )
        return model


def check_factory(factory: Any) -> None:
    """Raises ConfigError unless `factory` is spelled "package.module:name"."""
    module, colon, name = factory.partition(":") if isinstance(factory, str) else ("", "", "")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        raise ConfigError(
            f"A model is named as package.module:factory, as narrows.networks:mlp, or my_networks:make for the "
            f"function 'make' of my_networks.py; got {factory!r}."
        )


def _plain(arguments: Any, factory: str) -> dict[str, Any]:
    """The arguments as JSON would give them back."""
    if not isinstance(arguments, Mapping) or not all(isinstance(name, str) for name in arguments):
        raise ConfigError(f"The arguments of {factory} are a mapping of names to values; got {arguments!r}.")
    try:
        spelled = json.dumps(dict(arguments), allow_nan=False).encode()
        plain: dict[str, Any] = strict_json.loads(spelled)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"The arguments of {factory} must be plain values (text, numbers, true, false, null, lists, objects), to "
            f"be written down: {error}."
        ) from None
    if len(spelled) > _MOST:
        raise ConfigError(
            f"The arguments of {factory} have {len(spelled)} bytes as JSON, more than {_MOST}: have it read what is "
            "large from a file."
        )
    return plain


def _argument(name: str, value: Any) -> str:
    return f"{name}={value!a}" if name.isidentifier() and name.isascii() else f"**{{{name!a}: {value!a}}}"


def no_module(name: str, missing: str) -> ModelBuildError:
    """That the module `name` cannot be imported, as there is no `missing`, which it is in."""
    return ModelBuildError(
        f"There is no module {name!r} to import (no {missing!r}). The package must be installed in this "
        "environment or lie on PYTHONPATH; the command line also looks in the current directory."
    )


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            raise no_module(name, missing) from error
        raise ModelBuildError(
            f"The module {name!r} is there but needs {missing!r}, which is not: install it in this environment."
            f"{way_to(missing)}"
        ) from error
    except (Exception, SystemExit) as error:  # whatever the user's module may raise
        raise ModelBuildError(f"Importing the module {name!r} failed: {type(error).__name__}: {error}") from error


def _find(module: ModuleType, dotted: str) -> Any:
    found: Any = module
    for name in dotted.split("."):
        if not hasattr(found, name):
            callables = [known for known in dir(found) if not known.startswith("_") and callable(getattr(found, known))]
            raise ModelBuildError(f"{module.__name__} has no {dotted!r}: {nearest(name, callables)}")
        found = getattr(found, name)
    if not callable(found):
        raise ModelBuildError(f"{module.__name__}:{dotted} is a {type(found).__name__}, which cannot be called.")
    return found
