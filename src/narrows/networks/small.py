"""Networks small enough for a processor without a GPU: `mlp`, `conv` and `lenet`.

Know no mask, task or data set.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from narrows.errors import ConfigError
from narrows.networks.base import Network, channels_and_sides, dense


def mlp(input_shape: tuple[int, ...], classes: int, hidden: Sequence[int] = (512, 512)) -> Network:
    """Fully connected with ReLU; the default of the streams of digits and clothes."""
    layers, width = dense(math.prod(input_shape), hidden)
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


def _convolutional(
    name: str,
    input_shape: tuple[int, ...],
    classes: int,
    convolutions: Sequence[tuple[int, int]],
    hidden: Sequence[int],
) -> Network:
    channels, sides = channels_and_sides(name, input_shape)
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
    hidden_layers, width = dense(channels * math.prod(sides), hidden)
    return Network(nn.Sequential(*layers), hidden_layers, nn.Linear(width, classes))
