"""ResNet-18 (He et al. 2016, arXiv 1512.03385) for small images, full and reduced.

Weights are counted without heads and norms. Knows no mask, task or data set.
"""

from __future__ import annotations

from torch import Tensor, nn

from narrows.networks.base import Network, channels_and_sides

SMALL = 64
"""Up to this side the first layer keeps every pixel."""


def resnet18(input_shape: tuple[int, ...], classes: int) -> Network:
    """64 to 512 channels: 11,159,232 weights at 3x32x32 and 3x64x64, 11,166,912 at 3x84x84.

    Up to 64 pixels the first layer is 3x3 with stride 1 and no pooling follows, as all use it on CIFAR;
    above, it is 7x7 with stride 2, as in IBM's code for MiniImageNet (which has it for Tiny ImageNet too).
    Needs 8x8 pixels.
    """
    return _resnet18("resnet18", input_shape, classes, 64)


def resnet18_reduced(input_shape: tuple[int, ...], classes: int) -> Network:
    """20 to 160 channels: 1,090,140 weights at 3x32x32.

    The reduced ResNet-18 of GEM (Lopez-Paz and Ranzato 2017), of GPM and WSN for 5-Datasets. The mean over
    all pixels goes to the head, as in GEM; GPM and WSN keep 2x2 pixels, so that theirs has 640 inputs.
    """
    return _resnet18("resnet18-reduced", input_shape, classes, 20)


def resnet18_narrow(input_shape: tuple[int, ...], classes: int) -> Network:
    """16 to 128 channels: 697,776 weights at 3x32x32, so that a processor without a GPU can train it."""
    return _resnet18("resnet18-narrow", input_shape, classes, 16)


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is 1x1 where the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, H, W) to (n, after, H / stride, W / stride)."""
        result: Tensor = self.relu(self.body(x) + self.shortcut(x))
        return result


def _resnet18(name: str, input_shape: tuple[int, ...], classes: int, width: int) -> Network:
    channels, sides = channels_and_sides(name, input_shape, smallest=8)
    kernel, stride = (3, 1) if max(sides) <= SMALL else (7, 2)
    layers: list[nn.Module] = [
        nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]
    before = width
    for after, stride in ((width, 1), (2 * width, 2), (4 * width, 2), (8 * width, 2)):
        layers += [Block(before, after, stride), Block(after, after, 1)]
        before = after
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return Network(nn.Sequential(*layers), nn.Identity(), nn.Linear(before, classes))
