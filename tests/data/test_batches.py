"""Order, augmentation and normalisation of batches."""

from __future__ import annotations

import pytest
import torch

from narrows.data.batches import PADDING, Batches, crop_and_flip
from narrows.data.seeds import generator
from narrows.errors import ConfigError, DataError

X = torch.arange(10 * 2 * 6 * 5).remainder(251).to(torch.uint8).reshape(10, 2, 6, 5)
Y = torch.arange(10)


def epoch(batches: Batches) -> tuple[torch.Tensor, torch.Tensor]:
    xs, ys = zip(*batches, strict=True)
    return torch.cat(xs), torch.cat(ys)


def test_evaluation_keeps_order_and_every_example() -> None:
    batches = Batches(X, Y, 3, shuffle=False)
    assert [len(y) for _, y in batches] == [3, 3, 3, 1]
    assert len(batches) == 4
    assert batches.examples == 10
    x, y = epoch(batches)
    assert torch.equal(y, Y)
    assert x.dtype == torch.float32
    assert torch.allclose(x, X / 255)


def test_a_last_training_batch_of_one_is_dropped_and_another_each_epoch() -> None:
    batches = Batches(X, Y, 3, shuffle=True)
    assert len(batches) == 3
    seen = [frozenset(epoch(batches)[1].tolist()) for _ in range(6)]
    assert all(len(s) == 9 for s in seen)
    assert len(set(seen)) > 1
    assert [len(y) for _, y in Batches(X, Y, 4, shuffle=True)] == [4, 4, 2]
    assert len(list(Batches(X, Y, 1, shuffle=True))) == 10
    assert len(list(Batches(X[:1], Y[:1], 3, shuffle=True))) == 1


@pytest.mark.parametrize("augment", [False, True])
def test_the_seed_and_the_epoch_fix_the_sequence(augment: bool) -> None:
    a = Batches(X, Y, 3, shuffle=True, generator_seed=5, augment=augment)
    b = Batches(X, Y, 3, shuffle=True, generator_seed=5, augment=augment)
    next(iter(a)), next(iter(b))  # a pass that is broken off counts as an epoch
    first, second, again = epoch(a), epoch(a), epoch(b)
    assert all(torch.equal(p, q) for p, q in zip(first, again, strict=True))
    assert not torch.equal(first[1], second[1])
    other = Batches(X, Y, 3, shuffle=True, generator_seed=6, augment=augment)
    assert not torch.equal(epoch(other)[1], epoch(Batches(X, Y, 3, shuffle=True, generator_seed=5))[1])
    assert torch.equal(X, torch.arange(600).remainder(251).to(torch.uint8).reshape(X.shape))


def test_every_augmented_image_is_a_crop_or_its_mirror() -> None:
    x = X.repeat(20, 1, 1, 1)
    out = crop_and_flip(x, generator(0, 0))
    assert out.shape == x.shape
    assert out.dtype == torch.uint8
    padded = torch.nn.functional.pad(x, (PADDING,) * 4)
    seen = set()
    for i, image in enumerate(out):
        for flip in (False, True):
            for dy in range(9):
                for dx in range(9):
                    crop = padded[i, :, dy : dy + 6, dx : dx + 5]
                    if torch.equal(crop.flip(-1) if flip else crop, image):
                        seen.add(i)
    assert len(seen) == len(x)
    assert not torch.equal(out[:100], out[100:])


def test_normalisation_per_channel_and_of_floats() -> None:
    x, _ = epoch(Batches(X, Y, 4, shuffle=False, mean=(0.5, 0.2), std=(0.25, 0.5)))
    want = (X / 255 - torch.tensor([0.5, 0.2]).view(2, 1, 1)) / torch.tensor([0.25, 0.5]).view(2, 1, 1)
    assert torch.allclose(x, want, atol=1e-5)
    floats = torch.randn(10, 4)
    kept = floats.clone()
    x, _ = epoch(Batches(floats, Y, 4, shuffle=False, mean=1.0, std=2.0, device=torch.device("cpu")))
    assert torch.allclose(x, (floats - 1) / 2)
    assert torch.equal(floats, kept)


def test_what_cannot_be_batched_is_refused() -> None:
    with pytest.raises(DataError, match="no examples"):
        Batches(X[:0], Y[:0], 3, shuffle=False)
    for x, y in ((X, Y[1:]), (X, Y.int()), (X.int(), Y)):
        with pytest.raises(DataError):
            Batches(x, y, 3, shuffle=False)
    with pytest.raises(DataError, match="augmented"):
        Batches(X[:, 0], Y, 3, shuffle=True, augment=True)
    with pytest.raises(DataError, match="mean has 3"):
        Batches(X, Y, 3, shuffle=True, mean=(0.1, 0.2, 0.3))
    with pytest.raises(ConfigError, match="std"):
        Batches(X, Y, 3, shuffle=True, std=0.0)
    with pytest.raises(ConfigError, match="batch_size"):
        Batches(X, Y, 0, shuffle=True)
    with pytest.raises(ConfigError, match="seed"):
        next(iter(Batches(X, Y, 2, shuffle=True, generator_seed=-1)))
