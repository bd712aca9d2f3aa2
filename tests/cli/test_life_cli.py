"""The life of a model on the command line, as a user lives it; what must not depend on luck is compared bit for bit."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
import unicodedata
from datetime import date
from pathlib import Path

import pyarrow.parquet
import pytest
import torch

import forked
import shop_data
from narrows.cli import main
from narrows.production import open_store
from narrows.trackers import read_live
from narrows.training import read_history

MODEL = ["--model", "narrows.networks:mlp", "-a", "input_shape=[1,6,6]", "-a", "classes=2", "-a", "hidden=[24]"]
QUICK = ["--epochs", "6", "--batch-size", "8", "--lr", "0.02", "--set", "density=0.3"]


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def narrows(monkeypatch, capsys, tmp_path):
    """Runs a command in this process: its exit code, what it prints, what it says on standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["narrows", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture(scope="module")
def sold(tmp_path_factory):
    """The folder of a store with two tasks: `light` from a folder of images, `level` from an NPZ file."""
    where = tmp_path_factory.mktemp("sold")
    shop_data.images(where / "photos")
    shop_data.arrays(where / "x.npz")
    commands = [
        ["init", "shop", *MODEL, "--head", "head"],
        ["learn", "shop", "--task", "light", "--data", "photos", "--holdout", "0.25", *QUICK],
        ["learn", "shop", "-t", "level", "-d", "x.npz", *QUICK],
    ]
    done = forked.narrows_in_turn(where, commands, XDG_CONFIG_HOME=str(where / "config")).done()
    assert done.returncode == 0, done.stderr
    return where


@pytest.fixture
def shop(sold, tmp_path):
    """A copy of it in the test's own folder."""
    shutil.copytree(sold, tmp_path, dirs_exist_ok=True)
    return tmp_path / "shop"


def test_a_task_below_its_bar_ends_with_3_and_a_failure_with_1(narrows, shop):
    ask = ("evaluate", shop.name, "-t", "light", "-d", "photos")
    assert narrows(*ask, "--at-least", "accuracy=0", "--at-most", "log_loss=100")[0] == 0
    code, said, noted = narrows(*ask, "--at-least", "accuracy=1.5", "--at-most", "log_loss=-1")
    assert code == 3
    assert "accuracy" in said
    assert "light: accuracy is " in noted
    assert "and at least 1.5 is asked for" in noted
    assert "and at most -1 is asked for" in noted
    for bar, problem in (("acuracy=1", "did you mean 'accuracy'"), ("accuracy=x", "is no number"), ("x", "NAME=VALUE")):
        for task in (("-t", "light"), ()):  # before the data are looked at
            code, _, noted = narrows("evaluate", "shop", *task, "-d", "nowhere", "--at-least", bar)
            assert code == 1
            assert problem in noted
    assert narrows("evaluate", "shop", "-t", "light", "-d", "nowhere", "--at-least", "accuracy=1.5")[0] == 1


def contents(store: Path) -> dict[str, bytes]:
    found = (path for path in store.rglob("*") if path.is_file() and not path.name.startswith(".lock"))
    return {str(path.relative_to(store)): path.read_bytes() for path in found}


@pytest.mark.usefixtures("shop")
def test_a_life(narrows, tmp_path):
    assert narrows("predict", "shop", "-t", "light", "-d", "photos", "-o", "before.csv")[0] == 0
    code, said, noted = narrows("learn", "shop", "-t", "table", "-d", shop_data.table(tmp_path / "t.csv"), *QUICK)
    assert code == 0
    assert "a table with columns: 2 of numbers and 1 of categories (36 inputs, 32 of them zero)" in noted
    assert "of the shared weights" in said
    assert narrows("predict", "shop", "-t", "light", "-d", "photos", "-o", "after.parquet")[0] == 0
    before = shop_data.read(tmp_path / "before.csv")
    after = pyarrow.parquet.read_table(tmp_path / "after.parquet").to_pydict()
    assert [float(row["p_dark"]) for row in before] == after["p_dark"]
    assert [row["prediction"] for row in before] == after["prediction"]
    code, said, noted = narrows("evaluate", "shop", "-d", "photos")
    assert code == 0
    assert "accuracy 1" in said
    assert "left out: table" in noted
    _, said, _ = narrows("predict", "shop", "-t", "table", "-d", "t.csv")
    assert "and 50 more; --out" in said
    code, said, noted = narrows("route", "shop", "-d", "x.npz")
    assert code == 1
    assert "fit 1 of the store's tasks, and to choose takes two" in noted


@pytest.mark.usefixtures("shop")
def test_what_is_known_of_a_task(narrows):
    code, said, _ = narrows("show", "shop", "light")
    assert code == 0
    for part in ("grey images of 6 x 6 pixels", "2 classes (bright, dark)", "ibm (density=0.3)", "builds on it  level"):
        assert part in said
    told = json.loads(narrows("show", "shop", "level", "--json")[1])
    assert told["parents"] == ["light"]
    assert told["data"]["examples"] == 48
    assert set(told["layers"]) == {"hidden.0.weight"}
    assert narrows("tasks", "shop")[0] == 0


def test_forgetting_is_announced_asked_for_and_exact(shop, narrows):
    before = contents(shop)
    narrows("predict", "shop", "-t", "level", "-d", "x.npz", "-o", "before.csv")
    code, said, _ = narrows("forget", "shop", "light", "--dry-run")
    assert code == 0
    assert "would be free again" in said
    assert "level reuses its weights" in said
    assert contents(shop) == before
    code, _, noted = narrows("forget", "shop", "light")
    assert code == 1
    assert "nobody to ask" in noted
    assert contents(shop) == before
    assert narrows("forget", "shop", "light", "--yes")[0] == 0
    assert narrows("compact", "shop")[0] == 0
    narrows("predict", "shop", "-t", "level", "-d", "x.npz", "-o", "after.csv")
    assert Path("before.csv").read_bytes() == Path("after.csv").read_bytes()
    code, said, _ = narrows("verify", "shop", "--deep")
    assert code == 0
    assert "1 of 1 task gives the outputs that were committed, bit for bit" in said
    code, _, noted = narrows("predict", "shop", "-t", "light", "-d", "photos")
    assert code == 1
    assert "no task 'light'" in noted


@pytest.mark.usefixtures("shop")
def test_the_density_is_said_in_one_way_or_another_but_not_twice_otherwise(narrows):
    words = ("learn", "shop", "-d", "photos", "--epochs", "1")
    assert narrows(*words, "-t", "a", "--density", "0.2")[0] == 0
    assert narrows(*words, "-t", "b", "--set", "density=0.2")[0] == 0
    assert narrows(*words, "-t", "c", "--density", "0.2", "--set", "density=0.2", "--set", "refine=false")[0] == 0
    densities = [record.method["config"]["density"] for record in open_store("shop").tasks()]
    assert densities[2:] == [0.2, 0.2, 0.2]
    code, _, noted = narrows(*words, "-t", "d", "--density", "0.2", "--set", "density=0.3")
    assert code == 1
    assert "--density 0.2 and --set density=0.3 are two values of one" in noted


def test_the_next_command_is_quoted_for_a_shell(narrows, tmp_path):
    shop_data.images(tmp_path / "photos")
    _, said, _ = narrows("init", *MODEL, "--head", "head", "--", "-my shop")
    assert "next: narrows learn './-my shop' --task NAME" in said
    _, said, _ = narrows("learn", "-t", "it's light", "-d", "photos", *QUICK, "--", "-my shop")
    words = shlex.split(said.split("next: ")[1])
    assert words[:5] == ["narrows", "predict", "./-my shop", "--task", "it's light"]


def test_the_options_of_learn_stand_in_panels(narrows):
    _, said, _ = narrows("learn", "--help")
    panels = [line.split("─")[1].strip() for line in said.splitlines() if line.startswith("╭")]
    assert panels == ["Arguments", "Options", "Data", "Training", "Machine"]


def test_a_trained_network_of_the_users_own_package_is_adopted(narrows, tmp_path, monkeypatch):
    source = (
        "from torch import nn\n"
        "def net(width):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(36, width), nn.ReLU(), nn.Linear(width, 2))\n"
    )
    (tmp_path / "my_nets.py").write_text(source)  # found in the current directory
    shop_data.images(tmp_path / "photos")
    spaces = {}
    exec(source, spaces)
    torch.save(spaces["net"](8).state_dict(), tmp_path / "w.pt")
    code, said, _ = narrows("init", "shop", "--model", "my_nets:net", "--arg", "width=8", "--weights", "w.pt")
    assert code == 0
    assert "adopt shop --task NAME" in said
    code, said, noted = narrows("adopt", "shop", "-t", "light", "-d", "photos", "--density", "0.5", "--epochs", "3")
    assert code == 0
    assert "capacity won: 50.00%" in said
    assert "little more than chance" in noted  # it was not trained at all
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "stranger"))
    for command in ("predict", "learn"):
        code, _, noted = narrows(command, "shop", "-t", "light", "-d", "photos")
        assert code == 1
        assert "my_nets:net(width=8)" in noted
    code, said, _ = narrows("verify", "shop", "--deep")
    assert code == 0
    assert "outputs were not compared" in said
    assert narrows("predict", "shop", "-t", "light", "-d", "photos", "--trust")[0] == 0
    assert narrows("predict", "shop", "-t", "light", "-d", "photos")[0] == 0


