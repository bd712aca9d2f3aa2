"""Files that are cut off or altered anywhere: read, or refused with a message that names the file; never a crash."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from data_samples import csv, image_column, parquet, png

from narrows.data import DataOptions, read_training
from narrows.errors import DataError


def write(folder: Path, kind: str) -> Path:
    y = ["u", "v", "u", "v"]
    match kind:
        case "a.npz":
            np.savez(folder / kind, x=np.arange(8.0).reshape(4, 2), y=np.array(y))
        case "a.csv":
            csv(folder / kind, "a,c,y\n1,x,u\n2,y,v\n3,x,u\n4.5,,v\n")
        case "a.parquet":
            parquet(folder / kind, {"a": [1.0, 2.0, 3.0, None], "c": ["x", "y", "x", None], "y": y})
        case _:
            parquet(folder / kind, {"image": image_column([png((i, 0, 0)) for i in range(4)]), "y": y})
    return folder / kind


@pytest.mark.parametrize("kind", ["a.npz", "a.csv", "a.parquet", "images.parquet"])
def test_damage_is_refused_with_the_files_name(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind)
    whole = path.read_bytes()
    draw = random.Random(0)
    refused = unnamed = 0
    for i in range(200):
        data = bytearray(whole)
        if i % 3 == 0:
            data = data[: draw.randrange(len(data))]
        else:
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data)
        try:
            read_training(path, DataOptions(bad=draw.choice(["refuse", "skip"])))  # type: ignore[arg-type]
        except DataError as error:
            refused += 1
            unnamed += kind not in str(error)
    assert refused > 50
    assert not unnamed
