"""Folders of images: a folder for each class, or images alone. Decodes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from narrows.data.column import Column
from narrows.data.decoding import IMAGE_SUFFIXES
from narrows.data.sources.raw import Raw, Targets
from narrows.errors import DataError

PARTS = frozenset(("train", "training", "val", "valid", "validation", "test"))
CLASS = "class"
"""The name of the column of class folders."""


def open_images(folder: Path, targets: Targets, training: bool) -> Raw | None:
    """`CLASS/*.png|jpg`, also deeper; without targets also images that lie in the folder itself. None: no image.

    Raises:
        DataError: images beside folders, parts (train, val) beside one another, in training a class without an image.
    """
    classes = _sub_folders(folder)
    loose = _images(folder, deep=False)
    inside = {place: _images(place, deep=True) for place in classes}
    if not loose and not any(inside.values()):
        return None
    if targets == "ignored":
        return _raw(folder, loose + [path for paths in inside.values() for path in paths], None)
    if loose and (targets == "required" or any(inside.values())):
        raise DataError(
            f"{folder}: {len(loose)} images, as {loose[0].name}, are in no class: put each image into a folder with "
            "the name of its class"
        )
    if loose:
        return _raw(folder, loose, None)
    parts = [place.name for place in classes if place.name.lower() in PARTS and _sub_folders(place)]
    if parts:
        raise DataError(f"{folder} has the parts {', '.join(parts)}: name one, as {folder / parts[0]}")
    empty = [place.name for place, paths in inside.items() if not paths]
    if empty and training:
        raise DataError(
            f"{folder / empty[0]}: a class with no example; remove the folder, or put images into it "
            f"({', '.join(sorted(IMAGE_SUFFIXES))})"
        )
    pairs = [(path, place.name) for place, paths in inside.items() for path in paths]
    return _raw(folder, [path for path, _ in pairs], [name for _, name in pairs])


def _raw(folder: Path, paths: list[Path], labels: list[str] | None) -> Raw:
    def read(name: str) -> Column:
        return Column(name, "text", np.array(labels, dtype=object), np.zeros(len(paths), dtype=bool), "folder")

    return Raw(
        str(folder),
        tuple(path.relative_to(folder).as_posix() for path in paths),
        () if labels is None else (CLASS,),
        read,
        image=lambda row: paths[row].read_bytes(),
        why="a folder for each class",
    )


def _sub_folders(folder: Path) -> list[Path]:
    return sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))


def _images(folder: Path, deep: bool) -> list[Path]:
    # Names with a leading dot are what a Mac leaves beside each file.
    found = folder.rglob("*") if deep else folder.iterdir()
    return sorted(p for p in found if p.suffix.lower() in IMAGE_SUFFIXES and p.name[0] != "." and p.is_file())