def test_a_hostile_store_cannot_run_a_module_of_the_folder_it_is_unpacked_in(narrows, tmp_path, monkeypatch):
    (tmp_path / "trap.py").write_text(
        "open('owned', 'w').close()\nfrom torch import nn\ndef net():\n    return nn.Linear(4, 4)\n"
    )
    assert narrows("init", "shop", "--model", "trap:net")[0] == 0
    Path("owned").unlink()
    sys.modules.pop("trap")
    sys.path[:] = [place for place in sys.path if place not in ("", os.getcwd())]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "stranger"))
    for words in (
        ["tasks", "shop"],
        ["verify", "shop", "--deep"],
        ["learn", "shop", "-t", "a", "-d", "x.csv"],
        ["predict", "shop", "-t", "a", "-d", "x.csv"],
        ["evaluate", "shop", "-d", "x.csv"],
        ["route", "shop", "-d", "x.csv"],
    ):
        narrows(*words)
        assert not Path("owned").exists()
        assert os.getcwd() not in sys.path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["init", "new", "--model", "nn"], "package.module:factory"),
        (["init", "new", "--model", "no_such_package:net"], "no module 'no_such_package'"),
        (["init", "new", "--model", "narrows.networks:mpl"], "did you mean 'mlp'"),
        (["init", "new", *MODEL, "--arg", "clases=3"], "unexpected keyword"),
        (["init", "new", *MODEL, "--arg", "classes"], "--arg takes NAME=VALUE"),
        (["init", "new", *MODEL, "--weights", "no.pt"], "no file of weights at no.pt"),
        (["init", "new", *MODEL, "--head", "haed"], "no module 'haed'"),
        (["init", "shop", *MODEL], "there is a store"),
        (["learn", "shop", "-t", "light", "-d", "photos"], "already has a task 'light'"),
        (["learn", "shop", "-t", "new", "-d", "nowhere"], "nowhere"),
        (["learn", "shop", "-t", "new", "-d", "bad.csv"], "bad.csv"),
        (["learn", "shop", "-t", "new", "-d", "photos", "-m", "imb"], "did you mean 'ibm'"),
        (["learn", "shop", "-t", "new", "-d", "photos", "--epochs", "0"], "epochs must be a whole number, at least 1"),
        (
            ["learn", "shop", "-t", "new", "-d", "photos", "--batch-size", "0"],
            "batch_size must be a whole number, at least 1",
        ),
        (["learn", "shop", "-t", "new", "-d", "photos", "--patience", "2"], "validation data"),
        (["learn", "shop", "-t", "new", "-d", "photos", "--kind", "ranking"], "kind is one of"),
        (["learn", "shop", "-t", "new", "-d", "photos", "--mean", "0.5"], "said together"),
        (["learn", "shop", "-t", "new", "-d", "photos", "--device", "cuda:55"], "cuda:55"),
        (["learn", "shop", "-t", "a\nb", "-d", "photos"], "control character"),
        (["adopt", "shop", "-t", "new", "-d", "photos"], "Only an empty store can adopt"),
        (["predict", "shop", "-t", "lite", "-d", "photos"], "did you mean 'light'"),
        (["predict", "shop", "-t", "light", "-d", "photos", "-o", "p.txt"], ".csv or .parquet"),
        (["predict", "shop", "-t", "light", "-d", "photos", "-o", "no/p.csv"], "no folder no"),
        (["predict", "shop", "-t", "light", "-d", "bad.csv"], "images"),
        (["evaluate", "shop", "-t", "light", "-d", "bad.csv"], "holds columns; the task was learned from grey images"),
        (["evaluate", "shop", "-d", "bad.csv"], "fit no task"),
        (["route", "shop", "-d", "photos", "--by", "luck"], "entropy or statistics"),
        (["show", "shop", "lite"], "did you mean 'light'"),
        (["forget", "shop", "lite"], "did you mean 'light'"),
    ],
)
def test_bad_input_gets_one_clear_message_and_changes_nothing(words, said, shop, narrows, tmp_path):
    (tmp_path / "bad.csv").write_text("a,label\n1,yes\ninf,no\n")
    before = contents(shop)
    code, _, noted = narrows(*words)
    assert code == 1
    assert noted.count("error:") == 1
    assert said in noted
    assert "Traceback" not in noted
    assert contents(shop) == before
    assert not (tmp_path / "new").exists()


