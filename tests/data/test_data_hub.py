"""Data sets of the hub, through the true library `datasets` without a network."""

from __future__ import annotations

import socket
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from data_samples import png

from narrows.benchmarks.datasets.opening import HUB, open_dataset
from narrows.data import Schema, read_training, read_with
from narrows.data.sources.own import hub_folders
from narrows.errors import DataError, DatasetMissingError


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    return datasets


def test_images_with_named_classes(library: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "hub" / "datasets--owner--animals"
    own.mkdir(parents=True)
    (own / "3.png").write_bytes(png((3, 0, 0)))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    features = library.Features({"image": library.Image(), "label": library.ClassLabel(names=["dog", "cat"])})
    images = [{"bytes": png((i, 0, 0)), "path": None} for i in range(3)]
    images.append({"bytes": None, "path": str(own / "3.png")})
    held = library.Dataset.from_dict({"image": images, "label": [1, 0, 1, 0]}, features=features)
    asked = []
    monkeypatch.setattr(library, "load_dataset", lambda name, _, split: asked.append((name, split)) or held)
    schema, examples = read_training("hf:owner/animals")
    assert schema.target.names == ("dog", "cat")
    assert examples.x[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert examples.y is not None
    assert examples.y.tolist() == [1, 0, 1, 0]
    assert read_with(schema, "hf:owner/animals:test").fingerprint == examples.fingerprint
    assert asked == [("owner/animals", "train"), ("owner/animals", "test")]
    held = held.select([2, 0]).cast_column("label", library.Value("int64"))
    assert read_with(schema, "hf:owner/animals", targets="ignored").x[:, 0, 0, 0].tolist() == [2, 0]


def test_a_path_that_leads_out_of_the_data_set_is_refused(
    library: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own, others = tmp_path / "hub" / "datasets--owner--animals", tmp_path / "hub" / "datasets--owner--private"
    for folder in (own, others):
        folder.mkdir(parents=True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    (others / "0.png").write_bytes(png((3, 0, 0)))
    (own / "link.png").symlink_to(others / "0.png")
    features = library.Features({"image": library.Image(), "label": library.Value("string")})
    for path in (others / "0.png", own / "link.png", own / ".." / others.name / "0.png"):
        images = [{"bytes": png(), "path": None}, {"bytes": None, "path": str(path)}]
        held = library.Dataset.from_dict({"image": images, "label": ["a", "b"]}, features=features)
        monkeypatch.setattr(library, "load_dataset", lambda name, _, split, held=held: held)  # noqa: ARG005
        with pytest.raises(DataError, match="leads to a file of this machine that is not the data set's"):
            read_training("hf:owner/animals")


def test_what_was_in_an_archive_of_the_data_set_is_its_own(
    library: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(library.config, "EXTRACTED_DATASETS_PATH", tmp_path / "extracted")
    archive = tmp_path / "hub" / "datasets--owner--animals" / "snapshots" / "1" / "train.zip"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("0.png", png((3, 0, 0)))
    place = Path(library.DownloadManager().extract(str(archive)))
    assert place.parent == tmp_path / "extracted"
    assert any((place / "0.png").is_relative_to(folder) for folder in hub_folders("owner/animals"))


def test_what_the_library_would_read_from_this_machine_is_no_data_set_of_the_hub(
    library: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("it was asked")

    monkeypatch.setattr(library, "load_dataset", refuse)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "animals").mkdir(parents=True)
    with pytest.raises(DataError, match=r"hf:owner/animals is ambiguous: .*name it as '\./owner/animals'"):
        read_training("hf:owner/animals")
    with pytest.raises(DataError, match="hf:imagefolder is no data set of the hub"):
        read_training("hf:imagefolder")
    (tmp_path / "zh-plus" / "tiny-imagenet").mkdir(parents=True)
    with pytest.raises(DataError, match="hf:zh-plus/tiny-imagenet is ambiguous"):
        open_dataset("tiny-imagenet", HUB)


def test_a_table_with_lists_of_named_labels(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    features = library.Features(
        {"size": library.Value("float32"), "label": library.List(library.ClassLabel(names=["red", "big", "odd"]))}
    )
    held = library.Dataset.from_dict({"size": [1.0, 2.0, 3.0], "label": [[0, 1], [], [1]]}, features=features)
    monkeypatch.setattr(library, "load_dataset", lambda name, _, split: held)  # noqa: ARG005
    schema, examples = read_training("hf:owner/things")
    assert schema.target.names == ("red", "big")
    assert examples.y is not None
    assert examples.y.tolist() == [[1, 1], [0, 0], [0, 1]]


def test_named_numbers_are_categories(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = library.ClassLabel(names=["red", "blue"])
    features = library.Features({"colour": kind, "label": library.Value("string")})
    held = library.Dataset.from_dict({"colour": [1, 0, None, -1], "label": ["u", "v", "u", "v"]}, features=features)
    monkeypatch.setattr(library, "load_dataset", lambda name, _, split: held)  # noqa: ARG005
    schema, examples = read_training("hf:owner/things")
    assert examples.x.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 0, 0]]
    assert Schema.from_json(schema.to_json()) == schema


def test_what_the_hub_does_not_give_is_said(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: str, **__: str) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(library, "load_dataset", refuse)
    with pytest.raises(DatasetMissingError, match=r"From the hub owner/trian \(split train\) .*no network"):
        read_training("hf:owner/trian")
    with pytest.raises(DataError, match="is not an id of the hub"):
        read_training("hf:../secret")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r'needs datasets: pip install "narrows\[hub\]"'):
        read_training("hf:owner/name")


def test_only_hf_goes_out_and_a_mistyped_path_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []

    def refuse(*said: Any, **_: Any) -> None:
        tried.append(said)
        raise OSError("no network in this test")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "sales.csv").touch()
    for name, near in (("data/trian", "train"), ("dta/train", "data"), ("data/sale.csv", "sales.csv"), ("sales", None)):
        with pytest.raises(DatasetMissingError, match=rf"no file or folder '{name}'\.") as caught:
            read_training(name)
        assert (f"did you mean {near!r}?" in str(caught.value)) is (near is not None)
    with pytest.raises(DatasetMissingError, match=r"data set of the hub \(hf:OWNER/NAME\)"):
        read_training("owner/name:test")
    assert tried == []
