"""Every layout of every data set, on small files of the true format: whole, damaged, and absent."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from dataset_samples import (
    cifar_records,
    png,
    write_cifar10,
    write_cifar100,
    write_class_folders,
    write_mnist,
    write_omniglot,
    write_parquet,
    write_svhn,
)

from narrows.benchmarks.datasets.catalogue import DATASETS
from narrows.benchmarks.datasets.cifar import CIFAR10_CLASSES, CIFAR100_CLASSES, CIFAR100_SUPERCLASSES
from narrows.benchmarks.datasets.image_source import Dataset, framed
from narrows.benchmarks.datasets.opening import HUB, open_dataset
from narrows.errors import ConfigError, DataError, DatasetMissingError


def test_cifar_has_the_published_classes() -> None:
    assert len(CIFAR100_SUPERCLASSES) == 20
    assert all(len(names) == 5 for names in CIFAR100_SUPERCLASSES.values())
    assert len(set(CIFAR100_CLASSES)) == 100
    # As in fine_label_names.txt, of which some are well known by number.
    assert [CIFAR100_CLASSES[i] for i in (0, 3, 11, 26, 47, 58, 83, 99)] == [
        "apple", "bear", "boy", "crab", "maple_tree", "pickup_truck", "sweet_pepper", "worm",
    ]  # fmt: skip


@pytest.mark.parametrize("inside", [".", "cifar-10-batches-bin"])
def test_cifar10_binary(tmp_path: Path, inside: str) -> None:
    write_cifar10(tmp_path / inside)
    data = open_dataset("cifar10", tmp_path)
    assert data.shape == (3, 32, 32)
    assert data.classes == CIFAR10_CLASSES
    assert data.counts("train") == [3] * 10
    part = data.select([7, 2])
    assert part.train_x[:, :, 31, 31].tolist() == [[4, 1, 2], [14, 1, 1], [4, 1, 0], [14, 1, 5], [4, 1, 4], [14, 1, 3]]
    assert part.train_y.tolist() == [1, 0, 1, 0, 1, 0]


@pytest.mark.parametrize("inside", [".", "cifar-100-binary"])
def test_cifar100_binary(tmp_path: Path, inside: str) -> None:
    write_cifar100(tmp_path / inside)
    data = open_dataset("cifar100", tmp_path)
    assert data.counts("train") == [2] * 100
    assert data.counts("test") == [1] * 100
    assert data.select([40]).test_x[0, 0].unique().tolist() == [80]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d[:-1], "truncated"),
        (lambda _: b"", "truncated"),
        (lambda d: d + b"\0" * 100, "truncated"),
        (lambda d: bytes([d[0] ^ 1]) + d[1:], "record 0: no image has the label"),
        (lambda d: d[:1] + bytes([100]) + d[2:], "record 0: no image has the label"),
    ],
)
def test_damaged_cifar_names_the_file(tmp_path: Path, change: Callable[[bytes], bytes], said: str) -> None:
    path = write_cifar100(tmp_path) / "train.bin"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=said) as caught:
        open_dataset("cifar100", tmp_path)
    assert str(path) in str(caught.value)


def test_a_missing_cifar_file_is_named(tmp_path: Path) -> None:
    (write_cifar10(tmp_path) / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match=r"data_batch_3\.bin is missing"):
        open_dataset("cifar10", tmp_path)
    (tmp_path / "data_batch_3.bin").write_bytes(cifar_records([10]))
    with pytest.raises(DataError, match=r"data_batch_3\.bin, record 0"):
        open_dataset("cifar10", tmp_path)


@pytest.mark.parametrize(
    ("name", "inside", "file"),
    [("cifar10", "cifar-10-batches-py", "data_batch_1"), ("cifar100", "cifar-100-python", "train")],
)
def test_pickles_are_refused_and_never_read(tmp_path: Path, name: str, inside: str, file: str) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return pytest.fail, ("it was unpickled",)

    (tmp_path / inside).mkdir()
    (tmp_path / inside / file).write_bytes(pickle.dumps(Trap()))
    for folder in (tmp_path, tmp_path / inside):
        with pytest.raises(DataError, match=r"is a pickle.*binary\.tar\.gz"):
            open_dataset(name, folder)


def test_svhn_mat(tmp_path: Path) -> None:
    data = open_dataset("svhn", write_svhn(tmp_path))
    assert data.shape == (3, 32, 32)
    assert data.counts("train") == [3] * 10
    zero = data.select([0])
    assert zero.test_x[0, :, 0, 0].tolist() == [10, 0, 0]  # the label 10 is the digit 0
    one = data.select([2]).test_x[0, 1]
    assert (one == 77).nonzero().tolist() == [[3, 5]]


def test_damaged_svhn_names_the_file(tmp_path: Path) -> None:
    path = write_svhn(tmp_path) / "train_32x32.mat"
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:100], b"", b"x" * 300, whole[:300] + b"\xff" * 50 + whole[350:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"train_32x32\.mat"):
            open_dataset("svhn", tmp_path)
    images = np.zeros((32, 32, 3, 2), dtype=np.uint8)
    for held, said in (
        ({"X": images}, "KeyError"),
        ({"X": images, "y": np.array([[1], [11]])}, r"labels 1\.\.11"),
        ({"X": images[..., :1], "y": np.array([[1], [2]])}, "must be uint8"),
        ({"X": images.astype(float), "y": np.array([[1], [2]])}, "must be uint8"),
    ):
        scipy.io.savemat(path, held)
        with pytest.raises(DataError, match=said):
            open_dataset("svhn", tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="is missing"):
        open_dataset("svhn", tmp_path)


@pytest.mark.parametrize("test", ["test", "val", "valid", "validation"])
def test_class_folders_in_two_parts(tmp_path: Path, test: str) -> None:
    write_class_folders(tmp_path / "train", ["b", "a"], 3)
    write_class_folders(tmp_path / test, ["a", "b"], 1, start=100)
    (tmp_path / "train" / "a" / "._0.png").write_bytes(b"what a Mac leaves behind")
    (tmp_path / "train" / ".cache").mkdir()
    data = open_dataset("mini-imagenet", tmp_path, shape=(3, 8, 8))
    assert data.classes == ("a", "b")
    assert data.counts("train") == [3, 3]
    assert data.counts("test") == [1, 1]
    part = data.select([1])
    assert part.train_x.shape == (3, 3, 8, 8)
    assert part.train_x[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert part.test_x[:, 2, 0, 0].tolist() == [110]


def test_class_folders_without_parts_hold_out_every_so_many_th(tmp_path: Path) -> None:
    write_class_folders(tmp_path, "ABCDEFGHIJ", 20)
    (tmp_path / "__MACOSX").mkdir()  # what unpacking leaves is no class without an image
    (tmp_path / "A" / "Thumbs.db").write_bytes(b"")
    data = open_dataset("notmnist", tmp_path)
    assert data.shape == (1, 28, 28)
    assert data.counts("train") == [18] * 10
    assert data.select([0]).test_x[:, 0, 0, 0].tolist() == [17, 9]  # in order of names, as strings
    with pytest.raises(DatasetMissingError, match="none of the layouts"):
        open_dataset("cifar10", tmp_path)
    (tmp_path / "notes").mkdir()
    with pytest.raises(DatasetMissingError, match="none of the layouts"):
        open_dataset("notmnist", tmp_path)


def test_a_class_in_the_test_part_only_is_refused(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "train", ["a"], 1)
    write_class_folders(tmp_path / "test", ["a", "c"], 1)
    with pytest.raises(DataError, match="test/c: there is no such class"):
        open_dataset("cifar10", tmp_path)


@pytest.mark.parametrize("damaged", [png(3)[:-30], b"", b"GIF89a"])
def test_a_damaged_image_file_is_named(tmp_path: Path, damaged: bytes) -> None:
    path = write_class_folders(tmp_path, ["a", "b"], 12) / "b" / "3.png"
    path.write_bytes(damaged)
    data = open_dataset("notmnist", tmp_path)
    data.select([0])
    with pytest.raises(DataError, match=r"b/3\.png \(row \d+ of the train part\): the image cannot be decoded"):
        data.select([1])
    path.unlink()
    with pytest.raises(DataError, match=r"b/3\.png .* cannot be read"):
        data.select([1])


@pytest.mark.parametrize("inside", [".", "python"])
def test_omniglot_folders(tmp_path: Path, inside: str) -> None:
    write_omniglot(tmp_path / inside, 4, drawings=20)
    data = open_dataset("omniglot", tmp_path, shape=(1, 32, 32))
    assert data.classes == (
        "Greek/character01", "Greek/character02", "Atlantean/character01", "Atlantean/character02",
    )  # fmt: skip
    assert data.counts("train") == [15] * 4
    assert data.counts("test") == [5] * 4
    image = data.select([2]).test_x[0, 0]
    assert (int(image[0, 0]), int(image[31, 31])) == (0, 255)


@pytest.mark.parametrize(
    ("name", "folder", "columns"),
    [
        ("mnist", "mnist", ("image", "label")),
        ("cifar10", "plain_text", ("img", "label")),
        ("cifar100", "cifar100", ("img", "fine_label")),
        ("cifar100", "data", ("image", "label")),
        ("svhn", "cropped_digits", ("image", "label")),
        ("mini-imagenet", "data", ("image", "label")),
    ],
)
def test_parquet_as_on_the_hub(tmp_path: Path, name: str, folder: str, columns: tuple[str, str]) -> None:
    (tmp_path / folder).mkdir()
    rows = [(png(10 * i, 40), i % 2) for i in range(6)]
    for part in ("train", "test"):
        write_parquet(tmp_path / folder / f"{part}-00000-of-00001.parquet", rows, ["x", "y"], columns=columns)
    data = open_dataset(name, tmp_path)
    assert data.shape == DATASETS[name].shape
    assert data.classes == ("x", "y")
    assert data.select([1]).train_x[:, 0, 0, 0].tolist() == [10, 30, 50]


def test_parquet_without_names_has_those_of_the_data_set(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_parquet(tmp_path / f"{part}.parquet", [(png(1), 0), (png(2), 9)], None, columns=("img", "label"))
    assert open_dataset("cifar10", tmp_path).classes == CIFAR10_CLASSES


def test_grey_digits_are_framed_and_get_three_channels_from_every_layout(tmp_path: Path) -> None:
    plain = open_dataset("mnist", write_mnist(tmp_path))
    data = open_dataset("mnist", tmp_path, shape=(3, 32, 32))
    assert data.shape == (3, 32, 32)
    assert (data.name, data.classes, data.counts("test")) == ("mnist", plain.classes, plain.counts("test"))
    small, large = plain.select([4]).train_x, data.select([4]).train_x
    assert torch.equal(large[:, :, 2:30, 2:30], small.repeat(1, 3, 1, 1))
    assert int(large.sum()) == 3 * int(small.sum())  # the frame is black
    letters = write_class_folders(tmp_path / "letters", ["A", "B"], 10)
    assert (
        open_dataset("notmnist", letters, shape=(3, 32, 32)).select([1]).test_x[0, :, 1:3, 16].tolist() == [[0, 19]] * 3
    )


def test_images_that_do_not_fit_the_frame_are_refused() -> None:
    x, y = torch.zeros((2, 3, 4, 4), dtype=torch.uint8), torch.tensor([0, 1])
    data = Dataset("d", x, y, x, y, ("a", "b"))
    assert framed(data, (3, 4, 4)) is data
    for shape in ((1, 4, 4), (3, 3, 4), (2, 4, 4)):
        with pytest.raises(ConfigError, match="cannot be framed"):
            framed(data, shape)


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "digits"])
def test_a_wrong_folder_says_what_was_looked_for_and_how_to_get_it(name: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no images here")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetMissingError) as caught:
        open_dataset(name, tmp_path)
    assert str(tmp_path) in str(caught.value)
    for layout in DATASETS[name].layouts:
        assert layout.looks_for in str(caught.value)
    assert DATASETS[name].how in str(caught.value)
    for place in (tmp_path / "nowhere", tmp_path / "notes.txt"):
        with pytest.raises(DatasetMissingError, match="there is no folder"):
            open_dataset(name, place)


def test_data_that_are_not_said_are_asked_for() -> None:
    with pytest.raises(DatasetMissingError, match=r"cifar10 needs data: say --data FOLDER, or --data hub"):
        open_dataset("cifar10")
    with pytest.raises(DatasetMissingError, match=r"omniglot needs data: say --data FOLDER \(in Python"):
        open_dataset("omniglot")
    with pytest.raises(ConfigError, match="omniglot has no place on the hub"):
        open_dataset("omniglot", HUB)
