"""The examples and the README's code run as a reader would run them, with warnings as errors."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]


def call(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in the folder `where`, whose temporary files and settings go there too."""
    here = {"TMPDIR": str(where), "XDG_CONFIG_HOME": str(where / "config")}
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=where,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": ""} | here,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def run(where: Path, *arguments: str) -> str:
    """Standard output of Python that says nothing else."""
    done = call(where, *arguments)
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
    assert fractions(r"([0-9.]+)% of the variance", said)[0] > 75
    assert "reuses weights of which digit, odd or even" in said


def test_next_month(tmp_path: Path) -> None:
    said = run(tmp_path, str(ROOT / "examples/next_month.py"))
    assert "opened shop: september" in said
    assert "identical, bit for bit" in said


def test_production(tmp_path: Path) -> None:
    said = run(tmp_path, str(ROOT / "examples/production.py"))
    accuracies = fractions(r"accuracy ([0-9.]+)", said)
    assert len(accuracies) == 3
    assert min(accuracies) > 0.85
    assert "wine builds on parts" in said
    assert "4505 numbers, identical" in said
    assert "sound: True, same" in said


def code(page: str) -> str:
    """The one block of Python on a page."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)
    assert len(blocks) == 1
    return str(blocks[0])


def test_the_readme_code_runs(tmp_path: Path) -> None:
    block = code("README.md")
    assert len(block.splitlines()) <= 15
    accuracy, used = map(float, run(tmp_path, "-c", block).split())
    assert accuracy > 0.95
    assert round(used, 3) == 0.05


def test_the_code_of_the_page_on_training_runs(tmp_path: Path) -> None:
    assert run(tmp_path, "-c", code("docs/training.md")) == ""


USE_OF_THE_METHOD = """
import torch
model = torch.nn.Sequential(torch.nn.Linear(8, 40), torch.nn.ReLU(), torch.nn.Linear(40, 3))
store = nw.TaskStore.create("store", model)
x, y = torch.randn(64, 8), torch.arange(64) % 3
outputs = []
for name in ("a", "b"):
    with store.begin(name, OneShot(density=0.25), head=("2", torch.nn.Linear(40, 3))) as task:
        task.fit([(x, y)], epochs=10)
        task.commit()
    outputs.append(store.load("a")(x))
assert torch.equal(*outputs)
assert [sum(layer.used for layer in store.explain(name)) for name in "ab"] == [80, 80]
assert not store.verify()
"""


def test_the_code_of_the_production_page_runs(tmp_path: Path) -> None:
    rows = "\n".join(f"{i},{i % 7},{'odd' if i % 2 else 'even'}" for i in range(60))
    (tmp_path / "returns.csv").write_text(f"a,b,reason\n{rows}\n")
    (tmp_path / "new.csv").write_text("a,b\n1,2\n3,4\n")
    said = run(tmp_path, "-c", code("docs/production.md"))
    assert "returns.csv" in said
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 3


def test_the_code_of_the_page_on_fit_runs(tmp_path: Path) -> None:
    run(tmp_path, "-c", code("docs/fit.md"))


def test_the_method_of_the_architecture_page_keeps_the_contract(tmp_path: Path) -> None:
    run(tmp_path, "-c", code("docs/architecture.md") + USE_OF_THE_METHOD)


IN_TURN = """
import json, sys
from narrows.cli import main
for sys.argv in json.loads(sys.argv[1]):
    try:
        main()
    except SystemExit as end:
        assert not end.code, sys.argv
"""


def commands(page: str) -> list[list[str]]:
    """The commands that stand on a page without their output."""
    return [shlex.split(line) for line in re.findall(r"^    (narrows (?!run).+)$", (ROOT / page).read_text(), re.M)]


def photos(where: Path, classes: tuple[str, ...], each: int = 20) -> None:
    """A folder of photos for each class, of different sizes, as JPEG."""
    draw = np.random.default_rng(len(where.name))
    for number, name in enumerate(classes):
        (where / name).mkdir(parents=True)
        for i in range(each):
            noise = draw.integers(0, 60, (40 + i, 60, 3), dtype=np.uint8)
            Image.fromarray(noise + np.uint8(120 * number)).save(where / name / f"{i:02}.jpg")


def test_the_readme_s_example_of_production_runs(tmp_path: Path) -> None:
    words = commands("README.md")[:4]
    assert [command[1] for command in words] == ["init", "learn", "learn", "predict"]
    photos(tmp_path / "photos", ("cup", "plate"))
    photos(tmp_path / "photos-held-out", ("cup", "plate"), 3)
    photos(tmp_path / "returns-photos", ("broken", "whole"))
    photos(tmp_path / "new-photos", ("some",), 3)
    said = call(tmp_path, "-c", IN_TURN, json.dumps(words)).stdout
    assert "wrote 3 predictions of returns" in said
    assert (tmp_path / "predictions.parquet").exists()


NETS = """
from narrows.networks import mlp
def net():
    return mlp([3, 8, 8], 2)
"""


def test_the_production_page_s_example_of_adopting_runs(tmp_path: Path) -> None:
    words = [command for command in commands("docs/production.md") if {"--weights", "adopt"} & set(command)]
    assert [command[1] for command in words] == ["init", "adopt"]
    (tmp_path / "nets.py").write_text(NETS)
    run(tmp_path, "-c", "import nets, torch; torch.save(nets.net().state_dict(), 'trained.pt')")
    photos(tmp_path / "photos", ("cup", "plate"))
    photos(tmp_path / "photos-held-out", ("cup", "plate"), 3)
    words[1] += ["--image-size", "8"]  # photos of one size need it not
    assert "capacity won" in call(tmp_path, "-c", IN_TURN, json.dumps(words)).stdout


def test_the_commands_of_the_guide_s_pilot_run(tmp_path: Path) -> None:
    """All of them, in order, as they stand on the page; then the gate of the roll-out on what they made."""
    page = (ROOT / "docs/guide/2-pilot.md").read_text()
    data, *commands = [shlex.split(line) for line in re.findall(r"^    ((?:narrows|python) .+)$", page, re.M)]
    assert "line A: 400 examples" in run(tmp_path, str(ROOT / data[1]), *data[2:])
    said = call(tmp_path, "-c", IN_TURN, json.dumps(commands)).stdout
    assert "3 of 3 tasks give the outputs that were committed" in " ".join(said.split())
    accuracies = fractions(r"examples \d+, accuracy ([0-9.]+)", said)
    assert min(accuracies) > 0.8
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 151
    assert (tmp_path / "report.html").stat().st_size > 100_000
    gate = code("docs/guide/6-roll-out.md").replace("shop.new", "pilot").replace("june", "line-b")
    run(tmp_path, "-c", gate.replace('f"{task}-fresh.npz"', 'f"data/{task}-fresh.npz"').replace("0.90", "0.80"))
