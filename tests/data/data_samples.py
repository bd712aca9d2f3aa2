"""Writes small files of users' data."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def png(value: Any = 0, size: tuple[int, int] = (6, 6), mode: str = "RGB") -> bytes:
    """A PNG of one colour; size is (width, height)."""
    out = io.BytesIO()
    Image.new(mode, size, value).save(out, "PNG")
    return out.getvalue()


def class_folders(folder: Path, classes: tuple[str, ...] = ("cat", "dog"), n: int = 3, **options: Any) -> Path:
    """n images a class: image i of class c has the red value 10 c + i."""
    for c, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            value = 10 * c + i
            options = {"mode": "RGB"} | options
            colour = value if options["mode"] == "L" else (value, 0, 0)
            (folder / name / f"{i}.png").write_bytes(png(colour, **options))
    return folder


def csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def image_column(images: list[bytes | None]) -> pa.Array:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.array([{"bytes": data, "path": None} for data in images], kind)
