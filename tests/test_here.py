"""A module is found in the current directory by its own name, and nothing else that lies there."""

from __future__ import annotations

import importlib
import importlib.util
import py_compile
import sys
from pathlib import Path

import pytest

from narrows.data.sources.hook import open_hook
from narrows.errors import DataError, ModelBuildError
from narrows.factories import Factory
from narrows.here import _Here, look_here, looking_here, way_to

NETS = "import torch\ndef net():\n    return torch.nn.Linear(1, 1)\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Commands that other tests run in this process leave their finders behind.
    monkeypatch.setattr(sys, "meta_path", [finder for finder in sys.meta_path if not isinstance(finder, _Here)])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_only_the_module_that_is_named_is_found(folder):
    path = list(sys.path)
    for name in ("here_nets", "here_pytz"):
        (folder / f"{name}.py").write_text(NETS)
    look_here("here_nets:net")
    assert Factory("here_nets:net").build().out_features == 1
    assert importlib.util.find_spec("here_pytz") is None
    assert sys.path == path


def test_modules_of_the_users_own_package_are_found(folder):
    (folder / "here_shop").mkdir()
    (folder / "here_shop/nets.py").write_text("from here_shop.layers import *\nfrom .layers import *\n")
    (folder / "here_shop/layers.py").write_text(NETS)
    look_here("here_shop.nets:net")
    assert Factory("here_shop.nets:net").build().out_features == 1


def test_an_installed_module_comes_first(folder):
    (folder / "typer.py").write_text("raise SystemExit('taken')\n")
    look_here("typer:net")
    assert Path(importlib.util.find_spec("typer").origin).parent != folder


def test_a_module_beside_it_is_not_found_and_the_way_is_said(folder):
    way = (
        "There is a 'here_layers' in the current directory, but only 'here_nets' is taken from there: set PYTHONPATH=."
    )
    (folder / "here_layers.py").write_text(NETS)
    (folder / "here_nets.py").write_text("from here_layers import net\n")
    look_here("here_nets:net")
    with pytest.raises(ModelBuildError, match=way):
        Factory("here_nets:net").build()
    with pytest.raises(DataError, match=way):
        open_hook("here_nets:net")
    (folder / "here_nets.py").write_text("def net():\n    import here_layers\n")
    with pytest.raises(ModelBuildError, match=way):
        Factory("here_nets:net").build()
    assert way_to("nowhere_at_all") == way_to(None) == ""


def test_nothing_stays_open_where_nobody_trusted_it(folder):
    (folder / "here_nets.py").write_text(NETS)
    with pytest.raises(ZeroDivisionError), looking_here("here_nets:net"):
        1 / (importlib.util.find_spec("here_nets") is None)
    assert importlib.util.find_spec("here_nets") is None


def test_the_source_runs_and_not_a_cache_that_came_with_it(folder):
    (folder / "here_nets.py").write_text("raise SystemExit('cache')\n")
    cache = py_compile.compile("here_nets.py", invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert Path(cache).exists()
    (folder / "here_nets.py").write_text(NETS)
    look_here("here_nets:net")
    assert Factory("here_nets:net").build().out_features == 1
