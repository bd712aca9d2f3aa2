"""Code is known by where it lies, without being imported."""

from __future__ import annotations

import hashlib
import sys

import pytest

from narrows.factories.origin import Origin, origin_of
from narrows.here import looking_here


@pytest.fixture(autouse=True)
def _own_finders(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))


def test_python_and_installed_packages_go_by_their_name():
    for factory in ("os:system", "builtins:exec", "json.tool:main", "sys:exit"):
        assert origin_of(factory) == Origin("Python itself")
    assert origin_of("torch.nn:Linear") == Origin("the installed package torch")
    assert origin_of("pytest:main") == Origin("the installed package pytest")
    assert origin_of("nowhere.at.all:net") is None


def test_a_file_goes_by_its_bytes_and_a_package_by_its_folder(tmp_path, monkeypatch):
    (tmp_path / "one_file.py").write_bytes(b"raise SystemExit\n")
    (tmp_path / "a_package").mkdir()
    (tmp_path / "a_package/__init__.py").write_bytes(b"raise SystemExit\n")
    (tmp_path / "bare").mkdir()
    (tmp_path / "link.py").symlink_to("one_file.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    digest = hashlib.sha256(b"raise SystemExit\n").hexdigest()
    file = f"the file {tmp_path}/one_file.py (SHA-256 {digest})"
    assert origin_of("one_file:net") == origin_of("link:net") == Origin(file)
    assert origin_of("a_package.nets:net") == Origin(f"the folder {tmp_path}/a_package")
    assert origin_of("bare.nets:net") == Origin(f"the folder {tmp_path}/bare")


def test_what_was_found_in_the_current_directory_is_told_apart(tmp_path, monkeypatch):
    (tmp_path / "only_here.py").touch()
    monkeypatch.chdir(tmp_path)
    assert origin_of("only_here:net") is None
    with looking_here("only_here:net"):
        assert origin_of("only_here:net").here


def test_a_module_of_this_process_is_known_by_its_file(monkeypatch, tmp_path):
    (tmp_path / "main.py").write_bytes(b"")
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(tmp_path / "main.py"), raising=False)
    assert origin_of("__main__:net").text.startswith(f"the file {tmp_path}/main.py (SHA-256 ")
    monkeypatch.delattr(sys.modules["__main__"], "__file__")
    assert origin_of("__main__:net") == Origin("__main__ of this process")
