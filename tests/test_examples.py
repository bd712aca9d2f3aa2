"""The examples and the README's code run as a reader would run them, with warnings as errors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(where: Path, *arguments: str) -> str:
    """Standard output of Python in the folder `where`, whose temporary files go there too."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(where), "PYTHONWARNINGS": ""}
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=where,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def fractions(pattern: str, text: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, text)]


def test_own_training_loop(tmp_path: Path) -> None:
    said = run(tmp_path, str(ROOT / "examples/own_training_loop.py"))
    accuracies = fractions(r"accuracy (\S+),", said)
    assert len(accuracies) == 2
    assert min(accuracies) > 0.95
    assert "used: 5.00%" in said


def test_attention(tmp_path: Path) -> None:
    said = run(tmp_path, str(ROOT / "examples/attention.py"))
    accuracies = fractions(r"accuracy ([0-9.]+)", said)
    assert len(accuracies) == 2
    assert min(accuracies) > 0.9
    assert fractions(r"([0-9.]+)% of the variance", said)[0] > 90
    assert "reuses weights of which digit, odd or even" in said


def test_next_month(tmp_path: Path) -> None:
    said = run(tmp_path, str(ROOT / "examples/next_month.py"))
    assert "opened shop: september" in said
    assert "identical, bit for bit" in said


def test_next_month_twice(tmp_path: Path) -> None:
    example, store = str(ROOT / "examples/next_month.py"), str(tmp_path / "store")
    said = [run(tmp_path, example, store) for _ in range(3)]
    assert "learned month 3" in said[2]
    assert "identical, bit for bit" in said[2]


def test_the_readme_code_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert len(blocks) == 1
    assert len(blocks[0].splitlines()) <= 15
    said = run(tmp_path, "-c", blocks[0])
    assert fractions(r"([0-9.]+)", said)[0] > 0.9
