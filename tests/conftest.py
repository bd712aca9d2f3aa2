"""What every test starts from: a fixed seed, and Hypothesis without chance or haste."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings

settings.register_profile("narrows", deadline=None, derandomize=True)
settings.load_profile("narrows")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
