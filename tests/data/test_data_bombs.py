"""Files that unpack to far more than they are, and tables with very many columns: memory and time are bounded."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_samples import csv, parquet, png
from PIL import Image

from narrows.data import DataOptions, Schema, read_training, read_with
from narrows.data.limits import VARIABLE, require_room
from narrows.errors import ConfigError, DataError

CHILD = """
import resource, sys
import narrows.data, pyarrow.parquet, pyarrow.csv, sklearn.impute, PIL.Image
from narrows.errors import DataError
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + (int(sys.argv[2]) << 20),) * 2)
try:
    examples = narrows.data.read_training(sys.argv[1], narrows.data.DataOptions(image_size=8))[1]
    print("read", len(examples))
except DataError as error:
    print(str(error)[:400])
"""


def read_in_child(path: Path, mebibytes: int) -> str:
    """What reading gives in a child that may take so much more memory than it has when all is imported."""
    command = [sys.executable, "-c", CHILD, str(path), str(mebibytes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def npz(path: Path, shape: tuple[int, ...], dtype: str, holds: int, y: int = 4) -> Path:
    """An array x whose header announces a shape, with so many bytes of zeros behind it; and targets y."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": dtype, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("x.npy", "w", force_zip64=True) as member:
            member.write(head.getvalue())
            for _ in range(holds >> 20):
                member.write(bytes(1 << 20))
            member.write(bytes(holds & ((1 << 20) - 1)))
        out = io.BytesIO()
        np.save(out, np.arange(y) % 2)
        archive.writestr("y.npy", out.getvalue())
    return path


def test_an_npz_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    bomb = npz(tmp_path / "a.npz", (1 << 20, 200), "|u1", 200 << 20)
    assert bomb.stat().st_size < 1 << 20
    said = read_in_child(bomb, 100)
    assert "'x' unpacks to 928.0 MiB from 8" in said
    assert "and 256.0 MiB are allowed" in said
    assert f"{VARIABLE}=928 in the environment" in said


@pytest.mark.parametrize(
    ("shape", "dtype", "holds", "match"),
    [
        ((1 << 40, 8), "<f8", 64, "announces an array .*, which are 70368744177664 bytes, and holds 64"),
        ((4, 8), "<f8", 4096, "are 256 bytes, and holds 4096"),
        ((1 << 40, 8), "<U0", 0, "unpacks to 192.0 TiB"),
        ((1 << 40,), "<U0", 0, "unpacks to .* TiB"),
        ((1 << 30, 0), "<f8", 0, "unpacks to 128.0 GiB"),
    ],
)
def test_an_array_that_announces_what_is_not_there(
    tmp_path: Path, shape: tuple[int, ...], dtype: str, holds: int, match: str
) -> None:
    with pytest.raises(DataError, match=match):
        read_training(npz(tmp_path / "a.npz", shape, dtype, holds))


def test_a_limit_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = npz(tmp_path / "a.npz", (4, 1 << 18), "<f8", 8 << 20)
    assert read_training(path)[1].shape == (1 << 18,)
    monkeypatch.setenv(VARIABLE, "4")
    with pytest.raises(DataError, match=r"unpacks to 8\.0 MiB .* and 4\.0 MiB are allowed"):
        read_training(path)
    monkeypatch.setenv(VARIABLE, "lots")
    with pytest.raises(ConfigError, match="NARROWS_DATA_LIMIT is a whole number of MiB, as 4096; not 'lots'"):
        read_training(path)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(DataError, match=r"this machine has .* of memory"):
        require_room(1 << 60, None, "x")


def test_parquet_files_that_unpack_to_too_much(tmp_path: Path) -> None:
    many = pa.table({"a": pa.array(np.zeros(4_000_000)), "y": pa.array(np.zeros(4_000_000, dtype=np.int8))})
    pq.write_table(many, tmp_path / "rows.parquet")
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(4000, dtype=np.int32)), pa.array(["x" * (1 << 20)]))
    pq.write_table(pa.table({"a": text, "y": np.zeros(4000)}), tmp_path / "text.parquet", store_schema=False)
    pq.write_table(pa.table({"a": text, "y": np.zeros(4000)}), tmp_path / "kept.parquet")
    data = pa.DictionaryArray.from_arrays(text.indices, pa.array([bytes(1 << 20)]))
    images = pa.StructArray.from_arrays([data], ["bytes"])
    pq.write_table(pa.table({"image": images, "y": np.zeros(4000)}), tmp_path / "image.parquet", store_schema=False)
    for name in ("rows", "text", "kept"):
        path = tmp_path / f"{name}.parquet"
        assert path.stat().st_size < 1 << 20
        with pytest.raises(DataError, match=r"unpacks to .* and 256\.0 MiB are allowed"):
            read_training(path)
    assert "256.0 MiB are allowed" in read_in_child(tmp_path / "image.parquet", 1500)


