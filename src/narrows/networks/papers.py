"""The networks that the papers train on the standard streams: MLPs, LeNets, AlexNet, four convolutions.

Widths, kernels, order of layers and dropout as published; shared layers have no bias, as there. Two things
differ throughout: norms keep running statistics, where the papers' code normalises each test batch by
itself, so that a prediction does not depend on its batch; and the head has a bias. Weights are counted
without heads, norms and biases. Know no mask, task or data set.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from narrows.networks.base import Network, channels_and_sides
from narrows.networks.small import mlp


def mlp_100(input_shape: tuple[int, ...], classes: int) -> Network:
    """Two layers of 100: 88,400 weights at 1x28x28.

    The network of GPM (Saha et al. 2021) and WSN (Kang et al. 2022) for permuted MNIST; here with biases.
    """
    return mlp(input_shape, classes, hidden=(100, 100))


def mlp_256(input_shape: tuple[int, ...], classes: int) -> Network:
    """Two layers of 256: 266,240 weights at 1x28x28; here with biases."""
    return mlp(input_shape, classes, hidden=(256, 256))


def lenet_wide(input_shape: tuple[int, ...], classes: int) -> Network:
    """20 and 50 channels, layers of 800 and 500: 2,986,500 weights at 3x32x32.

    The LeNet of GPM and WSN for CIFAR-100 superclasses: kernels 5 padded by 2, pooling 3 with stride 2.
    Needs 4x4 pixels.
    """
    return _lenet("lenet-wide", input_shape, classes, (20, 50), (800, 500))


def lenet_large(input_shape: tuple[int, ...], classes: int) -> Network:
    """64 and 128 channels, layers of 2500 and 1500: 24,436,400 weights at 1x32x32.

    WSN's LeNet for Omniglot rotation, otherwise as `lenet_wide`. Needs 4x4 pixels.
    """
    return _lenet("lenet-large", input_shape, classes, (64, 128), (2500, 1500))


def alexnet(input_shape: tuple[int, ...], classes: int) -> Network:
    """64, 128, 256 channels, two layers of 2048: 6,499,328 weights at 3x32x32. Needs 19x19 pixels.

    The small AlexNet of Serra et al. (HAT, 2018) as GPM, WSN and IBM use it for CIFAR-100: kernels 4, 3, 2
    without padding, a norm after every layer, dropout .2, .2, .5 after the convolutions and .5 after the
    others.
    """
    channels, sides = channels_and_sides("alexnet", input_shape, smallest=19)
    layers: list[nn.Module] = []
    for width, kernel, dropped in ((64, 4, 0.2), (128, 3, 0.2), (256, 2, 0.5)):
        layers += [
            nn.Conv2d(channels, width, kernel, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout(dropped),
            nn.MaxPool2d(2),
        ]
        channels, sides = width, [(side - kernel + 1) // 2 for side in sides]
    layers.append(nn.Flatten())
    hidden: list[nn.Module] = []
    before = channels * math.prod(sides)
    for width in (2048, 2048):
        hidden += [nn.Linear(before, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.5)]
        before = width
    return Network(nn.Sequential(*layers), nn.Sequential(*hidden), nn.Linear(before, classes))


def conv4(input_shape: tuple[int, ...], classes: int) -> Network:
    """Four convolutions of 160 channels, two layers of 640: 2,743,520 weights at 3x64x64.

    WSN's network for Tiny ImageNet: kernels 3 with stride 2 padded by 1, no pooling, no norm. Needs 16x16
    pixels.
    """
    channels, sides = channels_and_sides("conv4", input_shape, smallest=16)
    layers: list[nn.Module] = []
    for _ in range(4):
        layers += [nn.Conv2d(channels, 160, 3, stride=2, padding=1, bias=False), nn.ReLU()]
        channels, sides = 160, [(side + 1) // 2 for side in sides]
    layers.append(nn.Flatten())
    hidden, width = _without_bias(channels * math.prod(sides), (640, 640))
    return Network(nn.Sequential(*layers), hidden, nn.Linear(width, classes))


def _lenet(
    name: str, input_shape: tuple[int, ...], classes: int, convolutions: Sequence[int], hidden: Sequence[int]
) -> Network:
    channels, sides = channels_and_sides(name, input_shape, smallest=4)
    layers: list[nn.Module] = []
    for width in convolutions:
        layers += [
            nn.Conv2d(channels, width, 5, padding=2, bias=False),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
        channels, sides = width, [(side + 1) // 2 for side in sides]
    layers.append(nn.Flatten())
    hidden_layers, width = _without_bias(channels * math.prod(sides), hidden)
    return Network(nn.Sequential(*layers), hidden_layers, nn.Linear(width, classes))


def _without_bias(width: int, hidden: Sequence[int]) -> tuple[nn.Sequential, int]:
    layers: list[nn.Module] = []
    for wider in hidden:
        layers += [nn.Linear(width, wider, bias=False), nn.ReLU()]
        width = wider
    return nn.Sequential(*layers), width
