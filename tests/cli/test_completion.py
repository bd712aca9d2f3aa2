"""Completion as the shells ask for it: by environment variables, and bash itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from terminals import Screen, run


def asked(monkeypatch, **environment: str) -> list[str]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    out = Screen("utf-8")
    run(monkeypatch, [], out, Screen("utf-8"))
    return out.text.splitlines()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("narrows ta", "tasks"), ("narrows learn --ho", "--holdout"), ("narrows --ver", "--version")],
)
def test_each_shell_is_answered(typed, expected, monkeypatch):
    words = typed.split()
    bash = asked(monkeypatch, _NARROWS_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=str(len(words) - 1))
    assert bash == [expected]
    zsh = asked(monkeypatch, _NARROWS_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=typed)
    assert any(f'"{expected}"' in line for line in zsh)
    fish = asked(
        monkeypatch,
        _NARROWS_COMPLETE="complete_fish",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
        _TYPER_COMPLETE_ARGS=typed,
    )
    assert fish[0].split("\t")[0] == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_shown_and_installed(shell, tmp_path, monkeypatch):
    monkeypatch.setattr("shellingham.detect_shell", lambda: (shell, f"/bin/{shell}"))
    shown = Screen("utf-8")
    assert run(monkeypatch, ["--show-completion"], shown, Screen("utf-8")) == 0
    assert f"complete_{shell}" in shown.text
    monkeypatch.setattr("shellingham.detect_shell", lambda: (shell, f"/bin/{shell}"))
    monkeypatch.setenv("HOME", str(tmp_path))
    out = Screen("utf-8")
    assert run(monkeypatch, ["--install-completion"], out, Screen("utf-8")) == 0
    assert f"{shell} completion installed" in out.text
    assert any("_NARROWS_COMPLETE" in file.read_text() for file in tmp_path.rglob("*") if file.is_file())


def test_bash_completes(tmp_path, monkeypatch):
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))
    shown = Screen("utf-8")
    run(monkeypatch, ["--show-completion"], shown, Screen("utf-8"))
    (tmp_path / "completion").write_text(shown.text)
    program = tmp_path / "narrows"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m narrows "$@"\n')
    program.chmod(0o755)
    script = f"""
    PATH={tmp_path}:$PATH; source {tmp_path}/completion
    COMP_WORDS=(narrows verify --d) COMP_CWORD=2; _narrows_completion narrows; echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "--deep\n"
    assert Path(program).exists()
