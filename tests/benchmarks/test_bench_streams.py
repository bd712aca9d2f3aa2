"""Streams, and the transformations they apply."""

from __future__ import annotations

import gzip
import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from narrows.benchmarks import task_data
from narrows.benchmarks.networks import make_network
from narrows.benchmarks.streams import make_stream, stream_names
from narrows.benchmarks.transformations import angles, permutation, permute, rotate
from narrows.errors import ConfigError, DataError, DatasetMissingError, UnknownNameError


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mnist")
    for prefix, n in (("train", 40), ("t10k", 20)):
        x = np.random.default_rng(n).integers(0, 256, (n, 28, 28), dtype=np.uint8)
        for kind, values in (("images", x), ("labels", np.arange(n, dtype=np.uint8) % 10)):
            head = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
            path = folder / f"{prefix}-{kind}-idx{values.ndim}-ubyte.gz"
            path.write_bytes(gzip.compress(head + values.tobytes()))
    return folder


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


def folder_for(name: str, mnist: Path, photographs: Path) -> Path | None:
    if stream_names()[name].data == "none":
        return None
    return photographs if name == "tiny-imagenet" else mnist


@pytest.mark.parametrize("name", list(stream_names()))
def test_every_stream_is_whole_deterministic_and_recorded(name: str, mnist: Path, photographs: Path) -> None:
    data = folder_for(name, mnist, photographs)
    options = {"tasks": 2, "classes": 2} if name == "tiny-imagenet" else {}
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
    network = make_network(stream.network, stream.input_shape, 3)
    assert network(torch.zeros(2, *stream.input_shape)).shape == (2, 3)


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
