"""Folders of photos as people have them: every image is learned from, and every other file is counted and named."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
import torch
from data_samples import class_folders, png
from torch import nn

from narrows.data import DataOptions, read_training, read_with
from narrows.errors import DataError
from narrows.production.learning_data import read_material
from narrows.training import Training


def test_other_files_are_counted_and_named_by_their_endings(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    for name in ("cat/notes.txt", "cat/more.TXT", "dog/IMG_1.NEF", "dog/README", "labels.csv"):
        (folder / name).write_text("no image")
    (said,) = read_training(folder)[1].notes
    assert said.startswith("5 files were left out, as no image that can be read: 2 .txt (as cat/more.TXT), ")
    assert all(part in said for part in ("1 .nef (as dog/IMG_1.NEF)", "1 without an ending (as dog/README)", "1 .csv"))
    schema, _ = read_training(folder)
    for targets in ("required", "ignored", "optional"):
        assert read_with(schema, folder, targets=targets).notes == (said,)  # type: ignore[arg-type]


def test_what_systems_leave_behind_is_passed_over(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    for name in (".DS_Store", "cat/._0.png", "cat/Thumbs.db", "dog/desktop.ini"):
        (folder / name).write_bytes(b"")
    for name in ("cat/.ipynb_checkpoints", "dog/@eaDir", "__MACOSX", ".git"):
        (folder / name).mkdir()
        (folder / name / "0.png").write_bytes(png())
    examples = read_training(folder)[1]
    assert len(examples) == 6
    assert examples.notes == ()


def test_linked_folders_and_files_are_read(tmp_path: Path) -> None:
    there = class_folders(tmp_path / "there")
    folder = tmp_path / "links"
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "more").symlink_to(there / "cat")
    (folder / "cat" / "0.png").symlink_to(there / "dog" / "0.png")
    (folder / "dog").symlink_to(there / "dog")
    examples = read_training(folder)[1]
    assert examples.ids == (
        *("cat/0.png", "cat/more/0.png", "cat/more/1.png", "cat/more/2.png"),
        *("dog/0.png", "dog/1.png", "dog/2.png"),
    )
    assert examples.notes == (
        "3 of 7 images lie in folders below that of their class, as cat/more/0.png, which counts as 'cat'",
        "2 of 7 images are in more than one class, pixel for pixel: cat/0.png in 'cat' is dog/0.png in 'dog'",
    )


def test_a_link_that_leads_back_is_not_followed_and_said(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "d")
    (folder / "cat" / "all").symlink_to(folder)
    (folder / "cat" / "self").symlink_to(folder / "cat")
    (folder / "cat" / "round").symlink_to(folder / "cat" / "round")
    examples = read_training(folder)[1]
    assert len(examples) == 6
    said, other = examples.notes
    assert said == "1 file was left out, as no image that can be read: 1 without an ending (as cat/round)"
    assert other == "links that lead back, or to a folder read already, were not followed: cat/all, cat/self"


def test_a_link_to_nowhere_is_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    (folder / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match=r"cat/gone\.png: the file cannot be read: .*No such file"):
        read_training(folder)


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    os.mkfifo(folder / "cat" / "pipe.png")
    assert read_training(folder)[1].notes[0].endswith("1 .png (as cat/pipe.png)")


def test_all_classes_without_an_image_are_named_at_once(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    (folder / "bird").mkdir()
    (folder / "cow").mkdir()
    (folder / "cow" / "1.heic.txt").write_text("")
    with pytest.raises(DataError, match=r"bird, .*cow: 2 classes with no example.* read as images: 1 \.txt \(as cow/1"):
        read_training(folder)


def test_a_folder_without_images_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.svg").write_text("")
    with pytest.raises(DataError, match=r"has no data: .*There are 1 \.svg \(as cat/a\.svg\)"):
        read_training(tmp_path)


def test_composed_and_decomposed_names_are_one_class(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
    folder = class_folders(tmp_path / "d", (composed, "tea"))
    schema, _ = read_training(folder)
    new = class_folders(tmp_path / "new", (decomposed, "tea"))
    examples = read_with(schema, new)
    assert examples.y is not None
    assert examples.y.tolist() == [0, 0, 0, 1, 1, 1]
    (folder / decomposed).mkdir(exist_ok=True)
    if len(list(folder.iterdir())) == 3:  # not where the file system takes them for one, as on a Mac
        (folder / decomposed / "9.png").write_bytes(png((99, 0, 0)))
        schema, examples = read_training(folder)
        assert schema.target.names == (composed, "tea")
        assert examples.notes == (
            "2 folders are one class, 'Café': their names are alike but for how accents and spaces are stored",
        )


def test_classes_that_differ_only_in_case_are_noted(tmp_path: Path) -> None:
    folder = class_folders(tmp_path, ("Cat", "cat", "dog"))
    if len(list(folder.iterdir())) == 3:
        assert read_training(folder)[1].notes == (
            "target 'class': 'Cat' (3 rows), 'cat' (3 rows) are 2 classes; if they are one, spell them alike",
        )


def test_a_photo_in_two_classes_is_noted(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    (folder / "dog" / "0.png").write_bytes((folder / "cat" / "1.png").read_bytes())
    assert read_training(folder)[1].notes == (
        "2 of 6 images are in more than one class, pixel for pixel: cat/1.png in 'cat' is dog/0.png in 'dog'",
    )


def test_a_photo_that_is_learned_from_and_measured_on_is_noted(tmp_path: Path) -> None:
    train, valid = class_folders(tmp_path / "train"), class_folders(tmp_path / "valid")
    for path in valid.glob("*/[12].png"):
        path.write_bytes(png((200, 0, int(path.stem))))
    network = nn.Linear(1, 1)
    said = (
        "validation: 2 of 6 images are also among those to learn from, pixel for pixel, and tell nothing of new ones: "
        "cat/0.png is cat/0.png"
    )
    assert read_material(network, train, valid, DataOptions(), Training(1, batch_size=2), epochs=1, seed=0).notes == (
        said,
    )
    for path in train.glob("cat/*.png"):
        path.write_bytes(png((1, 1, 1)))
    held = read_material(
        network, train, None, DataOptions(holdout=0.4), Training(1, batch_size=2), epochs=1, seed=0
    ).notes
    assert len(held) == 1
    assert "1 of 2 images are also among those to learn from" in held[0]
    rows = read_material(network, train, tmp_path / "valid", DataOptions(), Training(1, batch_size=2), epochs=1, seed=0)
    assert torch.equal(rows.train.x, read_training(train)[1].x)  # noted, and left as they are
