"""Tiny ImageNet from parquet and from folders, on small files of the true formats."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from dataset_samples import jpeg, write_parquet
from PIL import Image

from narrows.benchmarks.datasets import image_source
from narrows.benchmarks.datasets.digits import load_digits
from narrows.benchmarks.datasets.tiny_imagenet import open_tiny_imagenet
from narrows.errors import DataError, DatasetMissingError

WNIDS = ["n01", "n02", "n03"]


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    """Two train files, sorted by class; class 1 has a grey image; the value says which row it was."""
    rows = [(jpeg(10 * i, "L" if i == 7 else "RGB"), i // 4) for i in range(12)]
    write_parquet(tmp_path / "train-00000-of-00002.parquet", rows[:7])
    write_parquet(tmp_path / "train-00001-of-00002.parquet", rows[7:])
    write_parquet(tmp_path / "valid-00000-of-00001.parquet", [(jpeg(200 + c), c) for c in (2, 0, 1)])
    return tmp_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The same as distributed; wnids.txt is not sorted, and neither are the annotations."""
    for c, wnid in enumerate(WNIDS):
        place = tmp_path / "train" / wnid / "images"
        place.mkdir(parents=True)
        (place.parent / f"{wnid}_boxes.txt").write_text("")
        for i in range(4):
            (place / f"{wnid}_{i}.JPEG").write_bytes(jpeg(10 * (4 * c + i), "L" if 4 * c + i == 7 else "RGB"))
    (tmp_path / "val" / "images").mkdir(parents=True)
    lines = []
    for i, c in enumerate((2, 0, 1)):
        (tmp_path / "val" / "images" / f"val_{i}.JPEG").write_bytes(jpeg(200 + c))
        lines.append(f"val_{i}.JPEG\t{WNIDS[c]}\t0\t0\t62\t62\n")
    (tmp_path / "val" / "val_annotations.txt").write_text("".join(lines))
    (tmp_path / "wnids.txt").write_text("n03\nn01\nn02\n")
    (tmp_path / "words.txt").write_text("n00\tthing\nn01\tgoldfish, Carassius auratus\nn02\tcrane\nn03\tcrane\n")
    return tmp_path


