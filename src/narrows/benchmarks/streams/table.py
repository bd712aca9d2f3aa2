"""The table of streams: data set x transformation x split, and what a run takes by default.

Data only: knows neither how a data set is read nor how a stream is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class StreamSpec:
    """A row of the table. `classes`: classes a task, or None where every task has them all. `network`,
    `epochs` and `batch_size` are what a run takes where it is not told others.

    data: "none" (the data come with a package), "optional" (there is a default folder) or "required".
    """

    name: str
    summary: str
    dataset: str
    transformation: Literal["none", "permutation", "rotation"]
    tasks: int
    classes: int | None
    network: str
    epochs: int
    batch_size: int = 64
    augment: bool = False
    image_size: int | None = None
    data: Literal["none", "optional", "required"] = "none"

    @property
    def needs_data(self) -> bool:
        """Whether a folder must be given."""
        return self.data == "required"


# Round numbers by hand, not measured: nothing about later tasks, or about test images, gets in.
NORMALISATION = {
    "digits": (0.3, 0.35),
    "mnist": (0.15, 0.3),
    "fashion-mnist": (0.3, 0.35),
    "tiny-imagenet": (0.45, 0.27),
}

_ROWS = (
    StreamSpec("permuted-digits", "8x8 digits, each task its own fixed permutation of the pixels",
               "digits", "permutation", 10, None, "mlp", 20),
    StreamSpec("rotated-digits", "8x8 digits, turned by 0 to 180 degrees in even steps",
               "digits", "rotation", 10, None, "mlp", 20),
    StreamSpec("split-digits", "8x8 digits, two classes a task",
               "digits", "none", 5, 2, "mlp", 20),
    StreamSpec("split-fashion-mnist", "28x28 clothes, two classes a task",
               "fashion-mnist", "none", 5, 2, "lenet", 3, data="optional"),
    StreamSpec("permuted-fashion-mnist", "28x28 clothes, each task its own fixed permutation of the pixels",
               "fashion-mnist", "permutation", 10, None, "mlp", 3, data="optional"),
    StreamSpec("split-mnist", "28x28 digits, two classes a task",
               "mnist", "none", 5, 2, "lenet", 3, data="required"),
    StreamSpec("permuted-mnist", "28x28 digits, each task its own fixed permutation of the pixels",
               "mnist", "permutation", 10, None, "mlp", 3, data="required"),
    StreamSpec("rotated-mnist", "28x28 digits, turned by 0 to 180 degrees in even steps",
               "mnist", "rotation", 10, None, "mlp", 3, data="required"),
    StreamSpec("tiny-imagenet", "photographs at 32x32, ten classes a task",
               "tiny-imagenet", "none", 5, 10, "conv", 10, augment=True, image_size=32, data="required"),
)  # fmt: skip
HOW_TO_GET = {
    "mnist": "The folder holds the four IDX files of MNIST (train-images-idx3-ubyte.gz and so on).",
    "tiny-imagenet": (
        "The folder holds Tiny ImageNet as distributed (tiny-imagenet-200.zip, unpacked: train/, val/, wnids.txt), or "
        "the parquet files of a copy on the Hugging Face hub (train-*.parquet, valid-*.parquet)."
    ),
}
TASK_WORD = {"none": "split", "permutation": "permutation", "rotation": "rotation"}
STREAMS: Mapping[str, StreamSpec] = {row.name: row for row in _ROWS}


def stream_names() -> Mapping[str, StreamSpec]:
    """The table of streams: name -> its defaults, a one-line summary, whether it needs data."""
    return STREAMS
