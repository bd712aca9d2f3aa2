"""Tiny ImageNet: 200 classes, 500 + 50 images of 64x64 each, as distributed or as parquet.

Source: Stanford CS231n, http://cs231n.stanford.edu/tiny-imagenet-200.zip . The validation part is used
for testing, as the field does, since the labels of the test part were never published.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from narrows.benchmarks.datasets.image_source import EncodedImages, Split, encoded_files
from narrows.benchmarks.datasets.parquet import open_parquet, parquet_files
from narrows.data.sources.folders import find_files
from narrows.errors import DataError, DatasetMissingError
from narrows.store.bounded import read_bytes

NAME = "tiny-imagenet"
_MOST = 64 << 20  # bytes of a list


def holds_tiny_imagenet(folder: Path) -> bool:
    """Whether the folder has the layout of the distribution."""
    return (folder / "train").is_dir() and (folder / "val" / "val_annotations.txt").is_file()


def open_tiny_imagenet(folder: Path, size: int = 32) -> EncodedImages:
    """Labels and class names of either layout; images are decoded to (3, size, size) when selected.

    Classes are numbered by sorted WordNet id, or as the parquet metadata say (there sorted too).
    DatasetMissingError, DataError.
    """
    files = parquet_files(folder)
    if files is not None:
        source = open_parquet(NAME, files, size)
    elif holds_tiny_imagenet(folder):
        source = _open_folder(folder, size)
    else:
        raise DatasetMissingError(
            f"{NAME}: {folder} holds neither train-*.parquet with valid-*.parquet, nor train/ and "
            "val/val_annotations.txt; unpack http://cs231n.stanford.edu/tiny-imagenet-200.zip and give its "
            "folder"
        )
    return replace(source, classes=_readable(source.classes, folder))


def _open_folder(folder: Path, size: int) -> EncodedImages:
    """`train/<wnid>/images/*`, `val/images/*`, `val/val_annotations.txt`, perhaps `wnids.txt`."""
    wnids = sorted(place.parent.name for place in (folder / "train").glob("*/images"))
    listed = folder / "wnids.txt"
    if listed.is_file():
        wanted = sorted(_text(listed).split())
        absent = sorted(set(wanted) - set(wnids))
        if absent:
            raise DataError(f"{listed} names {absent[0]} but {folder / 'train' / absent[0]}/images is missing")
        wnids = wanted
    number = {wnid: label for label, wnid in enumerate(wnids)}
    train = [
        (path, number[wnid])
        for wnid in wnids
        for path in find_files(folder / "train" / wnid / "images", deep=False).images
    ]
    parts: dict[Split, list[tuple[Path, int]]] = {"train": train, "test": _annotated(folder / "val", number)}
    return encoded_files(NAME, tuple(wnids), parts, size)


def _annotated(val: Path, number: dict[str, int]) -> list[tuple[Path, int]]:
    """Lines `file<tab>wnid<tab>box...`; classes that `train/` lacks are left out."""
    path = val / "val_annotations.txt"
    found = []
    for line_number, line in enumerate(_text(path).splitlines(), 1):
        fields = line.split("\t")
        if len(fields) < 2 or Path(fields[0]).name != fields[0]:  # a name, never a way out of the folder
            raise DataError(f"{path}, line {line_number}: expected 'file<tab>wnid', found {line[:60]!r}")
        if fields[1] in number:
            found.append((val / "images" / fields[0], number[fields[1]]))
    return found


def _readable(classes: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    """The first word for each WordNet id, from `words.txt` or `classes.txt` where there is one."""
    words: dict[str, str] = {}
    for listing in (folder / "classes.txt", folder / "words.txt"):
        if listing.is_file():
            lines = (line.partition("\t") for line in _text(listing).splitlines())
            words |= {wnid: word.partition(",")[0].strip() for wnid, _, word in lines if word.strip()}
    names = [words.get(wnid, wnid) for wnid in classes]
    seen = Counter(names)  # WordNet has two cranes, two maillots: those keep their id
    return tuple(f"{name} ({wnid})" if seen[name] > 1 else name for name, wnid in zip(names, classes, strict=True))


def _text(path: Path) -> str:
    try:
        return read_bytes(path, _MOST).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
