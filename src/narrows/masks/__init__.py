"""Pure tensor functions on binary masks: choosing, joining, splitting.

A mask is a bool tensor of its parameter's shape. This layer knows tensors only: no modules, no
optimizers, no files.
"""

from narrows.masks.flat import Layout
from narrows.masks.selection import above, best, best_each

__all__ = ["Layout", "above", "best", "best_each"]
