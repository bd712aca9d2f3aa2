"""The table of streams: data set x transformation x split, and what a run takes by default.

Data only: knows neither how a data set is read nor how a stream is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class StreamSpec:
    """A row of the table.

    datasets: keys of the catalogue of data sets; several where each task is one of them. split: "all",
    every task has all classes; "classes", `classes` of them each, in an order drawn by the seed;
    "superclasses", those of CIFAR-100, in an order drawn by the seed; "datasets", a data set a task.
    `classes`: classes a task, or None where every task has them all. `network`, `epochs` and `batch_size`
    are what a run takes where it is not told others; docs/streams.md says what the papers take. image_size:
    side of the images, an option where it is given.

    data: "none" (the data come with a package), "optional" (there is a default folder) or "required".
    """

    name: str
    summary: str
    datasets: tuple[str, ...]
    transformation: Literal["none", "permutation", "rotation", "quarter-turns"]
    split: Literal["all", "classes", "superclasses", "datasets"]
    tasks: int
    classes: int | None
    network: str
    epochs: int
    batch_size: int = 64
    augment: bool = False
    image_size: int | None = None
    data: Literal["none", "optional", "required"] = "required"

    @property
    def dataset(self) -> str:
        """The data set's name, or those of all."""
        return ", ".join(self.datasets)

    @property
    def needs_data(self) -> bool:
        """Whether a folder, or the hub, must be said."""
        return self.data == "required"


_ROWS = (
    StreamSpec("permuted-digits", "8x8 digits, each task its own fixed permutation of the pixels",
               ("digits",), "permutation", "all", 10, None, "mlp", 20, data="none"),
    StreamSpec("rotated-digits", "8x8 digits, turned by 0 to 180 degrees in even steps",
               ("digits",), "rotation", "all", 10, None, "mlp", 20, data="none"),
    StreamSpec("split-digits", "8x8 digits, two classes a task",
               ("digits",), "none", "classes", 5, 2, "mlp", 20, data="none"),
    StreamSpec("split-fashion-mnist", "28x28 clothes, two classes a task",
               ("fashion-mnist",), "none", "classes", 5, 2, "lenet", 3, data="optional"),
    StreamSpec("permuted-fashion-mnist", "28x28 clothes, each task its own fixed permutation of the pixels",
               ("fashion-mnist",), "permutation", "all", 10, None, "mlp", 3, data="optional"),
    StreamSpec("split-mnist", "28x28 digits, two classes a task",
               ("mnist",), "none", "classes", 5, 2, "lenet", 3),
    StreamSpec("permuted-mnist", "28x28 digits, each task its own fixed permutation of the pixels",
               ("mnist",), "permutation", "all", 10, None, "mlp-100", 3),
    StreamSpec("rotated-mnist", "28x28 digits, turned by 0 to 180 degrees in even steps",
               ("mnist",), "rotation", "all", 10, None, "mlp-256", 3),
    StreamSpec("5-datasets", "CIFAR-10, MNIST, SVHN, Fashion-MNIST, notMNIST at 32x32, one after another",
               ("cifar10", "mnist", "svhn", "fashion-mnist", "notmnist"), "none", "datasets", 5, 10,
               "resnet18-reduced", 10),
    StreamSpec("omniglot-rotation", "handwritten characters at 32x32, each drawing in its four orientations",
               ("omniglot",), "quarter-turns", "classes", 100, 12, "lenet-large", 30, image_size=32),
    StreamSpec("cifar100-10x10", "CIFAR-100, ten classes a task",
               ("cifar100",), "none", "classes", 10, 10, "alexnet", 20, augment=True),
    StreamSpec("cifar100-20x5", "CIFAR-100, five classes a task",
               ("cifar100",), "none", "classes", 20, 5, "alexnet", 20, augment=True),
    StreamSpec("cifar100-superclass", "CIFAR-100, the five classes of a superclass a task",
               ("cifar100",), "none", "superclasses", 20, 5, "lenet-wide", 20),
    StreamSpec("tiny-imagenet", "photographs at 32x32, ten classes a task",
               ("tiny-imagenet",), "none", "classes", 5, 10, "conv", 10, augment=True, image_size=32),
    StreamSpec("tiny-imagenet-10x20", "photographs at 64x64, twenty classes a task",
               ("tiny-imagenet",), "none", "classes", 10, 20, "resnet18", 30, 256, augment=True, image_size=64),
    StreamSpec("tiny-imagenet-20x10", "photographs at 64x64, ten classes a task",
               ("tiny-imagenet",), "none", "classes", 20, 10, "resnet18", 30, 256, augment=True, image_size=64),
    StreamSpec("tiny-imagenet-40x5", "photographs at 64x64, five classes a task",
               ("tiny-imagenet",), "none", "classes", 40, 5, "conv4", 10, 10, augment=True, image_size=64),
    StreamSpec("mini-imagenet", "MiniImageNet at 84x84, ten classes a task",
               ("mini-imagenet",), "none", "classes", 10, 10, "resnet18", 30, 256, augment=True, image_size=84),
)  # fmt: skip
STREAMS: Mapping[str, StreamSpec] = {row.name: row for row in _ROWS}


def stream_names() -> Mapping[str, StreamSpec]:
    """The table of streams: name -> its defaults, a one-line summary, whether it needs data."""
    return STREAMS
