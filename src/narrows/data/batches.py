"""Batches of normalised examples, their order and augmentation fixed by a seed and the epoch number.

Knows nothing of streams or tasks: tensors in, batches out. No worker processes: a batch of 64 images of
3x32x32 takes half a millisecond.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from narrows.data.seeds import EPOCH, generator
from narrows.errors import ConfigError, DataError

PADDING = 4


class Batches:
    """Re-iterable over (float32 inputs, targets); every pass is the next epoch.

    x: (n, ...) uint8, scaled to 0..1, or floating, taken as it is; y: labels, int64 (n,), or numbers, float32
    (n, k). Batches are (x - mean) / std, mean and std one number or one a channel. The same arguments
    give the same sequence of epochs again. The last, smaller batch is kept, but when shuffling (training)
    one of a single example is dropped, as BatchNorm cannot be trained on it; the next epoch drops another example.
    `examples` is n. DataError: no examples, shapes or types that do not agree. ConfigError: batch_size < 1.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        batch_size: int,
        *,
        shuffle: bool,
        generator_seed: int = 0,
        augment: bool = False,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        device: torch.device | str = "cpu",
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, not {batch_size}")
        if not len(x):
            raise DataError("there are no examples to make batches of")
        numbers = y.dtype == torch.float32 and y.dim() == 2 and len(y) == len(x)
        if not numbers and (y.dtype != torch.int64 or y.shape != x.shape[:1]):
            raise DataError(
                f"{len(x)} examples need int64 labels ({len(x)},) or float32 targets ({len(x)}, k), not {y.dtype} "
                f"{tuple(y.shape)}"
            )
        if x.dtype != torch.uint8 and not x.is_floating_point():
            raise DataError(f"examples must be uint8 or floating, not {x.dtype}")
        if augment and x.dim() != 4:
            raise DataError(f"only images (n, C, H, W) can be augmented, not {tuple(x.shape)}")
        self.examples = len(x)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator_seed = generator_seed
        self.augment = augment
        self.epoch = 0  # the epoch that the next pass will be
        # The whole set goes to the device once, as uint8 a quarter of its float size.
        self._x, self._y = x.to(device), y.to(device)
        unit = 255.0 if x.dtype == torch.uint8 else 1.0
        self._mean = _per_channel(mean, x, "mean").mul(unit).to(device)
        self._std = _per_channel(std, x, "std").mul(unit).to(device)
        if not bool((self._std > 0).all()):
            raise ConfigError(f"std must be above zero, not {std}")

    def __len__(self) -> int:
        full, rest = divmod(self.examples, self.batch_size)
        dropped = self.shuffle and rest == 1 and full > 0
        return full + (1 if rest and not dropped else 0)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        # Counted here and not in the generator below, so that two passes begun together differ too.
        draw = generator(self.generator_seed, EPOCH, self.epoch)
        self.epoch += 1
        return self._batches(draw)

    def _batches(self, draw: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        device = self._x.device
        # Drawn on the CPU: every device then sees the same order and the same crops.
        order = torch.randperm(self.examples, generator=draw).to(device) if self.shuffle else None
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            if order is None:
                x, y = (part[start : start + self.batch_size] for part in (self._x, self._y))
            else:
                rows = order[start : start + self.batch_size]
                x, y = self._x[rows], self._y[rows]
            if self.augment:
                x = crop_and_flip(x, draw)
            yield x.to(torch.float32, copy=True).sub_(self._mean).div_(self._std), y


def crop_and_flip(x: Tensor, draw: torch.Generator) -> Tensor:
    """Pad (n, C, H, W) by 4 black pixels, crop each image at random to H x W, mirror half of them.

    One gather for the whole batch: 4-5 times faster than indexing by four tensors.
    """
    n, channels, height, width = x.shape
    device = x.device
    down, right = torch.randint(0, 2 * PADDING + 1, (2, n, 1), generator=draw).to(device)
    mirrored = torch.rand((n, 1), generator=draw).to(device) < 0.5
    columns = torch.arange(width, device=device)
    rows = down + torch.arange(height, device=device)
    columns = right + torch.where(mirrored, columns.flip(0), columns)
    wide = width + 2 * PADDING
    source = (rows[:, :, None] * wide + columns[:, None, :]).view(n, 1, -1).expand(-1, channels, -1)
    padded = F.pad(x, (PADDING,) * 4).flatten(2)
    return padded.gather(2, source).view(n, channels, height, width)


def _per_channel(value: float | Sequence[float], x: Tensor, what: str) -> Tensor:
    numbers = torch.tensor(value, dtype=torch.float32)
    if numbers.dim() == 0:
        return numbers
    if x.dim() < 2 or numbers.shape != x.shape[1:2]:
        raise DataError(f"{what} has {numbers.numel()} numbers for examples {tuple(x.shape[1:])}")
    return numbers.view(-1, *(1,) * (x.dim() - 2))
