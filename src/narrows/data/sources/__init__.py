"""Where data lie: the one function that tells the sources apart and opens the right one."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from narrows.data.sources.folders import find_files, listing, open_images
from narrows.data.sources.hook import PREFIX, open_hook
from narrows.data.sources.hub import open_hub
from narrows.data.sources.npz import open_npz
from narrows.data.sources.parquet import open_parquet
from narrows.data.sources.raw import Raw, Targets
from narrows.data.sources.tables import open_csv
from narrows.errors import DataError, DatasetMissingError
from narrows.store.bounded import require_regular

__all__ = ["Raw", "Targets", "open_data"]

_PARTS = ("train", "val", "valid", "validation", "test")


def open_data(
    data: str | Path,
    *,
    features: tuple[str, ...] | None = None,
    as_text: Collection[str] = (),
    targets: Targets = "required",
    training: bool = False,
    decimal: str | None = None,
) -> Raw:
    """What lies at `data`.

    Args:
        features: columns asked for, or the key of the inputs.
        as_text: columns of a CSV file that are not to be taken for numbers.
        targets: whether a folder of images must have, may have or has no folders of classes.
        training: whether every folder of a class must hold an image.
        decimal: the decimal mark of a CSV file, where it is known.

    Raises:
        DatasetMissingError: there is nothing.
        DataError: it is of no known kind, ambiguous or damaged.
    """
    text = str(data)
    if text.startswith(PREFIX):
        return open_hook(text.removeprefix(PREFIX))
    if text.startswith("hf:"):
        return open_hub(text.removeprefix("hf:"), features)
    path = Path(data)
    try:
        if path.is_dir():
            return _open_folder(path, features, targets, training)
        if path.is_file():
            return _open_file(path, features, as_text, decimal)
        if path.exists():
            raise DataError(f"{path} is a pipe or a device; save what it gives into a file")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    raise _missing(path)


def _missing(path: Path) -> DatasetMissingError:
    """What is not there, with the nearest name beside it. Nothing is asked of the hub: only `hf:` is."""
    there = next(place for place in path.absolute().parents if place.is_dir())
    wanted = path.absolute().relative_to(there).parts[0]
    try:
        beside = sorted(entry.name for entry in there.iterdir() if not entry.name.startswith("."))
    except OSError:  # may be entered and not listed
        beside = []
    close = get_close_matches(wanted, beside, n=1, cutoff=0.5)
    hint = f" In {there} did you mean {close[0]!r}?" if close else f" {there} has no {wanted!r}."
    return DatasetMissingError(
        f"There is no file or folder {str(path)!r}.{hint} Data are a folder of class folders of images, a .csv, "
        ".parquet or .npz file, a data set of the hub (hf:OWNER/NAME) or a function (hook:PACKAGE.MODULE:FUNCTION)"
    )


def _open_file(path: Path, features: tuple[str, ...] | None, as_text: Collection[str], decimal: str | None) -> Raw:
    name = path.name.lower()
    if not path.stat().st_size:
        raise DataError(f"{path} is empty")
    if name.endswith((".csv", ".csv.gz")):
        return open_csv(path, features, as_text, decimal)
    if name.endswith(".parquet"):
        return open_parquet([path], str(path), features)
    if name.endswith(".npz"):
        return open_npz(path, features)
    raise DataError(
        f"{path}: files are read by their ending, .csv, .csv.gz, .parquet or .npz; images from their folder"
    )


def _open_folder(folder: Path, features: tuple[str, ...] | None, targets: Targets, training: bool) -> Raw:
    tables = sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("."))
    for path in tables:
        require_regular(path)
    images = open_images(folder, targets, training)
    if tables and images:
        raise DataError(f"{folder} has parquet files and images: keep each in a folder of its own")
    if images:
        return images
    if not tables:
        there = find_files(folder)
        raise DataError(
            f"{folder} has no data: looked for CLASS/*.jpg, *.png, ... (a folder for each class), images without "
            f"classes (to predict), and *.parquet. There are {listing(folder, there.others) or 'no files'}"
        )
    parts = {part for part in _PARTS for path in tables if path.stem == part or path.name.startswith(f"{part}-")}
    if len(parts) > 1:
        raise DataError(
            f"{folder} has files of the parts {', '.join(sorted(parts))}: put each into a folder of its own"
        )
    return open_parquet(tables, str(folder), features)
