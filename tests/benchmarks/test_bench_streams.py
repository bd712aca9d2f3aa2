"""Streams, and the transformations they apply."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import torch
from dataset_samples import (
    png,
    write_cifar100,
    write_class_folders,
    write_five,
    write_mnist,
    write_omniglot,
    write_parquet,
)
from PIL import Image

from narrows.benchmarks import task_data
from narrows.benchmarks.datasets.cifar import CIFAR100_CLASSES, CIFAR100_SUPERCLASSES
from narrows.benchmarks.streams import make_stream, stream_names
from narrows.benchmarks.transformations import angles, permutation, permute, rotate
from narrows.errors import ConfigError, DataError, DatasetMissingError, UnknownNameError
from narrows.networks import make_network


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mnist(tmp_path_factory.mktemp("mnist"), zipped=True, n=40)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "val" / "images").mkdir(parents=True)
    lines = []
    for c in range(6):
        out = io.BytesIO()
        Image.new("RGB", (64, 64), (40 * c, 40 * c, 40 * c)).save(out, "JPEG")
        place = folder / "train" / f"n{c}" / "images"
        place.mkdir(parents=True)
        for i in range(3):
            (place / f"{i}.JPEG").write_bytes(out.getvalue())
        (folder / "val" / "images" / f"{c}.JPEG").write_bytes(out.getvalue())
        lines.append(f"{c}.JPEG\tn{c}\t0\t0\t9\t9\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, mnist: Path, photographs: Path) -> dict[str, Path]:
    """Small data of every data set."""
    root = tmp_path_factory.mktemp("data")
    for part in ("train", "test"):
        write_class_folders(root / "mini" / part, "abcdef", 2)
    return {
        "mnist": mnist,
        "fashion-mnist": mnist,
        "tiny-imagenet": photographs,
        "mini-imagenet": root / "mini",
        "cifar100": write_cifar100(root / "cifar100"),
        "omniglot": write_omniglot(root / "omniglot", 8),
        "cifar10, mnist, svhn, fashion-mnist, notmnist": write_five(root / "five"),
    }


FEW = {"tasks": 2, "classes": 2}


@pytest.mark.parametrize("name", list(stream_names()))
def test_every_stream_is_whole_deterministic_and_recorded(name: str, folders: dict[str, Path]) -> None:
    spec = stream_names()[name]
    data = None if spec.data == "none" else folders[spec.dataset]
    options = FEW if spec.datasets[0] in ("tiny-imagenet", "mini-imagenet", "omniglot") else {}
    stream, again = (make_stream(name, data=data, seed=3, **options) for _ in range(2))
    assert stream.name == name
    assert len(stream.tasks) == options.get("tasks", stream_names()[name].tasks)
    assert json.loads(json.dumps(stream.description)) == stream.description == again.description
    names = [task.name for task in stream.tasks]
    assert len(set(names)) == len(names)
    for task, same, recorded in zip(stream.tasks, again.tasks, stream.description["tasks"], strict=True):
        assert recorded == {
            "name": task.name,
            "classes": list(task.classes),
            "train": len(task.train_x),
            "test": len(task.test_x),
        }
        assert torch.equal(task.train_x, same.train_x)
        assert torch.equal(task.test_y, same.test_y)
        assert task.train_x.shape[1:] == stream.input_shape
        for y in (task.train_y, task.test_y):
            assert sorted(set(y.tolist())) == list(range(len(task.classes)))
    with torch.device("meta"):
        network = make_network(stream.network, stream.input_shape, 3)
        assert network(torch.zeros(2, *stream.input_shape)).shape == (2, 3)


SHAPES = {
    "permuted-mnist": (10, None, "mlp-100", None),
    "rotated-mnist": (10, None, "mlp-256", None),
    "5-datasets": (5, 10, "resnet18-reduced", None),
    "omniglot-rotation": (100, 12, "lenet-large", 32),
    "cifar100-10x10": (10, 10, "alexnet", None),
    "cifar100-20x5": (20, 5, "alexnet", None),
    "cifar100-superclass": (20, 5, "lenet-wide", None),
    "tiny-imagenet": (5, 10, "conv", 32),
    "tiny-imagenet-10x20": (10, 20, "resnet18", 64),
    "tiny-imagenet-20x10": (20, 10, "resnet18", 64),
    "tiny-imagenet-40x5": (40, 5, "conv4", 64),
    "mini-imagenet": (10, 10, "resnet18", 84),
}


@pytest.mark.parametrize("name", list(SHAPES))
def test_the_papers_streams_have_their_shapes(name: str) -> None:
    spec = stream_names()[name]
    assert (spec.tasks, spec.classes, spec.network, spec.image_size) == SHAPES[name]


def test_superclasses_are_tasks_in_a_seeded_order(folders: dict[str, Path]) -> None:
    stream = make_stream("cifar100-superclass", data=folders["cifar100"])
    tasks = [tuple(task["classes"]) for task in stream.description["tasks"]]
    assert sorted(tasks) == sorted(CIFAR100_SUPERCLASSES.values())
    assert [CIFAR100_CLASSES[label] for label in stream.description["class_order"]] == [
        c for task in tasks for c in task
    ]
    other = make_stream("cifar100-superclass", data=folders["cifar100"], seed=1, tasks=3)
    assert [tuple(task.classes) for task in other.tasks] != tasks[:3]
    # The red of an image is 2 times its label.
    labels = stream.tasks[4].test_x[:, 0, 0, 0] // 2
    assert tuple(CIFAR100_CLASSES[label] for label in labels[stream.tasks[4].test_y.argsort()]) == tasks[4]
    with pytest.raises(DataError, match="there are 20 superclasses"):
        make_stream("cifar100-superclass", data=folders["cifar100"], tasks=21)
    with pytest.raises(ConfigError, match="does not take the option classes"):
        make_stream("cifar100-superclass", data=folders["cifar100"], classes=5)


def test_superclasses_are_found_by_the_hubs_names_and_only_in_cifar100(tmp_path: Path) -> None:
    names = ["cra" if name == "crab" else name for name in CIFAR100_CLASSES]
    for part in ("train", "test"):
        path = tmp_path / f"{part}.parquet"
        write_parquet(path, [(png(i), i) for i in range(100)], names, columns=("img", "fine_label"))
    made = make_stream("cifar100-superclass", data=tmp_path)
    assert len(made.tasks) == 20
    for part in ("train", "test"):
        path = tmp_path / f"{part}.parquet"
        write_parquet(path, [(png(i), i) for i in range(99)], names[:99], columns=("img", "fine_label"))
    with pytest.raises(DataError, match=r"the data have no class 'worm' \(1 are missing\)"):
        make_stream("cifar100-superclass", data=tmp_path)


def test_five_datasets_are_one_a_task_in_the_papers_order(folders: dict[str, Path], tmp_path: Path) -> None:
    data = folders[stream_names()["5-datasets"].dataset]
    stream = make_stream("5-datasets", data=data, seed=7)
    assert [task.name for task in stream.tasks] == ["cifar10", "mnist", "svhn", "fashion-mnist", "notmnist"]
    assert {task.train_x.shape[1:] for task in stream.tasks} == {(3, 32, 32)}
    assert all(len(task.classes) == 10 for task in stream.tasks)
    assert len(make_stream("5-datasets", data=data, tasks=2).tasks) == 2
    with pytest.raises(ConfigError, match="has 5 tasks, one for each data set, and not 6"):
        make_stream("5-datasets", data=data, tasks=6)
    with pytest.raises(DatasetMissingError, match=r"5-datasets needs data: say --data FOLDER, where it holds a folder"):
        make_stream("5-datasets")
    (tmp_path / "cifar10").symlink_to(data / "cifar10")
    with pytest.raises(DatasetMissingError, match=r"no folder .*mnist; .* mnist, svhn, fashion-mnist, notmnist"):
        make_stream("5-datasets", data=tmp_path)


def test_omniglot_rotation_has_each_drawing_in_its_four_orientations(folders: dict[str, Path]) -> None:
    stream = make_stream("omniglot-rotation", data=folders["omniglot"], tasks=2, classes=3)
    task = stream.tasks[0]
    assert len(task.train_x) == 4 * 3 * 3  # three of the four drawings
    assert len(task.test_x) == 4 * 3
    assert torch.equal(task.train_x[9:18], torch.rot90(task.train_x[:9], 1, (2, 3)))
    assert torch.equal(task.train_x[27:], torch.rot90(task.train_x[:9], 3, (2, 3)))
    assert torch.equal(task.train_y, task.train_y[:9].repeat(4))
    corners = [(0, 0), (31, 0), (31, 31), (0, 31)]  # counter-clockwise
    black = [int(image[0, y, x]) == 0 for image, (y, x) in zip(task.test_x[::3], corners, strict=True)]
    assert black == [True] * 4
    with pytest.raises(DataError, match="100 tasks of 12 classes need 1200 classes, and the data have 8"):
        make_stream("omniglot-rotation", data=folders["omniglot"])


def test_split_streams_have_disjoint_classes_in_a_seeded_order() -> None:
    stream = make_stream("split-digits")
    classes = [name for task in stream.tasks for name in task.classes]
    assert sorted(classes) == [str(i) for i in range(10)]
    assert [int(name) for name in classes] == stream.description["class_order"]
    assert stream.description["class_order"] != make_stream("split-digits", seed=1).description["class_order"]
    wide = make_stream("split-digits", tasks=2, classes=3)
    assert [len(task.classes) for task in wide.tasks] == [3, 3]
    assert [name for task in wide.tasks for name in task.classes] == classes[:6]


def test_permuted_tasks_all_differ_also_the_first_from_the_data() -> None:
    stream = make_stream("permuted-digits", tasks=3)
    plain = make_stream("rotated-digits", tasks=1).tasks[0]
    views = [plain.train_x, *(task.train_x for task in stream.tasks)]
    for i, a in enumerate(views):
        assert torch.equal(a.flatten(1).sort(1)[0], plain.train_x.flatten(1).sort(1)[0])
        assert not any(torch.equal(a, b) for b in views[:i])
    assert not torch.equal(make_stream("permuted-digits", seed=1).tasks[0].test_x[:9], stream.tasks[1].test_x[:9])


def test_a_permutation_is_a_bijection_shared_by_all_images_and_channels() -> None:
    order = permutation(0, 4, 20)
    assert sorted(order.tolist()) == list(range(20))
    x = torch.arange(120, dtype=torch.uint8).reshape(2, 3, 4, 5)
    assert torch.equal(permute(x, order).flatten(2), x.flatten(2)[..., order])
    assert torch.equal(permute(permute(x, order), order.argsort()), x)


def test_rotation() -> None:
    x = torch.randint(0, 256, (3, 2, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert rotate(x, 0.0) is x
    assert rotate(x, -360.0) is x
    for degrees, turns in ((90.0, 1), (180.0, 2), (-90.0, -1)):
        assert torch.equal(rotate(x, degrees), torch.rot90(x, turns, (2, 3)))
    wide = torch.zeros((1, 1, 9, 17), dtype=torch.uint8)
    wide[0, 0, 4, 12] = 200  # four right of the centre goes to four above it
    assert rotate(wide, 90.0)[0, 0, 0, 8] == 200
    assert int(rotate(x, 45.0)[:, :, 0, 0].max()) == 0
    assert angles(10) == [20.0 * i for i in range(10)]
    assert angles(1) == [0.0]


def test_image_size_and_laziness(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = make_stream("tiny-imagenet", data=photographs, tasks=3, classes=2, image_size=24)
    assert stream.input_shape == (3, 24, 24)
    assert stream.augment
    assert stream.tasks[0] is stream.tasks[0]
    assert stream.tasks[-1].name == "split-03"
    assert [task.name for task in stream.tasks[:2]] == ["split-01", "split-02"]
    with pytest.raises(IndexError):
        stream.tasks[3]
    monkeypatch.setattr(task_data, "_CACHE_BYTES", 0)
    bounded = make_stream("tiny-imagenet", data=photographs, tasks=3, classes=2)
    first = bounded.tasks[0]
    assert bounded.tasks[0] is first
    assert bounded.tasks[1] is not first
    assert bounded.tasks[0] is not first
    assert torch.equal(bounded.tasks[0].train_x, first.train_x)


def test_wrong_options_are_refused(mnist: Path, photographs: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'split-digits'"):
        make_stream("split-digit")
    with pytest.raises(UnknownNameError, match="there are"):
        make_stream("zzzzzz")
    for options in ({"image_size": 8}, {"data": mnist}, {"tasks": 0}, {"classes": 0}, {"seed": -1}):
        with pytest.raises(ConfigError, match=next(iter(options))):
            make_stream("split-digits", **options)
    with pytest.raises(ConfigError, match="classes"):
        make_stream("permuted-digits", classes=2)
    with pytest.raises(DataError, match="need 12 classes, and the data have 10"):
        make_stream("split-digits", tasks=6)
    with pytest.raises(DataError, match="need 50 classes, and the data have 6"):
        make_stream("tiny-imagenet", data=photographs)
    with pytest.raises(DatasetMissingError, match="tiny-imagenet needs data"):
        make_stream("tiny-imagenet")
    assert stream_names()["tiny-imagenet"].needs_data
    assert not stream_names()["split-fashion-mnist"].needs_data


def test_a_class_without_test_examples_is_named(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "train").symlink_to(photographs / "train")
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "val_annotations.txt").write_text("0.JPEG\tn0\n")
    with pytest.raises(DataError, match="has no test examples"):
        make_stream("tiny-imagenet", data=tmp_path, tasks=1, classes=6)
