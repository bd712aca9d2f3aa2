"""The benchmarks' networks: ordinary modules, with a last layer named `head`, that know of no mask.

Any module would do; these are small enough for a processor without a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from narrows.errors import ConfigError, UnknownNameError, nearest


class Network(nn.Module):
    """`features` (images to a vector), `hidden` (fully connected), `head` (to one logit a class)."""

    def __init__(self, features: nn.Module, hidden: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.features = features
        self.hidden = hidden
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, C, H, W) to logits (n, classes)."""
        if x.dim() == 4:
            # Convolving and pooling pixel by pixel halves a step's time on a CPU; weights stay as they are.
            x = x.contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.head(self.hidden(self.features(x)))
        return logits


def mlp(input_shape: tuple[int, ...], classes: int, hidden: Sequence[int] = (512, 512)) -> Network:
    """Fully connected with ReLU; the default of the permuted and rotated streams."""
    layers, width = _dense(math.prod(input_shape), hidden)
    return Network(nn.Flatten(), layers, nn.Linear(width, classes))


def conv(input_shape: tuple[int, ...], classes: int) -> Network:
    """Three convolutions and two layers of 512: 577,024 weights at 3x32x32 without head and norms.

    The shape of the small AlexNet of Serra et al. (HAT, 2018) and WSN with a tenth of its weights:
    kernels 4, 3, 2 without padding, 32, 64, 128 channels. Needs 19x19 pixels or more.
    """
    return _convolutional("conv", input_shape, classes, ((32, 4), (64, 3), (128, 2)), (512, 512))


def lenet(input_shape: tuple[int, ...], classes: int) -> Network:
    """Two convolutions and one layer, after LeCun et al. 1998: 144,272 weights at 1x28x28 without
    head and norms. Needs 16x16 pixels or more."""
    return _convolutional("lenet", input_shape, classes, ((16, 5), (32, 5)), (256,))


NETWORKS: Mapping[str, Callable[[tuple[int, ...], int], nn.Module]] = {
    "mlp": mlp,
    "conv": conv,
    "lenet": lenet,
}


def make_network(name: str, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """The network of that name for images `input_shape` (C, H, W), with PyTorch's default initial weights.

    UnknownNameError suggests the nearest name; ConfigError where the images are too small for it.
    """
    if name not in NETWORKS:
        raise UnknownNameError(f"there is no network named {name!r}: {nearest(name, NETWORKS)}")
    if classes < 1:
        raise ConfigError(f"a network needs at least one class, not {classes}")
    return NETWORKS[name](tuple(input_shape), classes)


def _convolutional(
    name: str,
    input_shape: tuple[int, ...],
    classes: int,
    convolutions: Sequence[tuple[int, int]],
    hidden: Sequence[int],
) -> Network:
    if len(input_shape) != 3:
        raise ConfigError(f"{name} needs images (C, H, W), not {input_shape}; use mlp")
    channels, *sides = input_shape
    layers: list[nn.Module] = []
    for width, kernel in convolutions:
        sides = [(side - kernel + 1) // 2 for side in sides]
        # Pooling comes before norm and ReLU: a quarter of the pixels to normalise, and a pooled ReLU is
        # the ReLU of a pooled map. No bias: the norm has one.
        layers += [
            nn.Conv2d(channels, width, kernel, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        channels = width
        if min(sides) < 1:
            raise ConfigError(f"{name} cannot take images as small as {input_shape[1:]}; use mlp")
    layers.append(nn.Flatten())
    dense, width = _dense(channels * math.prod(sides), hidden)
    return Network(nn.Sequential(*layers), dense, nn.Linear(width, classes))


def _dense(width: int, hidden: Sequence[int]) -> tuple[nn.Sequential, int]:
    layers: list[nn.Module] = []
    for wider in hidden:
        layers += [nn.Linear(width, wider), nn.ReLU()]
        width = wider
    return nn.Sequential(*layers), width
