"""Data sets through Hugging Face's library `datasets`, the true one, on local folders laid out as on the hub."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from dataset_samples import png, write_class_folders

from narrows.benchmarks.datasets.hub import Hub, from_hub, open_hub
from narrows.benchmarks.datasets.opening import HUB, open_dataset
from narrows.benchmarks.streams import make_stream
from narrows.errors import DataError, DatasetMissingError

CARD = """---
configs:
- config_name: plain_text
  data_files:
  - split: train
    path: plain_text/train-*
  - split: test
    path: plain_text/test-*
---
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory):
    """The library, with a cache of its own and without bars or network."""
    import datasets

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("huggingface"))
        patch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        datasets.disable_progress_bars()
        yield datasets


def rows(library: Any, n: int, image: str = "image", label: str = "label") -> Any:
    """Image i has the value 10 i and the class i modulo 2."""
    features = library.Features({image: library.Image(), label: library.ClassLabel(names=["a", "b"])})
    held = {image: [{"bytes": png(10 * i), "path": None} for i in range(n)], label: [i % 2 for i in range(n)]}
    return library.Dataset.from_dict(held, features=features)


@pytest.fixture
def repository(library: Any, tmp_path: Path) -> Path:
    """A repository as CIFAR-10's: a configuration with a folder of its own, images in the column img."""
    (tmp_path / "plain_text").mkdir()
    (tmp_path / "README.md").write_text(CARD)
    for part, n in (("train", 6), ("test", 4)):
        rows(library, n, "img").to_parquet(tmp_path / "plain_text" / f"{part}-00000-of-00001.parquet")
    return tmp_path


def test_a_data_set_of_the_hub_is_that_of_its_files(
    library: Any, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = library.load_dataset
    monkeypatch.setattr(library, "load_dataset", lambda _, *said, **more: load(str(repository), *said, **more))
    hub, files = open_dataset("cifar10", HUB), open_dataset("cifar10", repository)
    assert hub.classes == files.classes == ("a", "b")
    assert hub.counts("train") == [3, 3]
    a, b = hub.select([1, 0]), files.select([1, 0])
    assert a.train_x[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40, 50]
    assert a.train_y.tolist() == [1, 0, 1, 0, 1, 0]
    for field in ("train_x", "train_y", "test_x", "test_y"):
        assert torch.equal(getattr(a, field), getattr(b, field))


def test_a_stream_from_the_hub(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(name: str, config: str | None, *, split: str) -> Any:
        asked.append((name, config, split))
        return rows(library, 6)

    monkeypatch.setattr(library, "load_dataset", load_dataset)
    stream = make_stream("tiny-imagenet", data=Path("hub"), tasks=1, classes=2, image_size=16)
    assert stream.tasks[0].train_x.shape == (6, 3, 16, 16)
    assert asked == [("zh-plus/tiny-imagenet", None, "train"), ("zh-plus/tiny-imagenet", None, "valid")]


def test_images_that_are_files_are_read_within_the_data_sets_folder_only(library: Any, tmp_path: Path) -> None:
    write_class_folders(tmp_path / "train", ["a", "b"], 2)
    write_class_folders(tmp_path / "test", ["a", "b"], 1)
    loaded = library.load_dataset(str(tmp_path))
    parts = {"train": loaded["train"], "test": loaded["test"]}
    with pytest.raises(DataError, match="leads to a file of this machine that is not the data set's"):
        from_hub("x", Hub("x"), parts, 28, 1).select([0])
    source = from_hub("x", Hub("x"), parts, 28, 1, [tmp_path])
    assert sorted(source.select([0, 1]).train_x[:, 0, 0, 0].tolist()) == [0, 1, 10, 11]
    (tmp_path / "train" / "a" / "0.png").unlink()
    with pytest.raises(DataError, match=r"train part, row \d, counted from 0: the image cannot be read: .*0\.png"):
        source.select([0])


def test_other_columns_and_labels_are_refused(library: Any) -> None:
    good = rows(library, 4)
    no_names = good.cast_column("label", library.Value("int64"))
    assert from_hub("x", Hub("x"), {"train": no_names, "test": no_names}, 28, 1).classes == ("class 0", "class 1")
    words = good.remove_columns("label").add_column("label", ["a", "b", "a", "b"])
    holes = good.remove_columns("label").add_column("label", [0, 1, None, 1])
    below = good.remove_columns("label").add_column("label", [0, 1, -1, 1])
    for part, said in (
        (good.rename_column("image", "img"), "needs images in 'image'"),
        (good.remove_columns("label"), "labels in 'label'"),
        (words, "whole numbers"),
        (holes, "whole numbers"),
        (below, r"must lie in 0\.\.1"),
    ):
        with pytest.raises(DataError, match=said):
            from_hub("x", Hub("x"), {"train": good, "test": part}, 28, 1)


def test_what_the_hub_does_not_give_is_said(library: Any, tmp_path: Path) -> None:  # noqa: ARG001
    with pytest.raises(DatasetMissingError, match=r"nowhere \(split train\) cannot be had .* --data FOLDER"):
        open_hub("x", Hub(str(tmp_path / "nowhere")), 28)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r'needs datasets: pip install "narrows\[hub\]"'):
        make_stream("5-datasets", data=HUB)


def test_images_that_stay_in_the_librarys_file_do_not_count_as_held(
    library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = png(7) + bytes(1 << 20)  # what follows a PNG's end is not looked at
    features = library.Features({"image": library.Image(), "label": library.ClassLabel(names=["a", "b"])})
    held = {"image": [{"bytes": large, "path": None}] * 2, "label": [0, 1]}
    part = library.Dataset.from_dict(held, features=features)
    monkeypatch.setenv("NARROWS_DATA_LIMIT", "1")  # MiB
    source = from_hub("x", Hub("x"), {"train": part, "test": part}, 28, 1)
    assert source.select([1]).train_x.unique().tolist() == [7]
