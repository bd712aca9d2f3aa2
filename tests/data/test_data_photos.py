"""Photos as cameras, phones and scanners write them: every format, the right way up, in the right pixels."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from data_samples import class_folders, image_column, parquet, png
from PIL import Image, ImageFile, features

from narrows.data import DataOptions, decoding, read_training, read_with
from narrows.data.decoding import decode
from narrows.errors import DataError

FORMATS = {
    ".jpg": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".webp": "WEBP", ".gif": "GIF", ".bmp": "BMP", ".tif": "TIFF",
    ".tiff": "TIFF", ".jp2": "JPEG2000", ".ppm": "PPM",
}  # fmt: skip
if features.check("avif"):
    FORMATS[".avif"] = "AVIF"


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pixels(image: Image.Image, kind: str = "PNG", channels: int = 3, **options: Any) -> list[Any]:
    """What is read of an image saved so, (height, width, channels)."""
    data = saved(image, kind, **options)
    with Image.open(io.BytesIO(data)) as opened:
        size = opened.size
    return decode(data, (size[1], size[0]), "here", channels).transpose(1, 2, 0).tolist()


def of(values: Any, dtype: Any = np.uint8) -> Image.Image:
    return Image.fromarray(np.array(values, dtype=dtype))


def test_a_folder_of_all_formats_is_read_whole(tmp_path: Path) -> None:
    for name, value in (("dark", 20), ("light", 220)):
        (tmp_path / name).mkdir()
        for suffix, kind in FORMATS.items():
            (tmp_path / name / f"a{suffix.upper()}").write_bytes(saved(Image.new("RGB", (8, 8), (value,) * 3), kind))
    schema, examples = read_training(tmp_path)
    assert len(examples) == 2 * len(FORMATS)
    assert examples.notes == ()
    assert schema.shape == (3, 8, 8)
    assert examples.y is not None
    light = examples.y.tolist()
    assert all(
        abs(int(x.min()) - (20, 220)[y]) < 4 > abs(int(x.max()) - (20, 220)[y])
        for x, y in zip(examples.x, light, strict=True)
    )


def test_an_ending_that_lies_does_not_matter(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    (folder / "cat" / "0.png").rename(folder / "cat" / "0.jpg")
    (folder / "dog" / "0.png").write_bytes(saved(Image.new("RGB", (6, 6), (10, 0, 0)), "WEBP", lossless=True))
    assert read_training(folder)[1].x[:, 0, 0, 0].tolist() == [0, 1, 2, 10, 11, 12]


def test_lossless_webp_in_parquet_is_read_pixel_for_pixel(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x = draw.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    column = image_column([saved(Image.fromarray(image), "WEBP", lossless=True) for image in x])
    read = read_training(parquet(tmp_path / "a.parquet", {"img": column, "label": [0, 1, 0, 1]}))[1]
    assert read.x.permute(0, 2, 3, 1).tolist() == x.tolist()


CORNER = [[[9, 9, 9], [0, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0], [0, 0, 0]]]
"""2 x 3, the upper left corner marked; where an orientation brings it, by EXIF's definition."""
UPRIGHT = {1: (0, 0), 2: (0, 2), 3: (1, 2), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (2, 1), 8: (2, 0)}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_photo_is_turned_as_its_exif_says(kind: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(of(CORNER), kind, exif=exif, **options)
    height, width = (3, 2) if orientation > 4 else (2, 3)
    found = decoding.header(data, "here")
    assert (found.height, found.width) == (height, width)
    read = decode(data, (height, width), "here")
    assert [tuple(place) for place in np.argwhere(read[0] == 9).tolist()] == [UPRIGHT[orientation]]
    folder = class_folders(tmp_path, size=(width, height))
    (folder / "cat" / "0.png").write_bytes(data)
    notes = read_training(folder)[1].notes
    turned = orientation > 1 and kind != "TIFF"  # Pillow turns TIFF before anybody can ask
    assert notes == (("1 of 6 images were turned or mirrored as their EXIF says",) if turned else ())


def test_exif_that_cannot_be_read_costs_no_photo() -> None:
    assert pixels(of(CORNER), "PNG", exif=b"Exif\0\0nonsense") == CORNER
    exif = Image.Exif()
    exif[0x0112] = 77
    assert pixels(of(CORNER), "PNG", exif=exif) == CORNER


def test_what_is_transparent_is_drawn_on_white_whatever_colour_lies_beneath() -> None:
    assert pixels(of([[[9, 8, 7, 255], [9, 8, 7, 0], [0, 100, 200, 51]]])) == [[[9, 8, 7], [255] * 3, [204, 224, 244]]]
    assert pixels(of([[[100, 255], [100, 0], [0, 51]]]), channels=1) == [[[100], [255], [204]]]
    palette = of([[0, 1]])
    palette.putpalette([200, 0, 0, 0, 0, 200])
    for kind in ("PNG", "GIF"):
        assert pixels(palette, kind) == [[[200, 0, 0], [0, 0, 200]]]
        assert pixels(palette, kind, transparency=1) == [[[200, 0, 0], [255, 255, 255]]]
    assert pixels(of([[0, 70]]), transparency=70) == [[[0, 0, 0], [255, 255, 255]]]


def test_colours_of_every_kind_become_red_green_and_blue() -> None:
    assert pixels(Image.new("CMYK", (1, 1), (255, 0, 0, 0)), "TIFF") == [[[0, 255, 255]]]
    assert pixels(Image.new("CMYK", (1, 1), (0, 0, 0, 255)), "TIFF") == [[[0, 0, 0]]]
    assert pixels(Image.new("CMYK", (1, 1), (0, 0, 0, 0)), "JPEG") == [[[255, 255, 255]]]
    assert pixels(of([[False, True]], bool)) == [[[0, 0, 0], [255, 255, 255]]]
    assert pixels(of([[False, True]], bool), channels=1) == [[[0], [255]]]
    assert pixels(of([[7]])) == [[[7, 7, 7]]]
    assert pixels(of([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]), channels=1) == [[[76], [150], [29]]]  # as we see them


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_of_sixteen_bits_the_upper_eight_are_kept(kind: str) -> None:
    assert pixels(of([[0, 255], [256, 65535]], np.uint16), kind, 1) == [[[0], [0]], [[1], [255]]]


def test_sixteen_bits_may_be_transparent_and_big_endian() -> None:
    assert pixels(of([[300, 512]], np.uint16), transparency=300, channels=1) == [[[255], [2]]]
    assert pixels(Image.fromarray(np.array([[300, 512]], dtype=">u2")), "TIFF", 1) == [[[1], [2]]]


def test_sixteen_bits_are_told_of_and_a_camera_that_fills_twelve_of_them(tmp_path: Path) -> None:
    folder = class_folders(tmp_path, mode="L")
    (folder / "dog" / "2.png").write_bytes(saved(of(np.full((6, 6), 65535), np.uint16)))
    kept = "1 of 6 images were grey with more than 8 bits a pixel, of which the upper 8 were kept"
    assert read_training(folder)[1].notes == (kept,)
    (folder / "dog" / "2.png").write_bytes(saved(of(np.full((6, 6), 4095), np.uint16)))
    first, second = read_training(folder)[1].notes
    assert first == kept
    assert second.startswith("the brightest pixel of those with more than 8 bits is 15 of 255: ")


@pytest.mark.parametrize(
    ("values", "dtype", "said"),
    [([[1 << 20]], np.int32, "32 bits or with a sign"), ([[0.5]], np.float32, "floating numbers")],
)
def test_numbers_without_a_known_range_are_no_picture(values: Any, dtype: Any, said: str) -> None:
    with pytest.raises(DataError, match=f"^here: the image cannot be decoded .*{said}.*save 8 or 16 bits"):
        decode(saved(of(values, dtype), "TIFF"), (1, 1), "here")


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_several_frames_the_first_is_taken_and_said(kind: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (6, 6), (value, 0, 0)) for value in (200, 100)]
    options = {"lossless": True} if kind == "WEBP" else {}
    folder = class_folders(tmp_path)
    (folder / "cat" / "0.png").write_bytes(saved(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    examples = read_training(folder)[1]
    assert examples.x[0, 0].unique().tolist() == [200]
    assert examples.notes == ("1 of 6 images were of several frames or pages, of which the first was taken",)


def test_grey_and_coloured_images_together_are_coloured(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    (folder / "cat" / "0.png").write_bytes(png(9, mode="L"))
    schema, examples = read_training(folder)
    assert schema.shape == (3, 6, 6)
    assert examples.x[0].unique().tolist() == [9]
    assert examples.notes == ("1 of 6 images were grey and got three equal channels",)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0"


class Heif(ImageFile.ImageFile):
    """A stand-in for pillow-heif's: six by six pixels of one red."""

    format = "HEIF"

    def _open(self) -> None:
        self._mode, self._size, self.tile = "RGB", (6, 6), []

    def load(self) -> Any:
        self.im = Image.new("RGB", self.size, (77, 0, 0)).im
        return super().load()


def forget_heif() -> None:
    for known in (decoding._register_heif, decoding.image_suffixes, decoding._readable):
        known.cache_clear()


@pytest.fixture
def pillow_heif(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = ModuleType("pillow_heif")

    def register_heif_opener() -> None:
        Image.register_open("HEIF", Heif, lambda start: start[4:12] == b"ftypheic")
        Image.register_extension("HEIF", ".heic")

    module.register_heif_opener = register_heif_opener  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    forget_heif()
    yield
    Image.ID.remove("HEIF")
    del Image.OPEN["HEIF"], Image.EXTENSION[".heic"]
    forget_heif()


@pytest.fixture
def no_pillow_heif(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    forget_heif()
    yield
    forget_heif()


@pytest.mark.usefixtures("no_pillow_heif")
def test_heic_is_named_with_what_reads_it(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    (folder / "cat" / "IMG_1.HEIC").write_bytes(HEIC)
    examples = read_training(folder)[1]
    assert len(examples) == 6
    assert examples.notes == (
        "1 file was left out, as no image that can be read: 1 .heic (as cat/IMG_1.HEIC; install pillow-heif "
        '("pip install pillow-heif"), and they are read)',
    )
    (folder / "cat" / "IMG_1.HEIC").rename(folder / "cat" / "IMG_1.jpg")
    with pytest.raises(
        DataError, match=r'cat/IMG_1\.jpg: .*it is HEIC: install pillow-heif \("pip install pillow-heif"'
    ):
        read_training(folder)


@pytest.mark.usefixtures("pillow_heif")
def test_heic_is_read_where_pillow_heif_is_installed(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    (folder / "cat" / "IMG_1.HEIC").write_bytes(HEIC)
    examples = read_training(folder)[1]
    assert examples.x[examples.ids.index("cat/IMG_1.HEIC"), 0].unique().tolist() == [77]
    assert examples.notes == ()


def test_every_damaged_image_is_named_in_one_run(tmp_path: Path) -> None:
    """Also while the sizes are still to be said; then what is left is learned from."""
    folder = class_folders(tmp_path, n=9)
    whole = saved(Image.effect_noise((40, 40), 90), "JPEG")
    for i in range(3):
        (folder / "cat" / f"{i}.png").write_bytes(b"")
        (folder / "cat" / f"{i + 3}.png").write_bytes(whole[: len(whole) // 2])
        (folder / "dog" / f"{i}.png").write_bytes(b"\0text" * 9)
    broken = [*(f"cat/{i}.png" for i in range(6)), *(f"dog/{i}.png" for i in range(3))]
    with pytest.raises(DataError, match=r"2 different sizes: cat/3\.png has 40 x 40") as sizes:
        read_training(folder)
    with pytest.raises(DataError, match="9 of 18 examples cannot be used") as refused:
        read_training(folder, DataOptions(image_size=6))
    for told in (str(sizes.value), str(refused.value)):
        assert all(name in told for name in broken)
        assert told.count("the file is empty") == 1
        assert "truncated" in told
        assert "it is none of JPEG, PNG, WEBP, GIF" in told
    schema, examples = read_training(folder, DataOptions(image_size=6, bad="skip"))
    assert [row.id for row in examples.skipped] == broken
    for targets in ("required", "ignored"):  # evaluate and predict: every file is answered or named
        later = read_with(schema, folder, DataOptions(bad="skip"), targets=targets)  # type: ignore[arg-type]
        assert {*later.ids, *(row.id for row in later.skipped)} == {*examples.ids, *broken}
        assert all(name in later.notes[-1] for name in broken)


def test_a_decompression_bomb_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for side in (12, 40):  # Pillow warns above its limit, and refuses above twice as much
        with pytest.raises(DataError, match=rf"^here: .*{side * side} pixels.*: make it smaller"):
            decode(png(0, (side, side), "L"), (1, 1), "here")
