"""Folders of images: a folder for each class, or images alone. Decodes nothing, and names what is no image."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np

from narrows.data.column import Column
from narrows.data.decoding import HEIF_SUFFIXES, NO_HEIF, is_image
from narrows.data.names import one_form, readable
from narrows.data.sources.own import MOST
from narrows.data.sources.raw import Raw, Targets
from narrows.errors import DataError
from narrows.store.bounded import read_bytes

PARTS = frozenset(("train", "training", "val", "valid", "validation", "test"))
CLASS = "class"
"""The name of the column of class folders."""
_LEFT_BEHIND = frozenset(("thumbs.db", "desktop.ini", "__macosx", "@eadir"))
"""What systems leave in folders, beside names with a leading dot: passed over without a word."""
_NAMED = 12
"""Kinds of files that are named one by one."""


@dataclass(frozen=True)
class FoundFiles:
    """What lies in a folder, sorted.

    Attributes:
        images: files that are read as images, by their endings.
        others: the other files.
        loops: links to folders that were not followed, as they lead back, or to a folder read already.
    """

    images: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    loops: list[Path] = field(default_factory=list)


def open_images(folder: Path, targets: Targets, training: bool) -> Raw | None:
    """`CLASS/*.jpg`, also deeper; without targets also images that lie in the folder itself. None: no image.

    Raises:
        DataError: images beside folders, parts (train, val) beside one another, in training a class without an image.
    """
    classes = sub_folders(folder)
    loose = find_files(folder, deep=False)
    inside = {place: find_files(place) for place in classes}
    notes = _notes(folder, [loose, *inside.values()])
    labelled = [path for files in inside.values() for path in files.images]
    if not loose.images and not labelled:
        return None
    if targets == "ignored":
        return _raw(folder, loose.images + labelled, None, notes)
    if loose.images and (targets == "required" or labelled):
        raise DataError(
            f"{folder}: {len(loose.images)} images, as {loose.images[0].name}, are in no class: put each image into a "
            "folder with the name of its class"
        )
    if loose.images:
        return _raw(folder, loose.images, None, notes)
    parts = [place.name for place in classes if place.name.lower() in PARTS and sub_folders(place)]
    if parts:
        raise DataError(f"{folder} has the parts {', '.join(parts)}: name one, as {folder / parts[0]}")
    if training:
        _require_images(folder, inside)
    notes += _notes_of_classes(folder, [place for place, files in inside.items() if files.images], labelled)
    labels = [one_form(place.name) for place, files in inside.items() for _ in files.images]
    return _raw(folder, labelled, labels, notes)


def find_files(place: Path, deep: bool = True) -> FoundFiles:
    """The files in a folder; `deep`: also in the folders below it, and in those that links lead to, each once.

    Raises:
        OSError: a folder cannot be read.
    """
    found = FoundFiles()
    # A link to a folder that this one lies in would bring in the images of other classes.
    seen = {os.path.realpath(place.parent), *map(str, Path(os.path.realpath(place.parent)).parents)}
    for here, folders, names in os.walk(place, followlinks=True, onerror=_raise):
        if os.path.realpath(here) in seen:
            found.loops.append(Path(here))
            folders.clear()
            continue
        seen.add(os.path.realpath(here))
        folders[:] = sorted(name for name in folders if not _is_left_behind(name)) if deep else []
        for path in (Path(here, name) for name in names if not _is_left_behind(name)):
            # A link to nowhere is kept: reading it says so. What is there and no file (a pipe) would block.
            (found.images if is_image(path) and (path.is_file() or not path.exists()) else found.others).append(path)
    for paths in (found.images, found.others, found.loops):
        paths.sort()
    return found


def listing(folder: Path, paths: Sequence[Path]) -> str:
    """How many files of each ending, with an example of each and what can be done about it.

    >>> listing(Path("d"), [Path("d/a.TXT"), Path("d/b.txt"), Path("d/README")])
    '2 .txt (as a.TXT), 1 without an ending (as README)'
    """
    kinds: defaultdict[str, list[Path]] = defaultdict(list)
    for path in paths:
        kinds[path.suffix.lower()].append(path)
    told = sorted(kinds.items(), key=lambda kind: -len(kind[1]))
    texts = [
        f"{len(files)} {suffix or 'without an ending'} (as {files[0].relative_to(folder).as_posix()}"
        + (f"; {NO_HEIF})" if suffix in HEIF_SUFFIXES else ")")
        for suffix, files in told[:_NAMED]
    ]
    rest = sum(len(files) for _, files in told[_NAMED:])
    return ", ".join(texts) + (f", {rest} of other endings" if rest else "")


def _raw(folder: Path, paths: list[Path], labels: list[str] | None, notes: list[str]) -> Raw:
    def read(name: str) -> Column:
        return Column(name, "text", np.array(labels, dtype=object), np.zeros(len(paths), dtype=bool), "folder")

    return Raw(
        str(folder),
        tuple(readable(path.relative_to(folder).as_posix()) for path in paths),
        () if labels is None else (CLASS,),
        read,
        image=lambda row: read_bytes(paths[row], MOST),
        why="a folder for each class",
        notes=tuple(notes),
    )


def _notes(folder: Path, found: Sequence[FoundFiles]) -> list[str]:
    others = [path for files in found for path in files.others]
    loops = [path.relative_to(folder).as_posix() for files in found for path in files.loops]
    notes = []
    if others:
        count = "1 file was" if len(others) == 1 else f"{len(others)} files were"
        notes.append(f"{count} left out, as no image that can be read: {listing(folder, others)}")
    if loops:
        notes.append(f"links that lead back, or to a folder read already, were not followed: {', '.join(loops[:5])}")
    return notes


def _notes_of_classes(folder: Path, places: Sequence[Path], paths: Sequence[Path]) -> list[str]:
    notes = []
    deeper = [path.relative_to(folder) for path in paths if len(path.relative_to(folder).parts) > 2]
    if deeper:
        notes.append(
            f"{len(deeper)} of {len(paths)} images lie in folders below that of their class, as {deeper[0].as_posix()}"
            f", which counts as {one_form(deeper[0].parts[0])!r}"
        )
    labels = Counter(one_form(place.name) for place in places)
    notes += [
        f"{count} folders are one class, {label!r}: their names are alike but for how accents and spaces are stored"
        for label, count in labels.items()
        if count > 1
    ]
    return notes


def _require_images(folder: Path, inside: dict[Path, FoundFiles]) -> None:
    empty = [place for place, files in inside.items() if not files.images]
    if not empty:
        return
    others = [path for place in empty for path in inside[place].others]
    raise DataError(
        f"{', '.join(str(place) for place in empty)}: {'a class' if len(empty) == 1 else f'{len(empty)} classes'} with "
        "no example; remove the folder, or put images into it"
        + (f". What lies there cannot be read as images: {listing(folder, others)}" if others else "")
    )


def _is_left_behind(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def sub_folders(folder: Path) -> list[Path]:
    """The folders in a folder, by name, but for what systems leave there. OSError: it cannot be read."""
    return sorted(place for place in folder.iterdir() if place.is_dir() and not _is_left_behind(place.name))


def _raise(error: OSError) -> NoReturn:
    raise error
