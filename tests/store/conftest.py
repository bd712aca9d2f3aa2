"""A store of two tasks, and a copy of it to be harmed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from store_samples import make


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "s"
    make(path, 2)
    return path


@pytest.fixture
def root(sound, tmp_path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "s"))
