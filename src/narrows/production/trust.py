"""Which models may be built. A store names code to import and call, and it may come from anybody.

A record is executed only where one of these says so: it is one of our own networks, which do nothing but build; this
user made a store of it, or said `trust`, on this machine; or the environment variable NARROWS_TRUST lists it (a comma
between several), for services. Nothing is imported before. What a user trusts stands in
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

from filelock import FileLock, Timeout

from narrows.errors import ConfigError, UntrustedModelError
from narrows.here import top_level
from narrows.networks import NETWORKS
from narrows.production.model_factory import ModelRecord, no_module
from narrows.production.origin import Origin, origin_of
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


def is_trusted(record: ModelRecord) -> bool:
    """Whether the record may be built without asking.

    ConfigError: the user's list is damaged, or the code cannot be read. ModelBuildError: there is no such module.
    """
    return record.factory in OURS or _allowed(record, _origin(record))


def require_trust(record: ModelRecord, store: str | os.PathLike[str], trust: bool = False) -> None:
    """Lets a record found in `store` through; `trust` says yes, and is remembered.

    UntrustedModelError: nobody has said so. ConfigError, ModelBuildError: see `is_trusted`.
    """
    if is_trusted(record):
        return
    if trust:
        remember(record)
        return
    origin = _origin(record)
    letters = "" if record.factory.isascii() else " (some of its letters look like others: they stand by number)"
    raise UntrustedModelError(
        f"The store {os.fspath(store)} wants its model built by calling {record.call}{letters} from {origin.text}, "
        f"which this user has not trusted on this machine{_otherwise(record)}. Nothing of it was imported. If you know "
        "where the store comes from and what that code does: say --trust once (in Python trust=True), or list "
        f"{ascii(record.factory)[1:-1]}@{_digest(record, origin)} in the environment variable {VARIABLE}. Otherwise "
        "TaskStore.open(path, model), with a model of your own making, calls nothing."
    )


def remember(record: ModelRecord) -> None:
    """Adds the record to what this user trusts. A home that cannot be written gives a warning."""
    if is_trusted(record):
        return
    path, origin = Path(os.path.realpath(trusted_file())), _origin(record)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(path.name + ".lock"), timeout=_PATIENCE):
            listed = _read()
            listed[_digest(record, origin)] = {
                "factory": record.factory,
                "arguments": dict(record.arguments),
                "origin": origin.text,
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            outside.replace(path, (json.dumps({"trusted": listed}, indent=1) + "\n").encode())
    except (OSError, Timeout) as error:
        warnings.warn(
            f"{record.factory} could not be remembered as trusted in {path} ({error}): the next command will ask "
            f"again. The environment variable {VARIABLE} does the same without a file.",
            stacklevel=2,
        )


def _origin(record: ModelRecord) -> Origin:
    origin = origin_of(record.factory)
    if origin is None:
        raise no_module(record.module, top_level(record.factory))
    return origin


def _digest(record: ModelRecord, origin: Origin) -> str:
    """SHA-256, in hex, of what is called, with what, and where it is from: what is trusted."""
    called = {"factory": record.factory, "arguments": record.arguments, "origin": origin.text}
    return hashlib.sha256(json.dumps(called, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _allowed(record: ModelRecord, origin: Origin) -> bool:
    """A name alone says nothing of the arguments, which the store chooses, nor of code that lies where one stands."""
    named, digest = {name.strip() for name in os.environ.get(VARIABLE, "").split(",")}, _digest(record, origin)
    by_name = record.factory in named and not record.arguments and not origin.here
    return by_name or f"{ascii(record.factory)[1:-1]}@{digest}" in named or digest in _read()


def _otherwise(record: ModelRecord) -> str:
    """Where the same call was trusted as it came from elsewhere."""
    for entry in _read().values():
        if isinstance(entry, dict) and (entry.get("factory"), entry.get("arguments")) == (
            record.factory,
            record.arguments,
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
