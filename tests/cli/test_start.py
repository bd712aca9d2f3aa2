"""What a command does not need is not imported: torch takes seconds."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import narrows
import narrows.production
import narrows.report
import narrows.store
import narrows.tasks
from narrows.cli.app import app

WITHOUT_TORCH = """
import io, os, sys
from contextlib import redirect_stdout

def main(*words, **environment):
    for module in [name for name in sys.modules if name.split(".")[0] in ("narrows", "typer")]:
        del sys.modules[module]  # as if the process had just begun
    from narrows.cli import main
    os.environ |= environment
    sys.argv = ["narrows", *words]
    with redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as end:
            assert not end.code, (words, end.code)
    for name in environment:
        del os.environ[name]
    assert "torch" not in sys.modules, words
    assert "numpy" not in sys.modules, words
    return out.getvalue()
"""


def without_torch(script: str, *words: str) -> str:
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH + script, *words]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_version_and_completion_need_no_torch():
    names = [str(command.name) for command in app.registered_commands]
    script = """
names = sys.argv[1:]
main("--help")
main("--version")
for name in names:
    main(name, "--help")
main(_NARROWS_COMPLETE="complete_bash", COMP_WORDS="narrows learn --ho", COMP_CWORD="2")
"""
    without_torch(script, *names)


def test_what_a_store_holds_is_listed_without_torch(made):
    script = """
store = sys.argv[1]
sys.__stdout__.write(main("tasks", store) + main("tasks", store, "--json"))
main("streams")
"""
    told = without_torch(script, str(made / "løden"))
    assert "größe ≈ 二" in told
    assert '"format": "narrows-tasks"' in told


def test_a_library_that_is_imported_only_is_without_torch():
    without_torch("import narrows\nassert narrows.errors.NarrowsError\nassert 'torch' not in sys.modules")


@pytest.mark.parametrize(
    "package", [narrows, narrows.store, narrows.tasks, narrows.production, narrows.report], ids=lambda one: one.__name__
)
def test_every_public_name_is_there_when_it_is_asked_for(package):
    for name in package.__all__:
        assert name in dir(package)
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match=re.escape(f"module '{package.__name__}' has no attribute 'nothing'")):
        _ = package.nothing


@pytest.mark.parametrize("package", [narrows.store, narrows.tasks, narrows.production, narrows.report])
def test_no_public_name_is_that_of_a_module_too(package):
    """A module that is imported takes its name in the package, whatever was there."""
    modules = {entry.split(".")[0] for entry in os.listdir(package.__path__[0])}
    assert not modules & set(package.__all__)
