"""Suggested commands say `narrows` where the shell finds this one by it."""

from __future__ import annotations

import os
import sys

import pytest

from narrows.cli.suggesting import program


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A command in an environment of its own, and another of that name."""
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "narrows").write_text("#!/bin/sh\n")
        (tmp_path / name / "narrows").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "ours/python"))
    monkeypatch.setattr(sys, "orig_argv", ["python3", "-m", "narrows"])
    return tmp_path


@pytest.mark.parametrize(
    ("called", "path", "expected"),
    [
        ("ours/narrows", "ours", ("narrows",)),
        ("ours/narrows", "theirs", ("ours/narrows",)),
        ("ours/narrows", "nowhere", ("ours/narrows",)),
        ("lib/narrows/__main__.py", "ours", ("narrows",)),
        ("lib/narrows/__main__.py", "theirs", ("python3", "-m", "narrows")),
    ],
)
def test_a_command_is_called_as_the_shell_finds_it(called, path, expected, installed, monkeypatch):
    monkeypatch.chdir(installed)
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setenv("PATH", str(installed / path) + os.pathsep)
    assert program() == expected
