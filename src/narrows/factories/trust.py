"""Which modules may be built. A store names code to import and call, and it may come from anybody.

A factory is called only where one of these says so: it is one of our own networks, which do nothing but build; this
user named it, for a store or a head, or said `trust`, on this machine; or the environment variable NARROWS_TRUST lists
it (a comma between several), for services. Nothing is imported before. What a user trusts stands in
`$XDG_CONFIG_HOME/narrows/trusted.json` (default `~/.config`), by the SHA-256 of factory, arguments and origin: another
factory, the same one called otherwise, or code of that name from elsewhere, is asked about again.

Knows no store. Of code it looks at the place, and at the bytes of a single file; whoever can change an installed
package, or a folder that is trusted, is trusted with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import nn

from narrows.errors import ConfigError, ModelMismatchError, UntrustedModelError
from narrows.factories.factory import Factory, no_module
from narrows.factories.origin import Origin, origin_of
from narrows.here import top_level
from narrows.networks import NETWORKS
from narrows.store import outside, strict_json

VARIABLE = "NARROWS_TRUST"
OURS = frozenset(f"narrows.networks:{factory.__name__}" for factory in NETWORKS.values())
"""Factories that are safe whatever they are called with: they build layers and do nothing else."""

_PATIENCE = 10.0  # seconds to wait for another process that writes the file


def trusted_file() -> Path:
    """Where this user's trusted models are listed; it need not exist."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    folder = Path(base) if os.path.isabs(base) else Path.home() / ".config"
    return folder / "narrows" / "trusted.json"


def is_trusted(factory: Factory) -> bool:
    """Whether the factory may be called without asking.

    ConfigError: the user's list is damaged, or the code cannot be read. ModelBuildError: there is no such module.
    """
    return factory.factory in OURS or _allowed(factory, _origin(factory))


def require_trust(
    factory: Factory, store: str | os.PathLike[str], trust: bool = False, what: str = "its model"
) -> None:
    """Lets a factory through that was found in `store`, of `what`; `trust` says yes, and is remembered.

    UntrustedModelError: nobody has said so. ConfigError, ModelBuildError: see `is_trusted`.
    """
    if is_trusted(factory):
        return
    if trust:
        remember(factory)
        return
    origin = _origin(factory)
    letters = "" if factory.factory.isascii() else " (some of its letters look like others: they stand by number)"
    raise UntrustedModelError(
        f"The store {os.fspath(store)} wants {what} built by calling {factory.call}{letters} from {origin.text}, "
        f"which this user has not trusted on this machine{_otherwise(factory)}. Nothing of it was imported. If you "
        "know where the store comes from and what that code does: say --trust once (in Python trust=True), or list "
        f"{ascii(factory.factory)[1:-1]}@{_digest(factory, origin)} in the environment variable {VARIABLE}. Otherwise "
        "give a module of your own making, and nothing is called: TaskStore.open(path, model), and for a head "
        "store.load(task, head=module)."
    )


def build_trusted(
    factory: Factory, store: str | os.PathLike[str], trust: bool = False, what: str = "its model", *, most: int
) -> nn.Module:
    """What a factory that was found in `store` makes, if it may be called; see `require_trust`.

    Args:
        most: bytes of weights that one of our own networks may have: it is called whoever asks, for any size, and so
            measured without memory first. ModelMismatchError: it has more.
    """
    require_trust(factory, store, trust, what)
    if factory.factory in OURS:
        with torch.device("meta"):
            tensors = factory.build().state_dict().values()
        wanted = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        if wanted > most:
            raise ModelMismatchError(
                f"{factory.call} has {wanted} bytes of weights, more than the {most} that the store has for {what}."
            )
    return factory.build()


def remember(factory: Factory) -> None:
    """Adds the factory to what this user trusts. A home that cannot be written gives a warning."""
    if is_trusted(factory):
        return
    path, origin = Path(os.path.realpath(trusted_file())), _origin(factory)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(path.name + ".lock"), timeout=_PATIENCE):
            listed = _read()
            listed[_digest(factory, origin)] = {
                "factory": factory.factory,
                "arguments": dict(factory.arguments),
                "origin": origin.text,
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            outside.replace(path, (json.dumps({"trusted": listed}, indent=1) + "\n").encode())
    except (OSError, Timeout) as error:
        warnings.warn(
            f"{factory.factory} could not be remembered as trusted in {path} ({error}): the next command will ask "
            f"again. The environment variable {VARIABLE} does the same without a file.",
            stacklevel=2,
        )


def _origin(factory: Factory) -> Origin:
    origin = origin_of(factory.factory)
    if origin is None:
        raise no_module(factory.module, top_level(factory.factory))
    return origin


def _digest(factory: Factory, origin: Origin) -> str:
    """SHA-256, in hex, of what is called, with what, and where it is from: what is trusted."""
    called = {"factory": factory.factory, "arguments": factory.arguments, "origin": origin.text}
    return hashlib.sha256(json.dumps(called, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _allowed(factory: Factory, origin: Origin) -> bool:
    """A name alone says nothing of the arguments, which the store chooses, nor of code that lies where one stands."""
    named, digest = {name.strip() for name in os.environ.get(VARIABLE, "").split(",")}, _digest(factory, origin)
    by_name = factory.factory in named and not factory.arguments and not origin.here
    return by_name or f"{ascii(factory.factory)[1:-1]}@{digest}" in named or digest in _read()


def _otherwise(factory: Factory) -> str:
    """Where the same call was trusted as it came from elsewhere."""
    for entry in _read().values():
        if isinstance(entry, dict) and (entry.get("factory"), entry.get("arguments")) == (
            factory.factory,
            factory.arguments,
        ):
            return f"; what was trusted is that call from {entry.get('origin', 'wherever it came from')}"
    return ""


def _read() -> dict[str, Any]:
    path = trusted_file()
    try:
        listed = strict_json.read_object(path)["trusted"]
        if not isinstance(listed, dict):
            raise TypeError("no list")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError as error:
        raise ConfigError(f"The list of trusted models, {path}, cannot be read: {error.strerror}.") from error
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"The list of trusted models, {path}, is damaged. Delete it; models are then asked about again."
        ) from None
    return listed
