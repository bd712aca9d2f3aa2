"""CIFAR-10 and CIFAR-100 in their binary version, and the superclasses of CIFAR-100.

Source and format: A. Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html : records of the label
(CIFAR-100: coarse, then fine) and 3072 bytes, a plane of 32x32 each of red, green and blue. The python
version is a pickle, which can run any code when it is read: it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from narrows.benchmarks.datasets.image_source import Dataset
from narrows.errors import DataError
from narrows.store.bounded import read_bytes

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

CIFAR100_SUPERCLASSES: dict[str, tuple[str, ...]] = {
    "aquatic mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit and vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household electrical devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large man-made outdoor things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large natural outdoor scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large omnivores and herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium-sized mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles 1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles 2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}
"""The superclasses in the order of the coarse labels."""

CIFAR100_CLASSES = tuple(sorted(name for names in CIFAR100_SUPERCLASSES.values() for name in names))
"""In the order of the fine labels, which is the alphabet's."""

_COARSE = np.array(
    [next(i for i, names in enumerate(CIFAR100_SUPERCLASSES.values()) if name in names) for name in CIFAR100_CLASSES]
)
_PIXELS = 3 * 32 * 32
_MOST = 1 << 30  # bytes: seven times the largest of these files


def open_cifar10(folder: Path) -> Dataset | None:
    """`data_batch_1.bin` ... `data_batch_5.bin` and `test_batch.bin`, also inside `cifar-10-batches-bin/`:
    images uint8 (n, 3, 32, 32). None where there is none of them. DataError: damaged, missing, or a pickle.
    """
    train = [f"data_batch_{i}.bin" for i in range(1, 6)]
    place = _place(folder, "cifar-10-batches-bin", [*train, "test_batch.bin"])
    if place is None:
        _refuse_pickles(folder, "cifar-10-batches-py", "data_batch_1", "cifar-10-binary.tar.gz")
        return None
    parts = [_read(place / name, 1, len(CIFAR10_CLASSES)) for name in train]
    test_x, test_y = _read(place / "test_batch.bin", 1, len(CIFAR10_CLASSES))
    train_x, train_y = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return Dataset("cifar10", train_x, train_y, test_x, test_y, CIFAR10_CLASSES)


def open_cifar100(folder: Path) -> Dataset | None:
    """`train.bin` and `test.bin`, also inside `cifar-100-binary/`: images uint8 (n, 3, 32, 32), fine labels.

    None where there is neither. DataError: damaged, also where the coarse label of an image is not that of
    its fine label; one file missing; or a pickle.
    """
    place = _place(folder, "cifar-100-binary", ["train.bin", "test.bin"])
    if place is None:
        _refuse_pickles(folder, "cifar-100-python", "train", "cifar-100-binary.tar.gz")
        return None
    (train_x, train_y), (test_x, test_y) = (
        _read(place / name, 2, len(CIFAR100_CLASSES)) for name in ("train.bin", "test.bin")
    )
    return Dataset("cifar100", train_x, train_y, test_x, test_y, CIFAR100_CLASSES)


def _read(path: Path, label_bytes: int, classes: int) -> tuple[Tensor, Tensor]:
    try:
        data = np.frombuffer(read_bytes(path, _MOST), dtype=np.uint8)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    record = label_bytes + _PIXELS
    if not len(data) or len(data) % record:
        raise DataError(
            f"{path} is truncated or no CIFAR file: {len(data)} bytes are not records of {record}; fetch it again"
        )
    records = data.reshape(-1, record)
    labels = records[:, label_bytes - 1].astype(np.int64)
    wrong = labels >= classes
    if label_bytes == 2:
        wrong |= _COARSE[np.minimum(labels, classes - 1)] != records[:, 0]
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(f"{path}, record {row}: no image has the label {records[row, :label_bytes].tolist()}")
    x = torch.from_numpy(records[:, label_bytes:].reshape(-1, 3, 32, 32).copy())
    return x, torch.from_numpy(labels)


def _place(folder: Path, inside: str, files: Sequence[str]) -> Path | None:
    """The folder that holds all of the files; DataError where it holds only some."""
    for place in (folder, folder / inside):
        missing = [name for name in files if not (place / name).is_file()]
        if not missing:
            return place
        if len(missing) < len(files):
            raise DataError(f"{place / missing[0]} is missing, while others of {', '.join(files)} are there")
    return None


def _refuse_pickles(folder: Path, inside: str, file: str, archive: str) -> None:
    for place in (folder, folder / inside):
        if (place / file).is_file():
            raise DataError(
                f"{place} holds the python version, which is a pickle and could run any code; narrows reads none. "
                f"Take the binary version, {archive}, from https://www.cs.toronto.edu/~kriz/cifar.html"
            )
