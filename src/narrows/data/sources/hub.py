"""Data sets of the Hugging Face hub, through its library `datasets` (extra `narrows[hub]`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from narrows.data.extras import require
from narrows.data.limits import ROW, require_room
from narrows.data.sources.own import hub_folders
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
    loaded = load(name, part or "train", otherwise="name a local copy")
    return from_hub(loaded, f"{name}:{part or 'train'}", features, hub_folders(name))


def load(name: str, part: str, config: str | None = None, *, otherwise: str) -> Any:
    """A part of the data set `name` of the hub, as an object of the class `datasets.Dataset`.

    Args:
        otherwise: what to do where it cannot be had.

    Raises:
        DatasetMissingError: it can neither be downloaded nor is there a copy.
        DataError: `datasets` is not installed, or would take the name for something else.
    """
    library = require("datasets", "hub")
    _require_hub(name)
    try:
        return library.load_dataset(name, config, split=part)
    except Exception as error:  # the library raises its own, huggingface_hub's, and those of three HTTP clients
        raise DatasetMissingError(
            f"From the hub {name} (split {part}) cannot be had "
            f"({type(error).__name__}: {error}). Look at the spelling and the network, or {otherwise}"
        ) from error


def _require_hub(name: str) -> None:
    """DataError where `datasets` would take the name for something on this machine, and not ask the hub."""
    own = require("datasets.packaged_modules", "hub")._PACKAGED_DATASETS_MODULES
    if Path(name).exists():
        raise DataError(
            f"hf:{name} is ambiguous: there is {str(Path(name).resolve())!r} here, which the library `datasets` would "
            f"read in place of the hub's {name}. To read what is here, name it as {f'./{name}'!r}; to read the hub's, "
            "start in another folder"
        )
    if name in own:
        raise DataError(
            f"hf:{name} is no data set of the hub: to the library `datasets` it means the files of this folder, read "
            "as such. Name the file or folder without hf:, or a data set as hf:OWNER/NAME"
        )


def from_hub(loaded: Any, where: str, features: tuple[str, ...] | None, inside: Sequence[Path] = ()) -> Raw:
    """The rows of an object of the class `datasets.Dataset`.

    Args:
        inside: the folders of the data set, from which images that are only a path may be read.
    """
    library = require("datasets", "hub")
    names: dict[str, tuple[str, ...] | None] = {}
    size = len(loaded) * ROW
    for name, feature in loaded.features.items():
        if isinstance(feature, library.Image):  # stays in the library's file until it is decoded
            loaded = loaded.cast_column(name, library.Image(decode=False))
        else:
            size += loaded.data.column(name).nbytes
        inner = getattr(feature, "feature", feature)  # lists of class numbers have their names one level down
        names[name] = tuple(inner.names) if isinstance(inner, library.ClassLabel) else None
    require_room(size, None, where)
    return from_table(loaded.with_format("arrow")[:], where, features, names, inside=inside)
