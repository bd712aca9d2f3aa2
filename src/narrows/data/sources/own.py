"""Images in rows of Hugging Face's form, {bytes, path}: their bytes, and a path only within the data set's own folders.

A path is what whoever made the data set wrote into it: any file of this machine might be named there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from narrows.data.extras import require
from narrows.errors import DataError
from narrows.store.bounded import read_bytes

MOST = 256 << 20
"""Bytes of one image."""


def image_bytes(value: Any, inside: Sequence[Path], where: str) -> bytes:
    """The image of a row.

    Args:
        value: what stands there.
        inside: the folders of the data set.

    Raises:
        DataError: neither bytes nor a path within the folders; names `where`.
    """
    held = value if isinstance(value, dict) else {}
    data, path = held.get("bytes"), held.get("path")
    if isinstance(data, bytes):
        return data
    if not isinstance(path, str) or not path:
        raise DataError(f"{where}: the image's bytes are missing")
    # Where it leads, not how it is spelled.
    real = Path(path).resolve()
    if not any(real.is_relative_to(place.resolve()) for place in inside):
        raise DataError(
            f"{where}: the image's bytes are missing, and its path, {path!r}, leads to a file of this machine that is "
            "not the data set's; no such file is read"
        )
    try:
        return read_bytes(real, MOST)
    except OSError as error:
        raise DataError(f"{where}: the image cannot be read: {error}") from error


def hub_folders(name: str) -> tuple[Path, ...]:
    """Where the libraries of the Hugging Face hub keep the files of the data set `owner/name` on this machine: those
    they downloaded, and what was in the archives among them."""
    cache = Path(require("huggingface_hub.constants", "hub").HF_HUB_CACHE)
    own = cache / f"datasets--{name.replace('/', '--')}"
    unpacked = require("datasets.utils.extract", "hub").ExtractManager()
    archives = (path for path in own.glob("snapshots/*/**/*") if path.is_file())
    return (own, *(Path(unpacked._get_output_path(str(path))) for path in archives))
