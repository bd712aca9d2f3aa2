"""Street View House Numbers, cropped digits, in the MATLAB files of the distribution.

Source: Netzer et al. 2011, http://ufldl.stanford.edu/housenumbers/ . Files of MATLAB's version 5, which
SciPy reads without running anything.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from narrows.benchmarks.datasets.image_source import Dataset
from narrows.data.extras import require
from narrows.errors import DataError

SVHN_CLASSES = tuple("0123456789")


def open_svhn(folder: Path) -> Dataset | None:
    """`train_32x32.mat` and `test_32x32.mat`: images uint8 (n, 3, 32, 32); the label 10 is the digit 0.

    None where there is neither. DataError: damaged, or one of them missing.
    """
    files = [folder / f"{part}_32x32.mat" for part in ("train", "test")]
    missing = [path for path in files if not path.is_file()]
    if len(missing) == len(files):
        return None
    if missing:
        raise DataError(f"{missing[0]} is missing, while the other part is there")
    (train_x, train_y), (test_x, test_y) = map(_read, files)
    return Dataset("svhn", train_x, train_y, test_x, test_y, SVHN_CLASSES)


def _read(path: Path) -> tuple[Tensor, Tensor]:
    scipy = require("scipy.io", "bench")
    try:
        held = scipy.loadmat(path, variable_names=["X", "y"], appendmat=False)
        x, y = held["X"], held["y"].reshape(-1).astype(np.int64)
    except Exception as error:  # SciPy's reader raises ValueError, OSError, zlib.error, TypeError, KeyError, ...
        raise DataError(f"{path} cannot be read ({type(error).__name__}: {error}); fetch it again") from error
    if x.dtype != np.uint8 or x.ndim != 4 or x.shape[:3] != (32, 32, 3) or x.shape[3] != len(y):
        raise DataError(f"{path}: X must be uint8 (32, 32, 3, n) and y (n, 1), not {x.dtype} {x.shape} and {len(y)}")
    if len(y) and (y.min() < 1 or y.max() > 10):
        raise DataError(f"{path}: labels {y.min()}..{y.max()} are outside 1..10")
    images = np.ascontiguousarray(x.transpose(3, 2, 0, 1))
    return torch.from_numpy(images), torch.from_numpy(y % 10)
