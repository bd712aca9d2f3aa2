"""What is taken where nothing is said: how much of the network, how many passes, how many examples a step.

Plain numbers, so that the command line can name them without loading torch.
"""

from __future__ import annotations

import math

DENSITY = 0.04
BATCH_SIZE = 64
"""Examples a step, where there are `STEPS_A_PASS` steps to a pass with it; fewer below."""

LEAST_BATCH = 16
STEPS_A_PASS = 16
EPOCHS = 10
"""Passes over the data, at least."""

STEPS = 400
"""Optimizer steps, at least: in fewer a network has not learned before weights leave it, nor what is left after."""

ADOPTED_DENSITY, ADOPTED_EPOCHS, ADOPTED_LR = 0.1, 8, 3e-3
"""Of `adopt`: the recipe that docs/benchmarks.md measures."""


def batch_size_for(examples: int) -> int:
    """A power of two from 16 to 64, as large as leaves 16 steps to a pass.

    One more where one example would be left over, of which a batch norm can make nothing.

    >>> batch_size_for(201), batch_size_for(600), batch_size_for(5000), batch_size_for(193)
    (16, 32, 64, 17)
    """
    size = BATCH_SIZE
    while size > LEAST_BATCH and size * STEPS_A_PASS > examples:
        size //= 2
    return size + 1 if examples > size and examples % size == 1 else size


def epochs_for(examples: int, batch_size: int) -> int:
    """10, or more where those would be fewer than 400 steps.

    >>> epochs_for(201, 16), epochs_for(201, 64), epochs_for(5000, 64)
    (31, 100, 10)
    """
    return max(EPOCHS, math.ceil(STEPS / math.ceil(examples / batch_size)))