SLOW = ["learn", "shop", "-t", "slow", "-d", "photos", "--batch-size", "2", "--set", "density=0.3", "--holdout", "0.25"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_stopped_in_the_middle_the_same_command_goes_on_to_the_same_weights(number, code, narrows, tmp_path, ends):
    epochs = ["--epochs", "20"]
    shop_data.images(tmp_path / "photos")
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole/photos").symlink_to(tmp_path / "photos")
    for folder in (tmp_path, tmp_path / "whole"):
        assert narrows("init", folder / "shop", *MODEL, "--head", "head")[0] == 0
    process = ends(forked.narrows(tmp_path, *SLOW, *epochs))
    process.wait_for(lambda: list((tmp_path / "shop").glob("progress/*.ckpt")))
    process.send_signal(number)
    noted = process.done().stderr
    assert process.returncode == code
    assert not open_store(tmp_path / "shop").tasks()
    (live,) = (tmp_path / "shop/progress").glob("*.live.jsonl")
    (before,) = read_live(live)
    assert (before.name, before.state) == ("slow", "stopped" if code > 0 else "running")
    if code > 0:
        assert "The same command goes on from there" in noted
        assert "Traceback" not in noted
    code, _, noted = narrows(*SLOW, *epochs)
    assert code == 0
    assert "goes on where it was interrupted" in noted
    os.chdir(tmp_path / "whole")
    assert narrows(*SLOW, *epochs)[0] == 0
    records = [open_store(folder / "shop").tasks()[0] for folder in (tmp_path, tmp_path / "whole")]
    assert records[0].weights_sha256 == records[1].weights_sha256
    assert records[0].history == records[1].history
    assert read_history(records[0].history) is not None
    assert not list((tmp_path / "shop/progress").iterdir())
    os.chdir(tmp_path)
    assert narrows("verify", "shop", "--deep")[0] == 0


def test_learning_is_logged_where_it_was_said_and_nothing_is_left_in_the_store(narrows, tmp_path):
    data = shop_data.images(tmp_path / "photos")
    assert narrows("init", "shop", *MODEL, "--head", "head")[0] == 0
    words = ["learn", "shop", "-t", "light", "-d", data, *QUICK]
    code, _, noted = narrows(*words, "--log", "tensorbord")
    assert code == 1
    assert "did you mean 'tensorboard'?" in noted
    code, _, noted = narrows(*words, "--log", "tensorboard=logs")
    assert code == 0, noted
    assert [file.name.split(".")[0] for file in (tmp_path / "logs/light").iterdir()] == ["events"]
    assert not list((tmp_path / "shop/progress").iterdir()) if (tmp_path / "shop/progress").exists() else True
    assert narrows("verify", "shop")[1].count("harmless") == 0


def messy(where: Path, count: int, seed: int) -> Path:
    """`shop_data.table` as people keep it: an index, ids, money, percentages, dates, decomposed names, spaces."""
    lines = ["\ufeff# sold last month", "|no|when|a|b|colour|label"]
    for row, held in enumerate(shop_data.rows(count, seed)):
        day = f"{1 + row % 28:02}/{1 + row % 12:02}/2024"
        colour = unicodedata.normalize("NFD", str(held["colour"]).replace("green", "grün"))
        a, b = 1000 * round(float(held["a"]), 5), round(float(held["b"]), 4)  # type: ignore[arg-type]
        money = f"(${-a:,.2f})" if a < 0 else f"${a:,.2f}"
        lines.append(f"{row}|{seed:02}-{row:03}|{day}|{money}|{b}%|{colour} |{held['label']}")
    where.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return where


def tidied(where: Path, count: int, seed: int) -> Path:
    """The same as a program would have it."""
    lines = ["when,a,b,colour,label"]
    for row, held in enumerate(shop_data.rows(count, seed)):
        day = (date(2024, 1 + row % 12, 1 + row % 28) - date(1970, 1, 1)).days
        a, b = round(1000 * round(float(held["a"]), 5), 2), round(float(held["b"]), 4)  # type: ignore[arg-type]
        lines.append(f"{day},{a},{b},{str(held['colour']).replace('green', 'grün')},{held['label']}")
    where.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return where


def test_a_messy_table_is_learned_to_the_same_weights_as_the_clean_one(narrows, tmp_path):
    weights, figures = [], []
    for write in (messy, tidied):
        store, name = write.__name__, write.__name__ + ".csv"
        write(tmp_path / name, 60, 1)
        write(tmp_path / f"new-{name}", 40, 2)
        narrows("init", store, *MODEL, "--head", "head")
        left_out = ["--id", "no"] if write is messy else []
        code, said, noted = narrows("learn", store, "-t", "t", "-d", name, "--holdout", "0.25", *left_out, *QUICK)
        assert code == 0, noted
        weights.append(open_store(tmp_path / store).load("t").state_dict())
        code, said, _ = narrows("evaluate", store, "-t", "t", "-d", f"new-{name}")
        figures.append(said)
        if write is messy:
            for told in (
                "'Unnamed: 0' was left out",
                "numbers in '$'",
                "numbers in '%'",
                "DD/MM/YYYY",
                "60 of 60 texts",
            ):
                assert told in noted
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])
    assert figures[0] == figures[1]
    assert narrows("predict", "messy", "-t", "t", "-d", "new-messy.csv", "-o", "p.csv")[0] == 0
    read = shop_data.read(tmp_path / "p.csv")
    assert [row["no"] for row in read] == [f"02-{row:03}" for row in range(40)]
    (tmp_path / "wrong.csv").write_text("when|a|b|colour\n01/02/2024|$5|5%|red\n31/31/2024|5 kg|5|red\n")
    code, _, noted = narrows("predict", "messy", "-t", "t", "-d", "wrong.csv", "--bad", "refuse")
    assert code == 1
    assert "1: column 'when' has '31/31/2024', which cannot be read as dates (DD/MM/YYYY)" in noted


