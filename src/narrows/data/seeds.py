"""Independent random generators from one seed, the same on every machine and in every process."""

from __future__ import annotations

import numpy as np
import torch

from narrows.errors import ConfigError

# What a generator is for; appended to, never renumbered, or recorded seeds change their meaning.
HOLD_OUT, CLASS_ORDER, PERMUTATION, EPOCH, TASK_ORDER, VALIDATION = range(6)


def generator(seed: int, purpose: int, index: int = 0) -> torch.Generator:
    """A CPU generator for (seed, purpose, index); streams of different triples are independent.

    Seeds are mixed (numpy's SeedSequence, whose output is guaranteed stable) and not added, so that
    task 1 of seed 0 never shares its permutation with task 0 of seed 1. ConfigError: seed below zero.
    """
    if seed < 0:
        raise ConfigError(f"the seed must be zero or more, not {seed}")
    state = np.random.SeedSequence((seed, purpose, index)).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))