def test_parquet_and_folder_give_the_same(parquet: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("folder")
    a = open_tiny_imagenet(parquet).select([1, 0])
    b = open_tiny_imagenet(folder.__wrapped__(other)).select([1, 0])  # type: ignore[attr-defined]
    for field in ("train_x", "train_y", "test_x", "test_y"):
        assert torch.equal(getattr(a, field), getattr(b, field))
    assert a.classes == ("n02", "n01")
    assert b.classes == ("crane (n02)", "goldfish")
    assert a.shape == (3, 32, 32)


def test_decoding_is_right_and_grey_becomes_rgb(parquet: Path) -> None:
    source = open_tiny_imagenet(parquet, 16)
    assert source.counts("train") == [4, 4, 4]
    data = source.select([0, 1, 2])
    assert data.train_x.shape == (12, 3, 16, 16)
    assert data.train_y.tolist() == [i // 4 for i in range(12)]
    reds = data.train_x[:, 0].float().mean((1, 2))
    assert torch.allclose(reds, 10.0 * torch.arange(12), atol=4)
    assert data.train_x[7].unique().numel() == 1
    assert data.test_y.tolist() == [2, 0, 1]


def test_smaller_images_are_means() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    small = image_source.decode(out.getvalue(), (2, 2), "here").astype(float)
    means = pixels.reshape(2, 2, 2, 2, 3).mean((1, 3)).transpose(2, 0, 1)
    assert np.abs(small - means).max() <= 1  # Pillow rounds after each axis


def test_only_wanted_classes_are_decoded(parquet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    true = image_source.decode
    monkeypatch.setattr(
        image_source, "decode", lambda data, size, where, *rest: decoded.append(where) or true(data, size, where, *rest)
    )
    open_tiny_imagenet(parquet).select([2])
    assert len(decoded) == 5
    assert decoded[0].endswith("train-00001-of-00002.parquet, row 1")


def test_parquet_in_data_and_without_names(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_parquet(tmp_path / "data" / "train.parquet", [(jpeg(1), 0), (jpeg(2), 1)], None)
    write_parquet(tmp_path / "data" / "test-0.parquet", [(jpeg(1), 0), (jpeg(2), 1)], None)
    assert open_tiny_imagenet(tmp_path).classes == ("class 0", "class 1")
    write_parquet(tmp_path / "data" / "validation-0.parquet", [(jpeg(1), 0)], None)
    assert open_tiny_imagenet(tmp_path).counts("test") == [1, 0]


@pytest.mark.parametrize("data", [jpeg(3)[:-200], b"", b"GIF89a", jpeg(3)[:40]])
def test_a_corrupt_image_is_named_by_file_and_row(parquet: Path, data: bytes) -> None:
    path = parquet / "train-00000-of-00002.parquet"
    write_parquet(path, [(jpeg(0), 0)] * 5 + [(data, 1)])
    source = open_tiny_imagenet(parquet)
    source.select([0])
    with pytest.raises(DataError, match=r"train-00000-of-00002\.parquet, row 5"):
        source.select([1])


@pytest.mark.parametrize(
    ("rows", "names", "message"),
    [
        ([(None, 0)], WNIDS, "row 0: the image's bytes are missing"),
        ([(jpeg(0), None)], WNIDS, "1 labels are missing"),
        ([(jpeg(0), 3)], WNIDS, "must lie in 0..2"),
        ([(jpeg(0), -1)], WNIDS, "must lie in 0..2"),
        ([(jpeg(0), 0)], ["other"], "class names"),
        ([(jpeg(0), 0)], [1, 2], "list of strings"),
    ],
)
def test_wrong_parquet_is_refused(parquet: Path, rows: list, names: list, message: str) -> None:
    write_parquet(parquet / "train-00001-of-00002.parquet", rows, names)
    with pytest.raises(DataError, match=message):
        open_tiny_imagenet(parquet).select([0])


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"label": [0]}),
        pa.table({"image": [b"x"], "label": [0]}),
        pa.table({"image": [{"bytes": "x"}], "label": [0]}),
        pa.table({"image": [{"path": "x"}], "label": [0]}),
        pa.table({"image": [{"bytes": b"x"}], "label": ["a"]}),
        pa.table({"image": [{"bytes": b"x"}]}),
    ],
)
def test_other_columns_are_refused(parquet: Path, table: pa.Table) -> None:
    path = parquet / "train-00001-of-00002.parquet"
    pq.write_table(table, path)
    with pytest.raises(DataError, match="train-00001"):
        open_tiny_imagenet(parquet)


def test_truncated_or_altered_parquet_is_named(parquet: Path) -> None:
    path = parquet / "train-00001-of-00002.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-50])
    with pytest.raises(DataError, match="train-00001"):
        open_tiny_imagenet(parquet)
    path.write_bytes(whole[:4] + b"\xff" * (len(whole) // 3) + whole[4 + len(whole) // 3 :])
    with pytest.raises(DataError, match="train-00001"):
        open_tiny_imagenet(parquet).select([0, 1, 2])


def test_damaged_folder_says_where(folder: Path) -> None:
    (folder / "val" / "images" / "val_1.JPEG").unlink()
    with pytest.raises(DataError, match=r"val_1\.JPEG \(row 1 of the test part\)"):
        open_tiny_imagenet(folder).select([0])
    annotations = folder / "val" / "val_annotations.txt"
    for line in ("val_0.JPEG n01\n", "../x.JPEG\tn01\n"):
        annotations.write_text(line)
        with pytest.raises(DataError, match="line 1"):
            open_tiny_imagenet(folder)
    annotations.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="cannot be read"):
        open_tiny_imagenet(folder)
    (folder / "wnids.txt").write_text("n01\nn09\n")
    with pytest.raises(DataError, match="n09"):
        open_tiny_imagenet(folder)


def test_missing_tiny_imagenet_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissingError, match=r"tiny-imagenet-200\.zip"):
        open_tiny_imagenet(tmp_path / "nowhere")


@pytest.mark.parametrize("module", ["sklearn.datasets", "pyarrow.parquet", "PIL.Image"])
def test_a_missing_extra_says_what_to_install(parquet: Path, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    source = open_tiny_imagenet(parquet)
    monkeypatch.setitem(sys.modules, module, None)
    load = {
        "sklearn.datasets": load_digits,
        "pyarrow.parquet": lambda: open_tiny_imagenet(parquet),
        "PIL.Image": lambda: source.select([0]),
    }[module]
    with pytest.raises(DataError, match=r'pip install "narrows\[(bench|data)\]"'):
        load()