OWN_NETS = """
import torch
from torch import nn
class Own(nn.Linear):
    def __init__(self):
        super().__init__(4, 4)
        self.w = nn.Parameter(torch.ones(4, 6))
def own():
    return nn.Sequential(Own(), nn.Linear(4, 2))
def uncopyable():
    model = nn.Sequential(nn.utils.spectral_norm(nn.Linear(4, 4)), nn.Linear(4, 2))
    model(torch.ones(1, 4))
    return model
def lazy():
    return nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 2))
"""


def test_init_says_what_each_task_keeps_whole_and_what_it_cannot_take(narrows, tmp_path, monkeypatch):
    (tmp_path / "own_nets.py").write_text(OWN_NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    code, said, _ = narrows("init", "said", "--model", "own_nets:own")
    assert code == 0
    assert "note: Each task will keep for itself, whole, 44.4% of the weights" in said
    assert "shared=['0.w']" in said
    assert "said: 24 weights that tasks will share" in said
    code, said, _ = narrows("init", "more", "--model", "own_nets:own", "--shared", "0.w")
    assert (code, "note:" in said) == (0, False)
    assert "more: 48 weights that tasks will share" in said
    code, said, _ = narrows("init", "less", "--model", "own_nets:own", "--private", "0")
    assert (code, "note:" in said) == (0, False)
    assert "less: 8 weights that tasks will share" in said
    for words, problem in (
        (("own_nets:own", "--shared", "0.v"), "shared=['0.v'] names nothing"),
        (("own_nets:own", "--private", "3"), "private=['3'] names nothing"),
        (("own_nets:uncopyable",), "parametrizations.spectral_norm"),
        (("own_nets:lazy",), "'0.weight' has no shape yet"),
    ):
        code, _, noted = narrows("init", "none", "--model", *words)
        assert code == 1
        assert problem in noted
        assert "Traceback" not in noted
        assert not (tmp_path / "none").exists()
