"""Which models may be built. A store names code to import and call, and it may come from anybody.

A record is executed only where one of these says so: it is one of our own networks, which do nothing but build; this
user made a store of it, or said `trust`, on this machine; or the environment variable NARROWS_TRUST names its factory
(a comma between several), for services. Nothing is imported before. What a user trusts stands in
`$XDG_CONFIG_HOME/narrows/trusted.json` (default `~/.config`), by the SHA-256 of factory and arguments: another factory,
or the same one called otherwise, is asked about again.

Knows no store. It does not look at the code: whoever can change the user's own package is trusted with it.
"""

from __future__ import annotations

import json
import os
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from narrows.errors import ConfigError, UntrustedModelError
from narrows.networks import NETWORKS
from narrows.production.model_factory import ModelRecord
from narrows.store import durable

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
    """Whether the record may be built without asking. ConfigError where the user's list is damaged."""
    named = {name.strip() for name in os.environ.get(VARIABLE, "").split(",")}
    return record.factory in OURS or record.factory in named or record.digest in _read()


def require_trust(record: ModelRecord, store: str | os.PathLike[str], trust: bool = False) -> None:
    """Lets a record found in `store` through, or raises UntrustedModelError; `trust` says yes, and is remembered."""
    if is_trusted(record):
        return
    if not trust:
        raise UntrustedModelError(
            f"The store {os.fspath(store)} wants its model built by calling\n    {record.call}\n"
            "which this user has not trusted on this machine, so nothing of it was imported. If you know where the "
            "store comes from and what that code does: say --trust once (in Python trust=True), or list "
            f"{record.factory} in the environment variable {VARIABLE}. Otherwise TaskStore.open(path, model), with a "
            "model of your own making, calls nothing."
        )
    remember(record)


def remember(record: ModelRecord) -> None:
    """Adds the record to what this user trusts. A home that cannot be written gives a warning."""
    if is_trusted(record):
        return
    path = trusted_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(path.name + ".lock"), timeout=_PATIENCE):
            listed = _read()
            listed[record.digest] = {
                "factory": record.factory,
                "arguments": dict(record.arguments),
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            durable.replace(path, (json.dumps({"trusted": listed}, indent=1) + "\n").encode())
    except (OSError, Timeout) as error:
        warnings.warn(
            f"{record.factory} could not be remembered as trusted in {path} ({error}): the next command will ask "
            f"again. The environment variable {VARIABLE} does the same without a file.",
            stacklevel=2,
        )


def _read() -> dict[str, Any]:
    path = trusted_file()
    try:
        listed = json.loads(path.read_bytes())["trusted"]
        if not isinstance(listed, dict):
            raise TypeError("no list")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError as error:
        raise ConfigError(f"The list of trusted models, {path}, cannot be read: {error.strerror}.") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ConfigError(
            f"The list of trusted models, {path}, is damaged. Delete it; models are then asked about again."
        ) from None
    return listed
