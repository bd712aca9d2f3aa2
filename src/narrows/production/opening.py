"""Making and opening a store that knows how to build its model.

Knows stores, records and weights; no data and no training.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from narrows.errors import ConfigError, ModelMismatchError
from narrows.factories import Factory
from narrows.factories.trust import build_trusted, remember
from narrows.production.weights import load_weights, put_weights
from narrows.store import DamagedFileError, StoreDirectory
from narrows.store.header import RESTORE_STORE
from narrows.store.names import STORE_FILE
from narrows.tasks import TaskStore
from narrows.tasks.module_copy import unwrapped
from narrows.tasks.sharing import Rule


def init(
    path: str | os.PathLike[str],
    factory: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    shared: Sequence[str] | Rule = (),
    private: Sequence[str] = (),
    head: str | None = None,
    seed: int = 0,
) -> TaskStore:
    """A new store at `path`, which must be missing or empty, around the model that `factory` builds.

    How to build it is written into the store, so that `open_store(path)` does it again; the factory is called each
    time the store is used, so leave downloading to a file of `weights`. Whoever names a factory here trusts it: this
    user is not asked about it again on this machine.

    Args:
        factory: "package.module:name" of a class or function.
        arguments: its keyword arguments, plain JSON values.
        weights: a file of trained weights to begin from; see `load_weights`. Otherwise the factory's initial ones.
        shared, private: what tasks share beside the rule, and what each keeps whole; see `TaskStore.create`.
        head: dotted path of the module in whose place tasks put their heads; default: found when the first is learned.
        seed: of the initial weights.

    Raises:
        ConfigError: factory or arguments are not spelled so.
        ModelBuildError: the factory is not there, or its call fails.
        WeightsError, ModelMismatchError: the weights cannot be read or do not fit; no module at `head`; what
            `TaskStore.create` refuses.
        StoreError: there is something at `path` already.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/store"
    >>> store = init(path, "narrows.networks:mlp", {"input_shape": [4], "classes": 2}, head="head")
    >>> open_store(path).head, model_record(path).call
    ('head', 'narrows.networks:mlp(input_shape=[4], classes=2)')
    """
    made_by = Factory(factory, arguments or {})
    model = unwrapped(made_by.build(seed))
    if weights is not None:
        put_weights(model, load_weights(weights), weights)
    store = TaskStore.create(path, model, head=head, shared=shared, private=private, about=made_by.to_json())
    remember(made_by)
    return store


def open_store(path: str | os.PathLike[str], *, trust: bool = False) -> TaskStore:
    """The store at `path` with its model, built as its record says.

    Args:
        trust: that the factories which the store names, of its model and of heads, may be imported and called, whoever
            made it; it is remembered.

    Raises:
        UntrustedModelError: nobody has said that the factory may be called; nothing was imported.
        ModelBuildError: the factory is not there, or its call fails.
        ModelMismatchError: the store has no record, or the factory builds another model than it did.
        StoreMissingError, StoreVersionError, DamagedStoreError: there is no sound store of a known version.
    """
    record = model_record(path)
    if record is None:
        raise ModelMismatchError(
            f"The store {os.fspath(path)} has no record of how to build its model: open it in Python, "
            "TaskStore.open(path, model), or make stores by `narrows init`, which writes one."
        )
    model = build_trusted(record, path, trust, most=StoreDirectory.open(path).header.base.bytes)
    return TaskStore.open(path, model, trust=trust)


def model_record(path: str | os.PathLike[str]) -> Factory | None:
    """What the store at `path` says of how to build its model, None where it says nothing; nothing is imported."""
    found = StoreDirectory.open(path).header.model
    try:
        # Stores had the head's place here before they had one of their own for it.
        return None if found is None else Factory.from_json({k: v for k, v in found.items() if k != "head"})
    except ConfigError as error:
        raise DamagedFileError(str(Path(path) / STORE_FILE), f"is not valid: {error}", RESTORE_STORE) from error
