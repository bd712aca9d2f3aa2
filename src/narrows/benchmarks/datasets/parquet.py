"""Image data sets as Hugging Face stores them: parquet with a column {bytes, path} and one of integer labels.

Labels are read first; of the images, only the row groups that hold a wanted class are ever read.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from narrows.benchmarks.datasets.image_source import EncodedImages, Split, numbered
from narrows.data.extras import require
from narrows.data.huggingface import class_names
from narrows.data.sources.parquet import read_parquet
from narrows.errors import DataError
from narrows.store.bounded import require_regular

_SPLITS: dict[Split, tuple[str, ...]] = {"train": ("train",), "test": ("valid", "validation", "test")}


@dataclass(frozen=True)
class Columns:
    """Names that the columns may have, the first one there is taken."""

    image: tuple[str, ...] = ("image",)
    label: tuple[str, ...] = ("label",)


_USUAL = Columns()


def parquet_files(folder: Path, *inside: str) -> dict[Split, list[Path]] | None:
    """The sorted files of each part, in `folder`, its `data/` or a folder of it named in `inside`; None
    where a part has none.

    The validation part is the test set where there is one: that of Tiny ImageNet has no labels.
    """
    for place in (folder, folder / "data", *(folder / name for name in inside)):
        found: dict[Split, list[Path]] = {}
        for split, prefixes in _SPLITS.items():
            for prefix in prefixes:
                files = sorted([*place.glob(f"{prefix}-*.parquet"), *place.glob(f"{prefix}.parquet")])
                if files:
                    found[split] = files
                    break
        if len(found) == len(_SPLITS):
            return found
    return None


def open_parquet(
    name: str,
    files: dict[Split, list[Path]],
    size: int,
    channels: int = 3,
    columns: Columns = _USUAL,
    classes: tuple[str, ...] | None = None,
) -> EncodedImages:
    """Read the labels and class names; images wait until they are selected.

    `classes` are the names where the files have none. DataError: a damaged file, other columns than
    `columns`, labels that are null or without a name, parts that disagree about the names.
    """
    labels: dict[Split, list[Tensor]] = {split: [] for split in files}
    groups: dict[Split, list[tuple[Path, int, int]]] = {split: [] for split in files}
    starts: dict[Split, list[int]] = {split: [] for split in files}  # each group's first row in the whole part
    names: tuple[str, ...] | None = None
    for split, path in ((split, path) for split, paths in files.items() for path in paths):
        file, _, label = _open(path, columns)
        own = class_names(file.schema_arrow, path).get(label)
        if names is not None and own is not None and own != names:
            raise DataError(f"{path}: its class names are not those of the files before it")
        names = names or own
        begin, first = sum(map(len, labels[split])), 0
        labels[split].append(_labels(label, path))
        for i in range(file.num_row_groups):
            groups[split].append((path, i, first))
            starts[split].append(begin + first)
            first += file.metadata.row_group(i).num_rows
    known = {split: torch.cat(parts) for split, parts in labels.items()}
    held: dict[str, Any] = {"group": None}

    def fetch(split: Split, row: int) -> tuple[str, bytes]:
        index = bisect_right(starts[split], row) - 1
        path, group, first = groups[split][index]
        if held["group"] != (path, group):
            held.update(group=(path, group), images=_image_column(_open(path, columns)[1], path, group))
        offset = row - starts[split][index]
        where = f"{path}, row {first + offset}"
        data = held["images"][offset].as_py()
        if not isinstance(data, bytes):
            raise DataError(f"{where}: the image's bytes are missing")
        return where, data

    return EncodedImages(name, names or classes or numbered(known), size, known, fetch, channels)


def _open(path: Path, columns: Columns) -> tuple[Any, str, str]:
    """The file, and what its columns of images and of labels are called."""
    arrow, parquet = require("pyarrow", "bench"), require("pyarrow.parquet", "bench")
    try:
        require_regular(path)
        file = parquet.ParquetFile(path)
    except (OSError, arrow.ArrowException) as error:
        raise DataError(f"{path} is not a whole parquet file: {error}") from error
    schema = file.schema_arrow
    image, label = (
        next((name for name in names if name in schema.names), names[0]) for names in (columns.image, columns.label)
    )
    kind = schema.field(image).type if image in schema.names else None
    if kind is None or not arrow.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        raise DataError(f"{path}: needs a column {image} {{bytes, path}}; it has {schema.names}")
    if kind.field("bytes").type not in (arrow.binary(), arrow.large_binary()):
        raise DataError(f"{path}: {image}.bytes must be binary, not {kind.field('bytes').type}")
    if label not in schema.names or not arrow.types.is_integer(schema.field(label).type):
        raise DataError(f"{path}: needs an integer column {label}; it has {schema.names}")
    return file, image, label


def _labels(label: str, path: Path) -> Tensor:
    column = read_parquet(path, [label])[label]
    if column.null_count:
        raise DataError(f"{path}: {column.null_count} labels are missing")
    return torch.from_numpy(column.to_numpy().astype("int64"))


def _image_column(image: str, path: Path, group: int) -> Any:
    return read_parquet(path, [image], group=group)[image].combine_chunks().field("bytes")
