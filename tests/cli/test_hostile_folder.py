"""In a folder full of a stranger's modules every command runs the one that is named, and no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import forked
from narrows.cli.app import app

NAMES = """
IPython apex bodo bottleneck brotli cuda cudf cupy cython dask datasets envwrap fastparquet flint fx2trt_oss gmpy gmpy2
html5lib ipywidgets jax lxml lz4 monkeytype mpi4py msvcrt numba numexpr onnx onnx_tf onnxruntime openpyxl opt_einsum org
polars psutil pydot pynvml pytz redis scikits sksparse sqlalchemy tables tabulate tensorflow tensorrt torch2trt
torch_xla torchaudio torchcomms torchdistx torchvision transformers tree triton tvm uarray usercustomize xarray xlrd
"""
OPTIONAL = NAMES.split()
"""What torch, pandas and others try to import, or may."""
INSTALLED = ("typer", "torch", "numpy", "PIL", "rich", "click", "pandas", "pyarrow", "optuna", "safetensors", "layers")
MINE = """
import torch
from narrows.networks import mlp

def net():
    return mlp(input_shape=(1, 6, 6), classes=2, hidden=(24,))

def data():
    x = torch.rand(24, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    return x, (x.mean((1, 2, 3)) > 0.5).long()
"""
ASK = ["shop", "-t", "a", "-d", "hook:mine:data"]
QUICK = ["--epochs", "1", "--batch-size", "8", "--set", "density=0.3"]
CALLS = [
    ["init", "shop", "--model", "mine:net"],
    ["init", "worn", "--model", "mine:net"],
    ["learn", *ASK, *QUICK, "--holdout", "0.25"],
    ["adopt", "worn", *ASK[1:], "--epochs", "1", "--density", "0.5"],
    ["learn", "shop", "-t", "b", "-d", "hook:mine:data", *QUICK],
    ["predict", *ASK, "--out", "x.csv"],
    ["predict", *ASK, "--out", "x.parquet"],
    ["evaluate", *ASK],
    ["route", "shop", "-d", "hook:mine:data"],
    ["tasks", "shop"],
    ["show", "shop", "a"],
    ["verify", "shop", "--deep"],
    ["report", "shop", "--data", "a=hook:mine:data"],
    ["plan", "shop"],
    ["watch", "shop", "--port", "0"],
    ["run", "split-digits", "--tasks", "1", "--epochs", "1", "--out", "run", "--log", "tensorboard"],
    [
        "compare",
        "split-digits",
        "-m",
        "independent",
        "--seeds",
        "1",
        "--epochs",
        "1",
        "--tasks",
        "1",
        "--tune",
        "0",
        "--out",
        "grid",
    ],
    ["streams"],
    ["methods"],
    ["forget", "shop", "a", "--yes"],
    ["compact", "shop"],
    ["recover", "shop", "--dry-run"],
]


@pytest.fixture
def folder(tmp_path):
    """Each module there leaves a file in `ran` when it is run."""
    (tmp_path / "ran").mkdir()
    where = tmp_path / "stranger"
    where.mkdir()
    for name in (*OPTIONAL, *INSTALLED):
        (where / f"{name}.py").write_text(f"open({str(tmp_path / 'ran' / name)!r}, 'w').close()\n")
    (where / "mine.py").write_text(MINE)
    return where


def child(where: Path, *words: str) -> subprocess.CompletedProcess[str]:
    own = {"XDG_CONFIG_HOME": str(where.parent / "config"), "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=where, env=os.environ | own, capture_output=True, text=True, timeout=300, check=False
    )


def test_every_command_runs_only_what_is_named(folder):
    assert {call[0] for call in CALLS} == {command.name for command in app.registered_commands}
    driver = Path(__file__).with_name("hostile_driver.py")
    done = child(folder, "-P", str(driver), json.dumps(CALLS))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    wanted = [130 if call[0] == "watch" else 0 for call in CALLS]
    assert told["codes"] == wanted, told["said"]
    assert sorted(os.listdir(folder.parent / "ran")) == []
    assert not told["open"]
    tried = set(told["asked"]) & set(OPTIONAL)
    assert len(tried) >= 5, sorted(told["asked"])  # or this folder tries nothing


def test_the_module_of_the_command_runs_only_itself(folder):
    for words in (["streams"], ["init", "shop", "--model", "mine:net"], ["tasks", "shop"]):
        done = child(folder, "-m", "narrows", *words)
        assert done.returncode == 0, done.stderr
    assert os.listdir(folder.parent / "ran") == []


def test_a_module_beside_the_users_own_is_refused_with_the_way(folder):
    (folder / "mine.py").write_text("import layers\n")
    done = forked.narrows(folder, "init", "shop", "--model", "mine:net").done()
    assert done.returncode == 1
    assert "only 'mine' is taken from there: set PYTHONPATH=." in done.stderr
    assert os.listdir(folder.parent / "ran") == []
