"""What the networks here have in common: features, hidden layers and a last layer named `head`.

Knows no mask, task or data set.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from narrows.errors import ConfigError

MAX_HIDDEN = 1000
"""Layers, so that nobody's record of a network can take hours to build."""


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


def dense(width: int, hidden: Sequence[int]) -> tuple[nn.Sequential, int]:
    """Linear and ReLU for each width in `hidden`, and the width that comes out. ConfigError: there are too many."""
    if len(hidden) > MAX_HIDDEN:
        raise ConfigError(f"{len(hidden)} hidden layers are asked for, more than {MAX_HIDDEN}")
    layers: list[nn.Module] = []
    for wider in hidden:
        layers += [nn.Linear(width, wider), nn.ReLU()]
        width = wider
    return nn.Sequential(*layers), width


def channels_and_sides(name: str, input_shape: tuple[int, ...], smallest: int = 1) -> tuple[int, list[int]]:
    """C and [H, W]. ConfigError: not an image (C, H, W), or a side below `smallest` pixels."""
    if len(input_shape) != 3:
        raise ConfigError(f"{name} needs images (C, H, W), not {input_shape}; use mlp")
    channels, *sides = input_shape
    if min(sides) < smallest:
        raise ConfigError(
            f"{name} cannot take images as small as {tuple(sides)}: it needs {smallest}x{smallest} pixels; use mlp"
        )
    return channels, sides
