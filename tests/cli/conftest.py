"""A store to run commands on, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from terminals import make_shop


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `make_shop`. Tests write into a copy."""
    where = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(where / "config"))
        make_shop(where)
    return where
