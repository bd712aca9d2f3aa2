"""Pure tensor functions on binary masks: choosing, joining, splitting.

A mask is a bool tensor of its parameter's shape; few weights are positions. This layer knows tensors only: no modules,
no optimizers, no files.
"""

from narrows.masks.flat import Layout, magnitudes
from narrows.masks.selection import NaNWatch, above, best, best_each, top
from narrows.masks.sparse import fill_, marked, pick, places, put_, spread

__all__ = [
    "Layout",
    "NaNWatch",
    "above",
    "best",
    "best_each",
    "fill_",
    "magnitudes",
    "marked",
    "pick",
    "places",
    "put_",
    "spread",
    "top",
]
