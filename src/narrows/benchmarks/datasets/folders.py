"""Folders of images: a folder for each class, in two parts or with some files of each class held out.

Files are decoded only when their class is selected; that is the business of `images`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from narrows.benchmarks.datasets.image_source import EncodedImages, Split, encoded_files
from narrows.data.sources.folders import find_files, sub_folders
from narrows.errors import DataError

TEST_FOLDERS = ("val", "valid", "validation", "test")
"""Names of the test part; the validation part comes first, as in `parquet`."""


def open_class_folders(
    name: str, folder: Path, size: int, channels: int = 3, every: int | None = None
) -> EncodedImages | None:
    """`train/CLASS/*.jpg|png|...` with `test/CLASS/...` (or val, valid, validation); None where there is none.

    Classes are numbered by sorted name. With `every`, `CLASS/*.jpg|png|...` without parts will do: then every
    so many-th file of a class, in order of names, is for testing. DataError: a class in the test part only.
    """
    classes = _sub_folders(folder / "train")
    test = next((folder / part for part in TEST_FOLDERS if _holds_images(_sub_folders(folder / part))), None)
    if _holds_images(classes) and test is not None:
        number = {place.name: label for label, place in enumerate(classes)}
        extra = sorted({place.name for place in _sub_folders(test)} - set(number))
        if extra:
            raise DataError(f"{test / extra[0]}: there is no such class in {folder / 'train'}")
        parts: dict[Split, list[tuple[Path, int]]] = {
            "train": [(path, number[place.name]) for place in classes for path in _images(place)],
            "test": [(path, number[place.name]) for place in _sub_folders(test) for path in _images(place)],
        }
        return encoded_files(name, tuple(number), parts, size, channels)
    classes = _sub_folders(folder)
    if every is None or not classes or not all(_images(place) for place in classes):
        return None  # with other folders beside those of images it is something else, not an empty class
    return _held_out(name, [(place.name, place) for place in classes], every, size, channels)


def open_omniglot(folder: Path, size: int, every: int) -> EncodedImages | None:
    """`images_background/ALPHABET/CHARACTER/*.png` and `images_evaluation/...`, also inside `python/`.

    A class is a character: 1623 of 20 drawings each, one by each of 20 people, of which every so many-th
    is for testing. Grey (1, size, size), black on white. None where there is neither folder.
    Source: Lake, Salakhutdinov, Tenenbaum 2015, https://github.com/brendenlake/omniglot .
    """
    characters = [
        (f"{alphabet.name}/{character.name}", character)
        for place in (folder, folder / "python")
        for part in ("images_background", "images_evaluation")
        for alphabet in _sub_folders(place / part)
        for character in _sub_folders(alphabet)
    ]
    return _held_out("omniglot", characters, every, size, 1) if characters else None


def _held_out(name: str, classes: Sequence[tuple[str, Path]], every: int, size: int, channels: int) -> EncodedImages:
    parts: dict[Split, list[tuple[Path, int]]] = {"train": [], "test": []}
    for label, (_, place) in enumerate(classes):
        for i, path in enumerate(_images(place), 1):
            parts["train" if i % every else "test"].append((path, label))
    return encoded_files(name, tuple(class_name for class_name, _ in classes), parts, size, channels)


def _sub_folders(folder: Path) -> list[Path]:
    return sub_folders(folder) if folder.is_dir() else []


def _images(folder: Path) -> list[Path]:
    return find_files(folder, deep=False).images


def _holds_images(folders: Sequence[Path]) -> bool:
    return any(_images(folder) for folder in folders)
