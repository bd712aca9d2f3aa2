"""Images from folders: classes by folder, one size, and what happens to those that do not fit."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from data_samples import class_folders, png
from PIL import Image

from narrows.data import DataOptions, ImageInputs, make_batches, read_training, read_with
from narrows.data.decoding import decode
from narrows.errors import DataError, DatasetMissingError


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    schema, examples = read_training(str(class_folders(tmp_path / "d")))
    assert schema.target.names == ("cat", "dog")
    assert schema.target.kind == "classification"
    assert examples.ids == ("cat/0.png", "cat/1.png", "cat/2.png", "dog/0.png", "dog/1.png", "dog/2.png")
    assert examples.x.dtype == torch.uint8
    assert examples.x[:, 0, 0, 0].tolist() == [0, 1, 2, 10, 11, 12]
    assert examples.y is not None
    assert examples.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert examples.shape == schema.shape == (3, 6, 6)
    assert examples.notes == examples.skipped == ()
    assert "a folder for each class" in schema.summary()


def test_batches_have_mean_zero_and_spread_one_by_the_training_data(tmp_path: Path) -> None:
    schema, examples = read_training(class_folders(tmp_path / "d"))
    assert isinstance(schema.inputs, ImageInputs)
    red = examples.x[:, 0].double() / 255
    assert schema.inputs.mean[0] == pytest.approx(red.mean().item(), abs=1e-12)
    assert schema.inputs.std[0] == pytest.approx(red.std(correction=0).item(), abs=1e-12)
    assert schema.inputs.std[1:] == (1.0, 1.0)  # a channel without any spread
    x, y = next(iter(make_batches(schema, examples, 6, shuffle=False)))
    assert x[:, 0].mean().item() == pytest.approx(0, abs=1e-6)
    assert x[:, 0].std(correction=0).item() == pytest.approx(1, abs=1e-6)
    assert y.tolist() == [0, 0, 0, 1, 1, 1]


def test_the_same_images_read_again_are_the_same(tmp_path: Path) -> None:
    schema, examples = read_training(class_folders(tmp_path / "d"))
    again = read_with(schema, tmp_path / "d")
    assert torch.equal(again.x, examples.x)
    assert again.fingerprint == examples.fingerprint
    (tmp_path / "d" / "dog" / "1.png").write_bytes(png((99, 0, 0)))
    assert read_with(schema, tmp_path / "d").fingerprint != examples.fingerprint


def test_class_folders_named_by_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    schema, _ = read_training(class_folders(tmp_path / "d", ("10", "9", "1"), 1))
    assert schema.target.names == ("1", "9", "10")
    schema, examples = read_training(tmp_path / "d", DataOptions(classes=("9", "10", "1")))
    assert schema.target.names == ("9", "10", "1")
    assert examples.y is not None
    assert dict(zip(examples.ids, examples.y.tolist(), strict=True)) == {"1/0.png": 2, "10/0.png": 1, "9/0.png": 0}


def test_unlabelled_images_are_for_predicting(tmp_path: Path) -> None:
    schema, _ = read_training(class_folders(tmp_path / "d"))
    new = tmp_path / "new"
    new.mkdir()
    for name in ("b.png", "a.png"):
        (new / name).write_bytes(png((50, 0, 0)))
    for targets in ("ignored", "optional"):
        examples = read_with(schema, new, targets=targets)  # type: ignore[arg-type]
        assert examples.y is None
        assert examples.ids == ("a.png", "b.png")
    rows = [y.tolist() for _, y in make_batches(schema, examples, 1, shuffle=False)]
    assert rows == [[0], [1]]
    with pytest.raises(DataError, match=r"new: 2 images, as a\.png, are in no class"):
        read_with(schema, new)
    with pytest.raises(DataError, match="in no class"):
        read_training(new)


def test_folders_of_classes_may_be_predicted_too(tmp_path: Path) -> None:
    schema, examples = read_training(class_folders(tmp_path / "d"))
    ignored = read_with(schema, tmp_path / "d", targets="ignored")
    assert ignored.y is None
    assert torch.equal(ignored.x, examples.x)
    optional = read_with(schema, tmp_path / "d", targets="optional")
    assert optional.y is not None


def test_a_corrupt_image_is_named_and_refused_or_skipped(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "d", n=5)
    whole = png((9, 9, 9), (40, 40))
    for i, broken in enumerate((b"", b"no image", whole[: len(whole) // 2])):
        (folder / "cat" / f"{i}.png").write_bytes(broken)
    with pytest.raises(DataError, match=r"(?s)3 of 10 examples cannot be used.*bad='skip'.*cat/0\.png: .*cat/1\.png"):
        read_training(folder, DataOptions(image_size=6))
    schema, examples = read_training(folder, DataOptions(image_size=6, bad="skip"))
    assert [row.id for row in examples.skipped] == ["cat/0.png", "cat/1.png", "cat/2.png"]
    assert "cannot be decoded" in examples.skipped[0].reason
    assert len(examples) == 7
    assert examples.ids[0] == "cat/3.png"
    assert examples.x[:, 0, 0, 0].tolist() == [3, 4, 10, 11, 12, 13, 14]
    assert "3 of 10 examples were left out (cat/0.png: " in examples.notes[-1]
    clean = tmp_path / "clean"
    for row in examples.ids:
        (clean / row).parent.mkdir(parents=True, exist_ok=True)
        (clean / row).write_bytes((folder / row).read_bytes())
    assert read_training(clean, DataOptions(image_size=6))[0] == schema  # nothing is fitted to what was left out


def test_many_corrupt_images_are_counted_and_the_first_named(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "d", n=55)
    for path in folder.glob("cat/*.png"):
        path.write_bytes(b"")
    with pytest.raises(
        DataError, match=r"(?s)55 of 110 examples.*cat/0\.png, cat/1\.png, .*file is empty.*and 5 more$"
    ):
        read_training(folder)
    with pytest.raises(DataError, match="all examples are of one class, 'dog'"):
        read_training(folder, DataOptions(bad="skip"))
    for path in folder.glob("dog/*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="110 of 110 examples cannot be used"):
        read_training(folder, DataOptions(bad="skip"))
    with pytest.raises(DataError, match="110 of 110 examples cannot be used"):
        read_training(folder, DataOptions(bad="skip", image_size=4, channels=1))


def test_images_of_different_sizes_need_a_size(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "d")
    (folder / "dog" / "1.png").write_bytes(png((11, 0, 0), (8, 4)))
    with pytest.raises(DataError, match=r"2 different sizes: cat/0\.png has 6 x 6 .* dog/1\.png has 4 x 8.*image_size"):
        read_training(folder)
    _, examples = read_training(folder, DataOptions(image_size=6))
    assert examples.shape == (3, 6, 6)
    assert examples.notes == (
        "1 of 6 images were resized to 6 x 6 pixels",
        "1 of 6 images were stretched for it, as their sides are in another ratio",
    )


def test_later_images_are_brought_to_the_size_and_channels_learned(tmp_path: Path) -> None:
    schema, _ = read_training(class_folders(tmp_path / "d"))
    new = class_folders(tmp_path / "new", size=(12, 12), mode="L")
    (new / "cat" / "0.png").write_bytes(png((0, 0, 0, 0), mode="RGBA"))
    examples = read_with(schema, new)
    assert examples.shape == (3, 6, 6)
    assert examples.notes == (
        "5 of 6 images were resized to 6 x 6 pixels",
        "5 of 6 images were grey and got three equal channels",
        "1 of 6 images were transparent in parts and drawn on white",
    )
    assert examples.x[0].unique().tolist() == [255]
    assert examples.x[1].unique().tolist() == [1]
    grey, _ = read_training(class_folders(tmp_path / "grey", mode="L"))
    assert grey.shape == (1, 6, 6)
    notes = read_with(grey, tmp_path / "d").notes
    assert notes == ("6 of 6 images were coloured and made grey",)


def test_sixteen_bits_are_scaled_and_not_cut_off() -> None:
    out = io.BytesIO()
    Image.fromarray(np.array([[0, 255], [256, 65535]], dtype=np.uint16)).save(out, "PNG")
    assert decode(out.getvalue(), (2, 2), "here", 1).tolist() == [[[0, 0], [1, 255]]]


def test_a_decompression_bomb_is_bad_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = class_folders(tmp_path / "d")
    (folder / "dog" / "2.png").write_bytes(png(0, (40, 40), "L"))
    for limit in (1000, 100):  # Pillow warns above its limit, and refuses above twice as much
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(DataError, match=r"dog/2\.png: the image cannot be decoded .*decompression bomb"):
            read_training(folder)


def test_folders_that_are_not_clear_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissingError, match=r"no file or folder .*nowhere'\. Data are"):
        read_training(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"has no data: looked for CLASS/"):
        read_training(tmp_path / "empty")
    class_folders(tmp_path / "parts" / "train")
    class_folders(tmp_path / "parts" / "val")
    with pytest.raises(DataError, match=r"has the parts train, val: name one, as .*train"):
        read_training(tmp_path / "parts")
    assert len(read_training(tmp_path / "parts" / "train")[1]) == 6
    folder = class_folders(tmp_path / "d")
    (folder / "bird").mkdir()
    with pytest.raises(DataError, match="bird: a class with no example"):
        read_training(folder)
    (folder / "bird").rmdir()
    (folder / "loose.png").write_bytes(png())
    with pytest.raises(DataError, match=r"1 images, as loose\.png, are in no class"):
        read_training(folder)


def test_one_class_and_classes_without_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all examples are of one class, 'cat'"):
        read_training(class_folders(tmp_path / "one", ("cat",)))
    folder = class_folders(tmp_path / "d")
    with pytest.raises(DataError, match=r"the class 'fox' has no example \(1 of 3 classes"):
        read_training(folder, DataOptions(classes=("cat", "dog", "fox")))
    three = class_folders(tmp_path / "three", ("cat", "cow", "dog"), 2)
    with pytest.raises(
        DataError,
        match=r"(?s)2 of 6 examples.*dog/0\.png, dog/1\.png: the label 'dog' is none of the classes \(cow, cat",
    ):
        read_training(three, DataOptions(classes=("cow", "cat")))


def test_a_class_that_was_not_learned_is_bad_data_later(tmp_path: Path) -> None:
    schema, _ = read_training(class_folders(tmp_path / "d"))
    new = class_folders(tmp_path / "new", ("cat", "fox"), 2)
    with pytest.raises(
        DataError, match=r"(?s)2 of 4.*fox/0\.png, fox/1\.png: the label 'fox' is none of the classes \(cat, dog\)"
    ):
        read_with(schema, new)
    examples = read_with(schema, new, DataOptions(bad="skip"))
    assert examples.ids == ("cat/0.png", "cat/1.png")
    assert len(read_with(schema, new, targets="ignored")) == 4
