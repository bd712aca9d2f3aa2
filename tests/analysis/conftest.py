"""A store of two hundred tasks, made once."""

from __future__ import annotations

import pytest

from analysis_samples import random_store


@pytest.fixture(scope="session")
def large_store(tmp_path_factory):
    """Two hundred tasks that claim one weight of six hundred each and reuse up to three; not to be changed."""
    return random_store(tmp_path_factory.mktemp("large") / "s", 200, claim=1, shapes={"w": (30, 20)})
