"""The 8x8 handwritten digits that come with scikit-learn: 1797 images, no download.

Source: E. Alpaydin and C. Kaynak, UCI Optical Recognition of Handwritten Digits (its test part).
"""

from __future__ import annotations

import numpy as np
import torch

from narrows.benchmarks.datasets.image_source import Dataset
from narrows.data.extras import require
from narrows.data.seeds import HOLD_OUT, generator

TEST_SHARE = 0.2


def load_digits(seed: int = 0) -> Dataset:
    """Images uint8 (n, 1, 8, 8); a fifth of every class, drawn by `seed`, is held out for testing.

    The original grey levels 0..16 are spread over 0..255, so that all data sets are scaled alike.
    DataError where scikit-learn is missing.
    """
    bunch = require("sklearn.datasets", "bench").load_digits()
    x = torch.from_numpy(np.rint(bunch.images * (255 / 16)).astype(np.uint8)).unsqueeze(1)
    y = torch.from_numpy(bunch.target.astype(np.int64))
    held_out = torch.zeros(len(y), dtype=torch.bool)
    draw = generator(seed, HOLD_OUT)
    for label in range(10):
        rows = (y == label).nonzero().squeeze(1)
        shuffled = rows[torch.randperm(len(rows), generator=draw)]
        held_out[shuffled[: round(len(rows) * TEST_SHARE)]] = True
    names = tuple(str(name) for name in bunch.target_names)
    return Dataset("digits", x[~held_out], y[~held_out], x[held_out], y[held_out], names)
