"""Data sets of the Hugging Face hub, through its library `datasets` (extra `narrows[hub]`).

The library downloads once, keeps a copy of its own and works offline from it. Which data set is which on
the hub is said in `catalogue`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from narrows.benchmarks.datasets.image_source import EncodedImages, Split, numbered
from narrows.data.sources import hub
from narrows.data.sources.own import hub_folders
from narrows.data.sources.raw import Raw
from narrows.errors import DataError


@dataclass(frozen=True)
class Hub:
    """Where a data set is on the hub: its id, its configuration, the names of columns and parts."""

    repository: str
    config: str | None = None
    image: str = "image"
    label: str = "label"
    test: str = "test"


def open_hub(name: str, place: Hub, size: int, channels: int = 3) -> EncodedImages:
    """Labels and class names of both parts; images are decoded when selected.

    DatasetMissingError: it can neither be downloaded nor is there a copy. DataError: `datasets` is not
    installed, or the data set has other columns than said.
    """
    wanted: dict[Split, str] = {"train": "train", "test": place.test}
    otherwise = "give a folder with --data FOLDER"
    loaded = {
        split: hub.load(place.repository, part, place.config, otherwise=otherwise) for split, part in wanted.items()
    }
    return from_hub(name, place, loaded, size, channels, hub_folders(place.repository))


def from_hub(
    name: str, place: Hub, loaded: Mapping[Split, Any], size: int, channels: int = 3, inside: Sequence[Path] = ()
) -> EncodedImages:
    """What `datasets` has loaded, as a source: for each part an object of its class `Dataset`.

    Images that are only a path are read within the folders `inside`, and nowhere else.
    """
    parts = {
        split: hub.from_hub(part, f"{place.repository}, {split} part", (place.image,), inside)
        for split, part in loaded.items()
    }
    known = {split: _labels(part, place) for split, part in parts.items()}
    names = parts["train"].column(place.label).names or numbered(known)

    def fetch(split: Split, row: int) -> tuple[str, bytes]:
        part = parts[split]
        where = f"{part.where}, row {row}"
        assert part.image is not None
        try:
            return where, part.image(row)
        except DataError as error:
            raise DataError(f"{part.where}, {error}") from error

    return EncodedImages(name, names, size, known, fetch, channels)


def _labels(part: Raw, place: Hub) -> Tensor:
    if part.image is None or place.label not in part.known:
        raise DataError(
            f"{part.where}: needs images in {place.image!r} and labels in {place.label!r}; it has "
            f"{', '.join(part.names)}"
        )
    column = part.column(place.label)
    if column.kind != "int" or column.missing.any():
        raise DataError(f"{part.where}: {place.label!r} must be whole numbers, none missing")
    return torch.from_numpy(column.values.astype("int64"))
