"""Making and opening a store that knows how to build its model.

Knows stores, records and weights; no data and no training.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from narrows.errors import ConfigError, ModelMismatchError
from narrows.production.model_factory import ModelRecord
from narrows.production.trust import OURS, remember, require_trust
from narrows.production.weights import load_weights, put_weights
from narrows.store import DamagedFileError, StoreDirectory
from narrows.store.header import RESTORE_STORE
from narrows.store.names import STORE_FILE
from narrows.tasks import TaskStore
from narrows.tasks.heads import require_place
from narrows.tasks.module_copy import unwrapped
from narrows.tasks.sharing import Rule, require_not_tied, shared_specs


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
    >>> open_store(path).path == store.path, model_record(path).head
    (True, 'head')
    """
    record = ModelRecord(factory, arguments or {}, head)
    model = unwrapped(record.build(seed))
    if head is not None:
        require_place(model, head)
        require_not_tied(model, head, shared_specs(model, private, shared))
    if weights is not None:
        put_weights(model, load_weights(weights), weights)
    store = TaskStore.create(path, model, shared=shared, private=private, about=record.to_json())
    remember(record)
    return store


def open_store(path: str | os.PathLike[str], *, trust: bool = False) -> TaskStore:
    """The store at `path` with its model, built as its record says.

    Args:
        trust: that the record's factory may be imported and called, whoever made the store; it is remembered.

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
    require_trust(record, path, trust)
    if record.factory in OURS:
        _require_size(record, StoreDirectory.open(path))
    return TaskStore.open(path, record.build())


def model_record(path: str | os.PathLike[str]) -> ModelRecord | None:
    """What the store at `path` says of how to build its model, None where it says nothing; nothing is imported."""
    found = StoreDirectory.open(path).header.model
    try:
        return None if found is None else ModelRecord.from_json(found)
    except ConfigError as error:
        raise DamagedFileError(str(Path(path) / STORE_FILE), f"is not valid: {error}", RESTORE_STORE) from error


def _require_size(record: ModelRecord, directory: StoreDirectory) -> None:
    """A stranger's store may ask for one of our networks at any size: it is measured without memory first."""
    with torch.device("meta"):
        model: nn.Module = record.build()
    wanted = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    if wanted > directory.header.base.bytes:
        raise ModelMismatchError(
            f"{record.call} has {wanted} bytes of weights, more than the store's base of {directory.header.base.bytes}."
        )
