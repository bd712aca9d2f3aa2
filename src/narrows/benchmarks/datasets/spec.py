"""How a data set is described: its images, the layouts it may have in a folder, its place on the hub.

The descriptions are in `catalogue`, what is done with them in `opening`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from narrows.benchmarks.datasets.folders import open_class_folders
from narrows.benchmarks.datasets.hub import Hub
from narrows.benchmarks.datasets.idx import holds_idx
from narrows.benchmarks.datasets.image_source import ImageSource
from narrows.benchmarks.datasets.parquet import Columns, open_parquet, parquet_files


@dataclass(frozen=True)
class FolderLayout:
    """One way in which a data set may lie in a folder. `open`: (folder, side of the images) -> the source,
    or None where the folder has none of the layout's files."""

    looks_for: str
    open: Callable[[Path, int], ImageSource | None]


@dataclass(frozen=True)
class DatasetSpec:
    """A row of the catalogue.

    shape: (C, H, W) of its images. mean, std: on the scale 0..1, round numbers by hand, not measured, so
    that nothing about later tasks, or about test images, gets in. how: where to get it. layouts: tried in
    order. default: the folder that is taken where none is said. any_size: files are decoded to the size that
    a stream asks for; others at their own, and then framed.
    """

    name: str
    shape: tuple[int, int, int]
    mean: float
    std: float
    how: str = ""
    layouts: tuple[FolderLayout, ...] = ()
    hub: Hub | None = None
    default: Path | None = None
    any_size: bool = False


def parquet(name: str, hub: Hub | None, channels: int, classes: tuple[str, ...] | None = None) -> FolderLayout:
    """The hub's files, or others with columns image and label; `classes` where they have no names."""
    columns = Columns()
    inside: tuple[str, ...] = ()
    if hub is not None:
        columns = Columns(tuple(dict.fromkeys((hub.image, "image"))), tuple(dict.fromkeys((hub.label, "label"))))
        inside = (hub.config,) if hub.config else ()
    looks_for = (
        f"train-*.parquet and test-*.parquet (or valid-*), columns {columns.image[0]} and {columns.label[0]}, "
        f"perhaps in {'/, '.join(('data', *inside))}/"
    )

    def open_(folder: Path, size: int) -> ImageSource | None:
        files = parquet_files(folder, *inside)
        return None if files is None else open_parquet(name, files, size, channels, columns, classes)

    return FolderLayout(looks_for, open_)


def class_folders(name: str, channels: int, every: int | None = None) -> FolderLayout:
    """See `open_class_folders`."""
    looks_for = "train/CLASS/*.jpg|png|... and test/CLASS/... (or val, valid, validation)"
    if every:
        looks_for += f", or CLASS/*.jpg|png|... alone, every {every}th of each for testing"
    return FolderLayout(looks_for, lambda folder, size: open_class_folders(name, folder, size, channels, every))


def idx(load: Callable[[Path], ImageSource]) -> FolderLayout:
    """The files of MNIST, which `load` reads."""
    return FolderLayout(
        "the four IDX files: train-images-idx3-ubyte[.gz] and so on",
        lambda folder, _: load(folder) if holds_idx(folder) else None,
    )
