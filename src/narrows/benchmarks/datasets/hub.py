"""Data sets of the Hugging Face hub, through its library `datasets` (extra `narrows[hub]`).

The library downloads once, keeps a copy of its own and works offline from it. Which data set is which on
the hub is said in `catalogue`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from narrows.benchmarks.datasets.base import Split
from narrows.benchmarks.datasets.images import EncodedImages, Labels, names_for
from narrows.data.extras import require
from narrows.data.sources.hub import load
from narrows.data.sources.own import hub_folders, image_bytes
from narrows.errors import DataError


@dataclass(frozen=True)
class Hub:
    """Where a data set is on the hub: its id, its configuration, the names of columns and parts."""

    repository: str
    config: str | None = None
    image: str = "image"
    label: str = "label"
    test: str = "test"


def open_hub(name: str, hub: Hub, size: int, channels: int = 3) -> EncodedImages:
    """Labels and class names of both parts; images are decoded when selected.

    DatasetMissingError: it can neither be downloaded nor is there a copy. DataError: `datasets` is not
    installed, or the data set has other columns than said.
    """
    wanted: dict[Split, str] = {"train": "train", "test": hub.test}
    otherwise = "give a folder with --data FOLDER"
    loaded = {split: load(hub.repository, part, hub.config, otherwise=otherwise) for split, part in wanted.items()}
    return from_hub(name, hub, loaded, size, channels, hub_folders(hub.repository))


def from_hub(
    name: str, hub: Hub, loaded: dict[Split, Any], size: int, channels: int = 3, inside: Sequence[Path] = ()
) -> EncodedImages:
    """What `datasets` has loaded, as a source: for each part an object of its class `Dataset`.

    Images that are only a path are read within the folders `inside`, and nowhere else.
    """
    library = require("datasets", "hub")
    labels: dict[Split, Labels] = {}
    rows_of: dict[Split, Any] = {}
    for split, part in loaded.items():
        features = part.features
        if not isinstance(features.get(hub.image), library.Image) or hub.label not in features:
            raise DataError(
                f"{hub.repository}, {split} part: needs images in {hub.image!r} and labels in {hub.label!r}; it has "
                f"{list(features)}"
            )
        column = part.select_columns([hub.label]).with_format("arrow")[:][hub.label]
        if column.null_count or not np.issubdtype(column.to_numpy().dtype, np.integer):
            raise DataError(f"{hub.repository}, {split} part: {hub.label!r} must be whole numbers, none missing")
        labels[split] = column.to_numpy().astype(np.int64)
        rows_of[split] = part.select_columns([hub.image]).cast_column(hub.image, library.Image(decode=False))
    kind = loaded["train"].features[hub.label]
    names = names_for(hub.repository, labels, tuple(getattr(kind, "names", None) or ()))

    def fetch(split: Split, rows: Sequence[int]) -> Iterator[tuple[str, bytes]]:
        for row in rows:
            where = f"{hub.repository}, {split} part, row {row}"
            yield where, image_bytes(rows_of[split][row][hub.image], inside, where)

    return EncodedImages(name, names, size, labels, fetch, channels)
