"""What is declared to be installed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]


def test_all_is_every_extra_but_the_tools() -> None:
    extras = PROJECT["optional-dependencies"]
    (said,) = extras["all"]
    found = re.fullmatch(r"narrows\[(.*)\]", said)
    assert found is not None
    assert set(found[1].split(",")) == extras.keys() - {"all", "dev", "torture"}
