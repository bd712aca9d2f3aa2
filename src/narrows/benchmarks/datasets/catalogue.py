"""The data sets by name: their images, layouts and places on the hub. `opening` opens them.

Knows nothing of streams or tasks.
"""

from __future__ import annotations

from collections.abc import Mapping

from narrows.benchmarks.datasets.cifar import CIFAR10_CLASSES, CIFAR100_CLASSES, open_cifar10, open_cifar100
from narrows.benchmarks.datasets.folders import open_omniglot
from narrows.benchmarks.datasets.hub import Hub
from narrows.benchmarks.datasets.idx import (
    DEBIAN_FASHION,
    FASHION_CLASSES,
    MNIST_CLASSES,
    load_fashion_mnist,
    load_mnist,
)
from narrows.benchmarks.datasets.parquet import parquet_files
from narrows.benchmarks.datasets.spec import DatasetSpec, FolderLayout, class_folders, idx, parquet
from narrows.benchmarks.datasets.svhn import SVHN_CLASSES, open_svhn
from narrows.benchmarks.datasets.tiny_imagenet import holds_tiny_imagenet, open_tiny_imagenet


def _rows() -> tuple[DatasetSpec, ...]:
    mnist_how = "The folder holds the four IDX files of MNIST (train-images-idx3-ubyte.gz and so on)."
    fashion_how = "apt-get install dataset-fashion-mnist, or give the folder that holds its IDX files."
    mnist = Hub("ylecun/mnist", "mnist")
    fashion = Hub("zalando-datasets/fashion_mnist", "fashion_mnist")
    cifar10 = Hub("uoft-cs/cifar10", "plain_text", image="img")
    cifar100 = Hub("uoft-cs/cifar100", "cifar100", image="img", label="fine_label")
    svhn = Hub("ufldl-stanford/svhn", "cropped_digits")
    letters = Hub("anubhavmaity/notMNIST")
    tiny = Hub("zh-plus/tiny-imagenet", test="valid")
    mini = Hub("timm/mini-imagenet", test="validation")
    return (
        DatasetSpec("digits", (1, 8, 8), 0.3, 0.35),
        DatasetSpec(
            "mnist", (1, 28, 28), 0.15, 0.3, mnist_how,
            (
                idx(load_mnist),
                parquet("mnist", mnist, 1, MNIST_CLASSES),
                class_folders("mnist", 1),
            ),
            mnist,
        ),
        DatasetSpec(
            "fashion-mnist", (1, 28, 28), 0.3, 0.35, fashion_how,
            (
                idx(load_fashion_mnist),
                parquet("fashion-mnist", fashion, 1, FASHION_CLASSES),
                class_folders("fashion-mnist", 1),
            ),
            fashion, DEBIAN_FASHION,
        ),
        DatasetSpec(
            "notmnist", (1, 28, 28), 0.42, 0.45,
            "Unpack notMNIST_small.tar.gz and give its folder, which holds A to J.",
            (class_folders("notmnist", 1, every=10), parquet("notmnist", letters, 1, tuple("ABCDEFGHIJ"))),
            letters,
        ),
        DatasetSpec(
            "svhn", (3, 32, 32), 0.45, 0.2,
            "The folder holds train_32x32.mat and test_32x32.mat of http://ufldl.stanford.edu/housenumbers/.",
            (
                FolderLayout("train_32x32.mat and test_32x32.mat", lambda folder, _: open_svhn(folder)),
                parquet("svhn", svhn, 3, SVHN_CLASSES),
                class_folders("svhn", 3),
            ),
            svhn,
        ),
        DatasetSpec(
            "cifar10", (3, 32, 32), 0.47, 0.25,
            "Unpack cifar-10-binary.tar.gz of https://www.cs.toronto.edu/~kriz/cifar.html and give its folder.",
            (
                FolderLayout("data_batch_1.bin to data_batch_5.bin and test_batch.bin, the binary version",
                       lambda folder, _: open_cifar10(folder)),
                parquet("cifar10", cifar10, 3, CIFAR10_CLASSES),
                class_folders("cifar10", 3),
            ),
            cifar10,
        ),
        DatasetSpec(
            "cifar100", (3, 32, 32), 0.47, 0.25,
            "Unpack cifar-100-binary.tar.gz of https://www.cs.toronto.edu/~kriz/cifar.html and give its folder.",
            (
                FolderLayout("train.bin and test.bin, the binary version", lambda folder, _: open_cifar100(folder)),
                parquet("cifar100", cifar100, 3, CIFAR100_CLASSES),
                class_folders("cifar100", 3),
            ),
            cifar100,
        ),
        DatasetSpec(
            "tiny-imagenet", (3, 64, 64), 0.45, 0.27,
            "The folder holds Tiny ImageNet as distributed (tiny-imagenet-200.zip, unpacked: train/, val/, wnids.txt), "
            "or the parquet files of a copy on the Hugging Face hub (train-*.parquet, valid-*.parquet).",
            (
                FolderLayout("train-*.parquet and valid-*.parquet, columns image and label, perhaps in data/",
                       lambda folder, size: open_tiny_imagenet(folder, size) if parquet_files(folder) else None),
                FolderLayout("train/ID/images/*.JPEG and val/val_annotations.txt, the distribution",
                       lambda folder, size: open_tiny_imagenet(folder, size) if holds_tiny_imagenet(folder) else None),
                class_folders("tiny-imagenet", 3),
            ),
            tiny, any_size=True,
        ),
        DatasetSpec(
            "mini-imagenet", (3, 84, 84), 0.45, 0.27,
            "The folder holds a folder of images for each of its 100 classes, or these inside train/ and test/.",
            (parquet("mini-imagenet", mini, 3), class_folders("mini-imagenet", 3, every=6)),
            mini, any_size=True,
        ),
        DatasetSpec(
            "omniglot", (1, 32, 32), 0.92, 0.27,
            "Unpack images_background.zip and images_evaluation.zip of https://github.com/brendenlake/omniglot into "
            "one folder and give it.",
            (
                FolderLayout("images_background/ALPHABET/CHARACTER/*.png and images_evaluation/..., perhaps in python/",
                       lambda folder, size: open_omniglot(folder, size, every=4)),
                class_folders("omniglot", 1, every=4),
            ),
            any_size=True,
        ),
    )  # fmt: skip


DATASETS: Mapping[str, DatasetSpec] = {row.name: row for row in _rows()}