def test_a_gzipped_table_that_unpacks_to_too_much(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"a,y\n")
        for _ in range(8):
            file.write(b"1,2\n" * (1 << 18))
    with pytest.raises(DataError, match=r"a\.csv\.gz unpacks to 2\d\d\.\d MiB.* and 256\.0 MiB are allowed"):
        read_training(path)
    with gzip.open(path, "wb") as file:
        file.write(b"a,y\n1,u\n2,v\n3,u\n")
    assert len(read_training(path)[1]) == 3


def test_images_that_unpack_to_too_much(tmp_path: Path) -> None:
    for i in range(30):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[i % 2] / f"{i}.png").write_bytes(png(0, (3000, 3000), "L"))
    with pytest.raises(DataError, match=r"30 images of 3000 x 3000 pixels unpacks to 257.5 MiB from .* are allowed"):
        read_training(tmp_path)


def test_a_large_transparent_image_takes_few_copies_of_itself(tmp_path: Path) -> None:
    for i, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(png((i, 0, 0, 128), (4000, 4000), "RGBA"))
    # 16 million pixels are 61 MiB in Pillow, and all at once it took six times that.
    assert read_in_child(tmp_path, 230) == "read 2"


def test_an_opaque_alpha_channel_is_not_transparent(tmp_path: Path) -> None:
    for name, alpha in (("a", 255), ("b", 255)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(png((9, 9, 9, alpha), mode="RGBA"))
    assert not any("transparent" in note for note in read_training(tmp_path)[1].notes)
    image = Image.new("RGBA", (300, 600), (9, 9, 9, 255))
    image.putpixel((299, 599), (9, 9, 9, 254))
    image.resize((6, 6), Image.Resampling.NEAREST)
    image.save(tmp_path / "a" / "0.png")
    notes = read_training(tmp_path, DataOptions(image_size=6))[1].notes
    assert "1 of 2 images were transparent in parts and drawn on white" in notes


def seconds(path: Path) -> float:
    began = time.process_time()
    schema, _ = read_training(path)
    read_with(schema, path)
    Schema.from_json(schema.to_json())
    return time.process_time() - began


def test_a_header_longer_than_what_is_looked_at_first(tmp_path: Path) -> None:
    names = [f"{'c' * 90}{i}" for i in range(3500)]
    path = csv(tmp_path / "a.csv", "\n".join([",".join([*names, "y"]), *(",".join(["1"] * 3500 + [y]) for y in "uvu")]))
    assert read_training(path)[1].shape == (3500,)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_time_is_linear_in_columns(tmp_path: Path, kind: str) -> None:
    took = {}
    for columns in (250, 250, 2000):
        names = [f"c{i}" for i in range(columns)]
        path = tmp_path / f"{columns}.{kind}"
        if kind == "csv":
            rows = (",".join([str(7 * i % 11) for i in range(columns)] + [y]) for y in "uvu")
            csv(path, "\n".join([",".join([*names, "y"]), *rows]))
        else:
            features = {name: {"dtype": "int64", "_type": "Value"} for name in names}
            said = {"huggingface": json.dumps({"info": {"features": features}})}
            table = pa.table({name: [3, 1, 2] for name in names} | {"y": list("uvu")})
            pq.write_table(table.replace_schema_metadata(said), path)
        took[columns] = seconds(path)  # the first of all also imports what it needs
    assert took[2000] < 24 * max(took[250], 0.02)  # 64 times, were it quadratic


def test_so_many_faults_of_the_whole_are_counted(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", {f"c{i}": [[1], [2]] for i in range(120)} | {"y": ["u", "v"]})
    with pytest.raises(DataError, match=r"has 120 faults:(?s:.*)- and 70 more") as caught:
        read_training(path)
    assert len(str(caught.value)) < 20_000


@pytest.mark.parametrize("size", [(16, 24), [16, 24]])
def test_images_of_two_sides(tmp_path: Path, size: tuple[int, int]) -> None:
    for i, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(png((i, 0, 0)))
    assert read_training(tmp_path, DataOptions(image_size=size))[1].shape == (3, 16, 24)


@pytest.mark.parametrize("size", [(16,), (16, 0), (16, 16, 3), "16", 16.5, True, 0])
def test_image_sizes_that_are_none(size: object) -> None:
    with pytest.raises(ConfigError, match="image_size is a number of pixels from 1 to 16384, or two of them"):
        DataOptions(image_size=size)  # type: ignore[arg-type]
