"""Data sets held in memory: the digits, and IDX files of the true format, whole and damaged."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from dataset_samples import write_idx, write_mnist

from narrows.benchmarks.datasets.digits import load_digits
from narrows.benchmarks.datasets.idx import load_fashion_mnist, load_mnist, read_idx
from narrows.benchmarks.datasets.image_source import Dataset
from narrows.errors import DataError, DatasetMissingError


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_round_trip(tmp_path: Path, zipped: bool) -> None:
    data = load_mnist(write_mnist(tmp_path, zipped))
    assert data.shape == (1, 28, 28)
    assert data.counts("train") == [3] * 10
    assert load_fashion_mnist(tmp_path).classes[9] == "ankle boot"
    first = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)
    assert np.array_equal(data.train_x[:, 0].numpy(), first)


def test_idx_with_a_dotted_name_is_found(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").rename(tmp_path / "train-images.idx3-ubyte")
    assert len(load_mnist(tmp_path).train_x) == 30


def test_missing_idx_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissingError, match="apt-get install dataset-fashion-mnist"):
        load_fashion_mnist(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d[:10], "truncated"),
        (lambda d: d[:-1], "only"),
        (lambda d: d + b"x", "more"),
        (lambda d: b"\0\0\x0d" + d[3:], "not an IDX"),
        (lambda d: b"\0\0\x08\x01" + d[4:], "not an IDX"),
        (lambda d: d[:4] + b"\xff" * 12 + d[16:], "damaged"),
        (lambda d: gzip.compress(d)[:-20], "cannot be read"),
        (lambda d: (z := gzip.compress(d))[:900] + bytes((z[900] ^ 1,)) + z[901:], "cannot be read"),
        (lambda d: d[:7] + b"\x1d" + d[8:-784], "29 images"),
        (lambda _: b"", "truncated"),
    ],
)
def test_damaged_idx_names_the_file(tmp_path: Path, change: Callable[[bytes], bytes], message: str) -> None:
    path = write_mnist(tmp_path) / "train-images-idx3-ubyte"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        load_mnist(tmp_path)
    assert str(path) in str(caught.value)


def test_idx_counts_and_labels_must_agree(tmp_path: Path) -> None:
    labels = write_mnist(tmp_path) / "train-labels-idx1-ubyte"
    write_idx(labels, np.zeros(29, dtype=np.uint8))
    with pytest.raises(DataError, match="30 images"):
        load_mnist(tmp_path)
    write_idx(labels, np.full(30, 10, dtype=np.uint8))
    with pytest.raises(DataError, match="label 10"):
        load_mnist(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "none", 1)


def test_digits_are_stratified_and_fixed_by_the_seed() -> None:
    a, b, c = load_digits(0), load_digits(0), load_digits(1)
    assert a.shape == (1, 8, 8)
    assert len(a.train_x) + len(a.test_x) == 1797
    assert int(a.train_x.max()) == 255
    assert all(abs(t / (t + n) - 0.2) < 0.01 for t, n in zip(a.counts("test"), a.counts("train"), strict=True))
    assert torch.equal(a.test_x, b.test_x)
    assert not torch.equal(a.test_x[:300], c.test_x[:300])


def test_select_renumbers_in_the_order_given() -> None:
    data = load_digits()
    part = data.select([7, 2])
    assert part.classes == ("7", "2")
    assert part.counts("train") == [data.counts("train")[7], data.counts("train")[2]]
    assert torch.equal(part.train_x[part.train_y == 0], data.train_x[data.train_y == 7])
    assert data.select(range(10)) is data


@pytest.mark.parametrize(
    "change",
    [
        lambda x, y: (x.float(), y),
        lambda x, y: (x[:, 0], y),
        lambda x, y: (x, y[1:]),
        lambda x, y: (x, y.int()),
        lambda x, y: (x[:0], y[:0]),
        lambda x, y: (x, y + 1),
        lambda x, y: (x[..., :2], y),
    ],
)
def test_a_dataset_that_does_not_agree_is_refused(change: Callable[..., tuple[torch.Tensor, ...]]) -> None:
    x, y = torch.zeros((2, 1, 4, 4), dtype=torch.uint8), torch.tensor([0, 1])
    Dataset("ok", x, y, x, y, ("a", "b"))
    with pytest.raises(DataError):
        Dataset("bad", x, y, *change(x, y), classes=("a", "b"))
