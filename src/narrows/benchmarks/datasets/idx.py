"""IDX files, the format of MNIST and Fashion-MNIST, plain or gzipped.

Format: https://yann.lecun.com/exdb/mnist : two zero bytes, a type code (8: uint8), the number of
dimensions, each dimension as a big-endian uint32, then the values.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np
import torch
from torch import Tensor

from narrows.benchmarks.datasets.image_source import Dataset
from narrows.errors import DataError, DatasetMissingError
from narrows.store.bounded import open_regular

DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")
FASHION_CLASSES = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
MNIST_CLASSES = tuple("0123456789")
_MAX_BYTES = 2**31  # 30 times MNIST: more is a damaged header, not data


def load_fashion_mnist(folder: Path | None = None) -> Dataset:
    """Fashion-MNIST (Xiao, Rasul, Vollgraf 2017): 60000 + 10000 images uint8 (n, 1, 28, 28).

    `folder` defaults to where Debian's package puts it. DatasetMissingError, DataError.
    """
    how = "apt-get install dataset-fashion-mnist, or give the folder that holds its IDX files"
    return load_idx("fashion-mnist", folder or DEBIAN_FASHION, FASHION_CLASSES, how)


def load_mnist(folder: Path) -> Dataset:
    """MNIST (LeCun, Cortes, Burges): images uint8 (n, 1, 28, 28). DatasetMissingError, DataError."""
    return load_idx("mnist", folder, MNIST_CLASSES, "give the folder that holds its four IDX files")


def holds_idx(folder: Path) -> bool:
    """Whether any of the four files is there."""
    return any(folder.glob("*-ubyte*"))


def load_idx(name: str, folder: Path, classes: tuple[str, ...], how: str) -> Dataset:
    """The four files `train-images-idx3-ubyte[.gz]` ... of a folder; `how` says where to get them."""
    parts: list[Tensor] = []
    for prefix in ("train", "t10k"):
        images = _find(folder, f"{prefix}-images-idx3-ubyte", name, how)
        labels = _find(folder, f"{prefix}-labels-idx1-ubyte", name, how)
        x, y = read_idx(images, 3).unsqueeze(1), read_idx(labels, 1).long()
        if len(x) != len(y):
            raise DataError(f"{images} holds {len(x)} images but {labels} holds {len(y)} labels")
        if len(y) and int(y.max()) >= len(classes):
            raise DataError(f"{labels}: label {int(y.max())} is outside the {len(classes)} classes of {name}")
        parts += [x, y]
    return Dataset(name, parts[0], parts[1], parts[2], parts[3], classes)


def read_idx(path: Path, dimensions: int) -> Tensor:
    """One IDX file of uint8 values with that many dimensions. DataError naming the file and the fault."""
    try:
        with open_regular(path) as raw:
            zipped = raw.read(2) == b"\x1f\x8b"  # by content: names lie about compression
            raw.seek(0)
            if not zipped:
                return _parse(raw, path, dimensions)
            with gzip.open(raw) as file:
                return _parse(cast("IO[bytes]", file), path, dimensions)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}; fetch it again") from error


def _parse(file: IO[bytes], path: Path, dimensions: int) -> Tensor:
    header = file.read(4 + 4 * dimensions)
    if len(header) < 4 + 4 * dimensions:
        raise DataError(f"{path} is truncated: its header has {len(header)} of {4 + 4 * dimensions} bytes")
    if header[:4] != bytes((0, 0, 8, dimensions)):
        raise DataError(
            f"{path} is not an IDX file of uint8 values with {dimensions} dimension(s): "
            f"it begins with {header[:4].hex()}"
        )
    shape = struct.unpack(f">{dimensions}I", header[4:])
    size = math.prod(shape)
    if size > _MAX_BYTES:
        raise DataError(f"{path} declares the shape {shape}, over {_MAX_BYTES} bytes: its header is damaged")
    values = file.read(size + 1)  # one more, to notice what should not be there
    if len(values) != size:
        found = f"only {len(values)}" if len(values) < size else "more"
        raise DataError(f"{path} declares {size} values {shape} but holds {found}; fetch it again")
    return torch.from_numpy(np.frombuffer(values, dtype=np.uint8).copy()).reshape(shape)


def _find(folder: Path, stem: str, name: str, how: str) -> Path:
    # Unpackers often write a dot for the dash: train-images.idx3-ubyte.
    dotted = stem.replace("-idx", ".idx")
    for candidate in (stem, f"{stem}.gz", dotted, f"{dotted}.gz"):
        if (folder / candidate).is_file():
            return folder / candidate
    raise DatasetMissingError(f"{name}: there is no {stem}[.gz] in {folder}; {how}")
