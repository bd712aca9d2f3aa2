"""The import contract of pyproject.toml holds."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_imports_point_down_only():
    program = "import sys; sys.path.insert(0, 'src'); from importlinter.cli import lint_imports_command as c; c()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_no_two_modules_import_each_other():
    """Neither at the top, nor inside functions, nor for types only."""
    source = ROOT / "src"
    modules = {_module(path.relative_to(source)): path for path in (source / "narrows").rglob("*.py")}
    imported = {name: _imported(path) for name, path in modules.items()}
    found = {
        name: {module if module in modules else module.rpartition(".")[0] for module in named} & modules.keys()
        for name, named in imported.items()
    }
    pairs = {tuple(sorted((one, other))) for one in found for other in found[one] - {one} if one in found[other]}
    assert pairs == set()


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _imported(path: Path) -> set[str]:
    """What each import may name: a module, or something in one."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports are not used"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names
