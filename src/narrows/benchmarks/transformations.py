"""What turns one data set into many tasks: fixed permutations of the pixels, and rotations.

Pure functions of uint8 images (n, C, H, W); they know nothing of labels, tasks or files.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from narrows.data.seeds import PERMUTATION, generator

_CHUNK = 4096  # images rotated at a time: their float32 copies stay small


def permutation(seed: int, task: int, pixels: int) -> Tensor:
    """int64 (pixels,): where each pixel of this task's images is taken from; no task's is the identity
    but by chance, the first one's neither (Goodfellow et al. 2013, arXiv 1312.6211)."""
    return torch.randperm(pixels, generator=generator(seed, PERMUTATION, task))


def permute(x: Tensor, order: Tensor) -> Tensor:
    """The same re-ordering of the H*W pixels in every image; the channels of a pixel stay together."""
    return x.flatten(2)[..., order].reshape(x.shape)


def angles(tasks: int) -> list[float]:
    """`tasks` angles in degrees, evenly from 0 to 180 inclusive; a single task is not rotated."""
    return [180.0 * task / (tasks - 1) if tasks > 1 else 0.0 for task in range(tasks)]


def rotate(x: Tensor, degrees: float) -> Tensor:
    """Rotate counter-clockwise about the centre: bilinear, black outside, rounded to uint8 again.

    Multiples of 360 degrees return the images as they are.
    """
    if math.fmod(degrees, 360.0) == 0.0:
        return x
    turn = math.radians(degrees)
    height, width = x.shape[-2:]
    # affine_grid's coordinates run over -1..1 on both axes, whatever the shape: undo that where H != W.
    theta = torch.tensor(
        [
            [math.cos(turn), -math.sin(turn) * height / width, 0.0],
            [math.sin(turn) * width / height, math.cos(turn), 0.0],
        ]
    )
    rotated = []
    for part in torch.split(x, _CHUNK):
        grid = F.affine_grid(theta.expand(len(part), 2, 3), list(part.shape), align_corners=False)
        turned = F.grid_sample(part.float(), grid, mode="bilinear", align_corners=False)
        rotated.append(turned.round_().clamp_(0, 255).to(torch.uint8))
    return torch.cat(rotated)


def quarter_turns(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Square images in their four orientations, with the labels they had: first all as they are, then all
    turned by 90, by 180 and by 270 degrees."""
    return torch.cat([torch.rot90(x, turns, (2, 3)) for turns in range(4)]), y.repeat(4)
