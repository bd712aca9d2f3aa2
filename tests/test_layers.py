"""The import contract of pyproject.toml holds, and would be seen to break."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def lint(where: Path) -> subprocess.CompletedProcess[str]:
    program = "import sys; sys.path.insert(0, 'src'); from importlinter.cli import lint_imports_command as c; c()"
    command = [sys.executable, "-c", program, "--no-cache"]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)


def test_imports_point_down_only():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


def test_an_import_that_points_up_is_caught(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src")
    with (tmp_path / "src/narrows/masks/flat.py").open("a") as file:
        file.write("\nimport narrows.store\n")
    done = lint(tmp_path)
    assert done.returncode == 1
    assert "narrows.masks.flat -> narrows.store" in done.stdout
