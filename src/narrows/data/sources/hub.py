"""Data sets of the Hugging Face hub, through its library `datasets` (extra `narrows[hub]`)."""

from __future__ import annotations

import re
from typing import Any

from narrows.data.extras import require
from narrows.data.sources.raw import Raw
from narrows.data.sources.tables import from_table
from narrows.errors import DataError, DatasetMissingError

_ID = re.compile(r"(?:[\w-][\w.-]*/)?[\w-][\w.-]*")


def open_hub(text: str, features: tuple[str, ...] | None) -> Raw:
    """`owner/name`, or `owner/name:split`; the split is train by default. The library keeps a copy and runs no code.

    Raises:
        DatasetMissingError: it can neither be downloaded nor is there a copy.
        DataError: no such spelling, or `datasets` is not installed.
    """
    name, _, part = text.partition(":")
    if not _ID.fullmatch(name):
        raise DataError(f"{name!r} is not an id of the hub, as owner/name")
    library = require("datasets", "hub")
    try:
        loaded = library.load_dataset(name, split=part or "train")
    except Exception as error:  # the library raises its own, huggingface_hub's, and those of three HTTP clients
        raise DatasetMissingError(
            f"From the hub {name} (split {part or 'train'}) cannot be had "
            f"({type(error).__name__}: {error}). Look at the spelling and the network, or name a local copy"
        ) from error
    return from_hub(loaded, f"{name}:{part or 'train'}", features)


def from_hub(loaded: Any, where: str, features: tuple[str, ...] | None) -> Raw:
    """The rows of an object of the class `datasets.Dataset`."""
    library = require("datasets", "hub")
    names = {}
    for name, feature in loaded.features.items():
        if isinstance(feature, library.Image):
            loaded = loaded.cast_column(name, library.Image(decode=False))
        inner = getattr(feature, "feature", feature)  # lists of class numbers have their names one level down
        names[name] = tuple(inner.names) if isinstance(inner, library.ClassLabel) else None
    return from_table(loaded.with_format("arrow")[:], where, features, names, trusted=True)
