"""Writes small data sets in the true formats."""

from __future__ import annotations

import gzip
import io
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.io
from PIL import Image

from narrows.benchmarks.datasets.cifar import CIFAR100_CLASSES, CIFAR100_SUPERCLASSES

WNIDS = ("n01", "n02", "n03")
COARSE = [
    next(i for i, names in enumerate(CIFAR100_SUPERCLASSES.values()) if name in names) for name in CIFAR100_CLASSES
]


def write_idx(path: Path, values: np.ndarray, zipped: bool = False) -> None:
    data = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
    path.write_bytes(gzip.compress(data) if zipped else data)


def write_mnist(folder: Path, zipped: bool = False, n: int = 30) -> Path:
    draw = np.random.default_rng(0)
    for prefix, count in (("train", n), ("t10k", n // 3)):
        end = ".gz" if zipped else ""
        x = draw.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        write_idx(folder / f"{prefix}-images-idx3-ubyte{end}", x, zipped)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte{end}", np.arange(count, dtype=np.uint8) % 10, zipped)
    return folder


def jpeg(value: int, mode: str = "RGB", size: int = 64) -> bytes:
    out = io.BytesIO()
    Image.new(mode, (size, size), value if mode == "L" else (value, 0, 255 - value)).save(out, "JPEG", quality=95)
    return out.getvalue()


def write_parquet(
    path: Path,
    rows: list[tuple[bytes | None, int | None]],
    names: Sequence[str] | None = WNIDS,
    group: int = 4,
    columns: tuple[str, str] = ("image", "label"),
) -> None:
    table = pa.table(
        {
            columns[0]: pa.array(
                [{"bytes": data, "path": None} for data, _ in rows],
                pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
            ),
            columns[1]: pa.array([label for _, label in rows], pa.int64()),
        }
    )
    if names is not None:
        features = {columns[1]: {"_type": "ClassLabel", "names": list(names)}, columns[0]: {"_type": "Image"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=group)


def png(value: int, size: int = 28, mode: str = "L") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (size, size), value if mode in ("L", "1") else (value, value, value)).save(out, "PNG")
    return out.getvalue()


def write_class_folders(folder: Path, classes: Sequence[str], images: int, *, size: int = 28, start: int = 0) -> Path:
    """CLASS/0.png ...; the value of image i of class c is start + 10 c + i."""
    for c, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(images):
            (folder / name / f"{i}.png").write_bytes(png(start + 10 * c + i, size))
    return folder


def write_omniglot(folder: Path, characters: int, drawings: int = 4) -> Path:
    """Two alphabets, one in each part; the corner of a drawing is black, so that its turns differ."""
    for part, alphabet in (("images_background", "Greek"), ("images_evaluation", "Atlantean")):
        for c in range(characters // 2):
            place = folder / part / alphabet / f"character{c + 1:02d}"
            place.mkdir(parents=True)
            for i in range(drawings):
                pixels = np.full((105, 105), 255, dtype=np.uint8)
                pixels[:40, :40] = 0
                out = io.BytesIO()
                Image.fromarray(pixels).convert("1").save(out, "PNG")
                (place / f"{c:04d}_{i + 1:02d}.png").write_bytes(out.getvalue())
    return folder


def cifar_records(labels: Sequence[int], coarse: bool = False) -> bytes:
    """Records whose red is 2 times the label, green 1 and blue the record's number."""
    return b"".join(
        bytes([COARSE[label], label] if coarse else [label])
        + b"".join(bytes([value % 256]) * 1024 for value in (2 * label, 1, i))
        for i, label in enumerate(labels)
    )


def write_cifar10(folder: Path) -> Path:
    """Three training images a class in five files, one test image a class."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = [i % 10 for i in range(30)]
    for i in range(5):
        (folder / f"data_batch_{i + 1}.bin").write_bytes(cifar_records(labels[6 * i : 6 * i + 6]))
    (folder / "test_batch.bin").write_bytes(cifar_records(range(10)))
    return folder


def write_cifar100(folder: Path, train: int = 2) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.bin").write_bytes(cifar_records([i % 100 for i in range(100 * train)], coarse=True))
    (folder / "test.bin").write_bytes(cifar_records(range(100), coarse=True))
    return folder


def write_svhn(folder: Path) -> Path:
    """Labels 1..10, where 10 is the digit 0; the red of an image is its label."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, n in (("train", 30), ("test", 10)):
        y = np.arange(n) % 10 + 1
        x = np.zeros((32, 32, 3, n), dtype=np.uint8)
        x[:, :, 0, :] = y
        x[3, 5, 1, :] = 77  # row 3, column 5
        scipy.io.savemat(folder / f"{part}_32x32.mat", {"X": x, "y": y[:, None].astype(np.uint8)}, do_compression=True)
    return folder


def write_five(folder: Path) -> Path:
    write_cifar10(folder / "cifar10" / "cifar-10-batches-bin")
    for name in ("mnist", "fashion-mnist"):
        (folder / name).mkdir()
        write_mnist(folder / name)
    write_svhn(folder / "svhn")
    write_class_folders(folder / "notmnist", "ABCDEFGHIJ", 10)
    return folder
