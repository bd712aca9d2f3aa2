"""The examples and the README's code run as a reader would run them, with warnings as errors."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from forked import Forked, code, narrows_in_turn, script

ROOT = Path(__file__).parents[1]


def run(child: Forked, quiet: bool = True) -> str:
    """Standard output of a child that ends well, and says nothing else where it is `quiet`."""
    done = child.done()
    assert done.returncode == 0, done.stderr
    assert not (quiet and done.stderr)
    return done.stdout


def example(where: Path, name: str, *words: str) -> str:
    """What an example says, whose temporary files go into `where`."""
    own = {"TMPDIR": str(where), "XDG_CONFIG_HOME": str(where / "config")}
    return run(script(where, ROOT / "examples" / name, *words, **own))


def page_code(where: Path, text: str) -> str:
    """What a page's Python says; what the user trusts is kept in `where`."""
    return run(code(where, text, XDG_CONFIG_HOME=str(where / "config")))


def page_commands(where: Path, commands: list[list[str]]) -> str:
    """What a page's commands say, one after the other."""
    return run(
        narrows_in_turn(where, [words[1:] for words in commands], XDG_CONFIG_HOME=str(where / "config")), quiet=False
    )


def fractions(pattern: str, text: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, text)]


def test_own_training_loop(tmp_path: Path) -> None:
    said = example(tmp_path, "own_training_loop.py")
    accuracies = fractions(r"accuracy (\S+),", said)
    assert len(accuracies) == 2
    assert min(accuracies) > 0.95
    assert "used: 5.00%" in said


def test_attention(tmp_path: Path) -> None:
    said = example(tmp_path, "attention.py")
    accuracies = fractions(r"accuracy ([0-9.]+)", said)
    assert len(accuracies) == 2
    assert min(accuracies) > 0.8
    assert fractions(r"([0-9.]+)% of the variance", said)[0] > 75
    assert "reuses weights of which digit, odd or even" in said


def test_next_month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its second half is a process of its own: the one example that a real interpreter runs."""
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    said = example(tmp_path, "next_month.py")
    assert "opened shop: september" in said
    assert "identical, bit for bit" in said


def test_production(tmp_path: Path) -> None:
    said = example(tmp_path, "production.py")
    accuracies = fractions(r"accuracy ([0-9.]+)", said)
    assert len(accuracies) == 3
    assert min(accuracies) > 0.85
    assert "wine builds on parts" in said
    assert "4505 numbers, identical" in said
    assert "sound: True, same" in said


def code_of(page: str) -> str:
    """The one block of Python on a page."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)
    assert len(blocks) == 1
    return str(blocks[0])


def test_the_readme_code_runs(tmp_path: Path) -> None:
    block = code_of("README.md")
    assert len(block.splitlines()) <= 15
    accuracy, used = map(float, page_code(tmp_path, block).split())
    assert accuracy > 0.95
    assert round(used, 3) == 0.05


def test_the_code_of_the_page_on_training_runs(tmp_path: Path) -> None:
    assert page_code(tmp_path, code_of("docs/training.md")) == ""


USE_OF_THE_METHOD = """
import torch
model = torch.nn.Sequential(torch.nn.Linear(8, 40), torch.nn.ReLU(), torch.nn.Linear(40, 3))
store = nw.TaskStore.create("store", model, head="2")
x, y = torch.randn(64, 8), torch.arange(64) % 3
outputs = []
for name in ("a", "b"):
    with store.begin(name, OneShot(density=0.25), head=3) as task:
        task.fit([(x, y)], nw.Training(10))
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
    said = page_code(tmp_path, code_of("docs/production.md"))
    assert "returns.csv" in said
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 3


def test_the_code_of_the_page_on_fit_runs(tmp_path: Path) -> None:
    page_code(tmp_path, code_of("docs/fit.md"))


def test_the_method_of_the_architecture_page_keeps_the_contract(tmp_path: Path) -> None:
    page_code(tmp_path, code_of("docs/architecture.md") + USE_OF_THE_METHOD)


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
    for learn in words[1:3]:
        learn += ["--epochs", "4"]  # else as many as make 400 steps
    photos(tmp_path / "photos", ("cup", "plate"))
    photos(tmp_path / "photos-held-out", ("cup", "plate"), 3)
    photos(tmp_path / "returns-photos", ("broken", "whole"))
    photos(tmp_path / "new-photos", ("some",), 3)
    said = page_commands(tmp_path, words)
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
    page_code(tmp_path, "import nets, torch; torch.save(nets.net().state_dict(), 'trained.pt')")
    photos(tmp_path / "photos", ("cup", "plate"))
    photos(tmp_path / "photos-held-out", ("cup", "plate"), 3)
    words[1] += ["--image-size", "8"]  # photos of one size need it not
    assert "capacity won" in page_commands(tmp_path, words)


def test_the_commands_of_the_guide_s_pilot_run(tmp_path: Path) -> None:
    """All of them, in order, as they stand on the page; then the gate of the roll-out on what they made."""
    page = (ROOT / "docs/guide/2-pilot.md").read_text()
    data, *commands = [shlex.split(line) for line in re.findall(r"^    ((?:narrows|python) .+)$", page, re.M)]
    assert "line A: 400 examples" in example(tmp_path, data[1].removeprefix("examples/"), *data[2:])
    said = page_commands(tmp_path, commands)
    assert "3 of 3 tasks give the outputs that were committed" in " ".join(said.split())
    accuracies = fractions(r"examples \d+, accuracy ([0-9.]+)", said)
    assert min(accuracies) > 0.8
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 151
    assert (tmp_path / "report.html").stat().st_size > 100_000
    gate = code_of("docs/guide/6-roll-out.md").replace("shop.new", "pilot").replace("june", "line-b")
    page_code(tmp_path, gate.replace('f"{task}-fresh.npz"', 'f"data/{task}-fresh.npz"').replace("0.90", "0.80"))
