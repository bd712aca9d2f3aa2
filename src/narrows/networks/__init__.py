"""Networks to begin with: ordinary modules, with a last layer named `head`, that know of no mask.

Any module would do; these are the papers', and some small enough for a processor without a GPU. The benchmarks take
them by name, and a store can be made of one: `narrows init STORE --model narrows.networks:mlp`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from narrows.errors import ConfigError, UnknownNameError, nearest
from narrows.networks.base import Network
from narrows.networks.papers import alexnet, conv4, lenet_large, lenet_wide, mlp_100, mlp_256
from narrows.networks.resnet import resnet18, resnet18_narrow, resnet18_reduced
from narrows.networks.small import conv, lenet, mlp

__all__ = [
    "NETWORKS",
    "Network",
    "alexnet",
    "conv",
    "conv4",
    "lenet",
    "lenet_large",
    "lenet_wide",
    "make_network",
    "mlp",
    "mlp_100",
    "mlp_256",
    "resnet18",
    "resnet18_narrow",
    "resnet18_reduced",
]

NETWORKS: Mapping[str, Callable[[tuple[int, ...], int], nn.Module]] = {
    "mlp": mlp,
    "mlp-100": mlp_100,
    "mlp-256": mlp_256,
    "conv": conv,
    "conv4": conv4,
    "lenet": lenet,
    "lenet-wide": lenet_wide,
    "lenet-large": lenet_large,
    "alexnet": alexnet,
    "resnet18": resnet18,
    "resnet18-reduced": resnet18_reduced,
    "resnet18-narrow": resnet18_narrow,
}


def make_network(name: str, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """The network of that name for images `input_shape` (C, H, W), with PyTorch's default initial weights.

    UnknownNameError suggests the nearest name; ConfigError where the images are too small for it.

    >>> make_network("mlp-100", (1, 28, 28), 10).head
    Linear(in_features=100, out_features=10, bias=True)
    """
    if name not in NETWORKS:
        raise UnknownNameError(f"there is no network named {name!r}: {nearest(name, NETWORKS)}")
    if classes < 1:
        raise ConfigError(f"a network needs at least one class, not {classes}")
    return NETWORKS[name](tuple(input_shape), classes)
