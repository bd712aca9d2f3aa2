"""Four first uses, as a newcomer would: messy files, the commands with their defaults, and scikit-learn beside them.

    python benchmarks/first_use.py --photos ../shared/data/cifar-100

A table of customers by site (three sites, each exported in its country's way), a messy folder of photos, tags, and a
sensor's regression. Tables are made from a seed, photos are of CIFAR-100. Each is written to files as people have them
(a saved index, ids, currencies, decimal commas, dates, WebP and TIFF, EXIF turns, links, a broken file), then learned,
by `narrows init` and `narrows learn`, from the files. scikit-learn's logistic (ridge for numbers) regression and
gradient boosting get the same rows clean, as somebody would prepare them by hand. All are measured on the same fresh
rows; defaults everywhere. Three seeds, standard errors; the result goes to benchmarks/results/first-use.json.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray
from PIL import Image
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import accuracy_score, f1_score, r2_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from narrows.benchmarks.environment import environment

OUT = Path(__file__).parent / "results" / "first-use.json"
FRESH = 1000
Array = NDArray[Any]
Say = list[str]


@dataclass(frozen=True)
class Use:
    """One task: its files, what to say to `init` and to `learn`, and the same rows clean for scikit-learn.

    Attributes:
        figure: of `narrows evaluate`; the higher the better.
        clean: training inputs and targets, fresh inputs and targets.
    """

    name: str
    learned: Path
    fresh: Path
    options: Say
    init: Say
    figure: str
    clean: tuple[Array, Array, Array, Array]


def customers(folder: Path, rng: np.random.Generator) -> Iterator[Use]:
    """Three sites: who will leave? By interactions of price, use and age, a little different at each site."""
    plans = np.array(["basic", "plus", "família"])
    for number, (site, rows) in enumerate({"boston": 1500, "berlin": 600, "lyon": 400}.items()):
        n = rows + FRESH
        price, discount = rng.lognormal(4, 1.2, n).round(2), rng.integers(0, 31, n)
        visits, plan, age = rng.poisson(6, n), rng.integers(0, 3, n), rng.integers(30, 2000, n)
        worth = visits * (1 + plan) / np.sqrt(price) * 4
        odds = 2.2 * np.tanh(1.5 - worth / 3 + 0.2 * number) + (age < 200) * (discount < 10) * 1.8 - 0.5
        gone = rng.random(n) < 1 / (1 + np.exp(-odds))
        known = rng.random(n) > 0.05
        start = np.datetime64("2026-06-30")
        table = {
            "customer": [f"C{id_:06d}" for id_ in rng.permutation(10**6)[:n]],
            "joined": [str(start - int(days)) for days in age],
            "plan": plans[plan].tolist(),
            "monthly": [_money(value, site) if there else "" for value, there in zip(price, known, strict=True)],
            "discount": [f"{value}%" for value in discount],
            "visits": visits.tolist(),
            "left": np.where(gone, "yes", "no").tolist(),
        }
        files = [folder / f"{site}-{part}.{'parquet' if site == 'lyon' else 'csv'}" for part in ("learn", "fresh")]
        for file, rows_of in zip(files, (slice(rows), slice(rows, n)), strict=True):
            _write(file, {"": list(range(n))[rows_of]} | {key: value[rows_of] for key, value in table.items()}, site)
        x = np.column_stack([np.where(known, price, np.median(price)), discount, visits, age, np.eye(3)[plan]])
        say = ["--target", "left", "--id", "customer"]
        clean = (x[:rows], gone[:rows], x[rows:], gone[rows:])
        yield Use(f"customers, {site}", files[0], files[1], say, _mlp(64), "accuracy", clean)


def _money(value: float, site: str) -> str:
    american = f"{value:,.2f}"
    if site == "boston":
        return f"${american}"
    return american.translate(str.maketrans(",.", ".,")) + " €"


def _write(file: Path, table: dict[str, list[Any]], site: str) -> None:
    if file.suffix == ".parquet":
        pa.parquet.write_table(pa.table({key or "__index_level_0__": value for key, value in table.items()}), file)
        return
    buffer = io.BytesIO()
    delimiter = "," if site == "boston" else ";"
    pa.csv.write_csv(pa.table(table), buffer, pa.csv.WriteOptions(delimiter=delimiter, quoting_style="needed"))
    file.write_bytes(("" if site == "boston" else "\ufeff").encode() + buffer.getvalue())


def sensor(folder: Path, rng: np.random.Generator) -> Iterator[Use]:
    """What a pump will draw, from its temperature, load and age; decimal commas, a time on each row."""
    for number, name in enumerate(("pump-1", "pump-2")):
        rows = 900 if number == 0 else 300
        n = rows + FRESH
        warmth, load, flow = rng.normal(20, 8, n), rng.random(n) * 100, rng.random(n) * 12
        power = 3 + load * flow / (40 + 6 * number) + 0.02 * (warmth - 18 - number) ** 2 + rng.normal(0, 0.6, n)
        columns = {"temperature": warmth, "load": load, "flow": flow, "power": power}
        times = np.datetime64("2026-01-01T00:00") + np.arange(n) * np.timedelta64(17, "m")
        lines = [f"{value:.2f}".replace(".", ",") for column in columns.values() for value in column]
        texts = dict(zip(columns, np.array(lines).reshape(4, n).tolist(), strict=True))
        order = rng.permutation(n)  # fresh rows are of the same weeks
        files = [folder / f"{name}-learn.csv", folder / f"{name}-fresh.csv"]
        for file, part in zip(files, (order[:rows], order[rows:]), strict=True):
            table = {"time": [str(times[i]) for i in part]} | {k: [v[i] for i in part] for k, v in texts.items()}
            _write(file, table, "berlin")
        x = np.column_stack(
            [np.char.replace(np.array(texts[key]), ",", ".").astype(float) for key in list(columns)[:3]]
        )
        clean = (x[order[:rows]], power[order[:rows]], x[order[rows:]], power[order[rows:]])
        say = ["--target", "power", "--without", "time"]
        yield Use(f"sensor, {name}", files[0], files[1], say, _mlp(64), "r2", clean)


def tags(folder: Path, rng: np.random.Generator) -> Iterator[Use]:
    """Which of six tags fit a row of twelve numbers; written as people write them: "red, round"."""
    names, rows = np.array(["blue", "heavy", "new", "old", "red", "round"]), 800
    x = rng.normal(size=(rows + FRESH, 12))
    hidden = np.tanh(x @ rng.normal(size=(12, 16)) / 2)
    y = hidden @ rng.normal(size=(16, 6)) + rng.normal(0, 0.5, (len(x), 6)) > 0.8
    files = [folder / "tags-learn.csv", folder / "tags-fresh.csv"]
    for file, part in zip(files, (slice(rows), slice(rows, len(x))), strict=True):
        columns = {f"m{i}": x[part, i].round(4).tolist() for i in range(12)}
        _write(file, columns | {"tags": [", ".join(names[row]) for row in y[part]]}, "boston")
    clean = (x[:rows].round(4), y[:rows], x[rows:].round(4), y[rows:])
    yield Use("tags", files[0], files[1], ["--target", "tags", "--kind", "multilabel"], _mlp(64), "micro_f1", clean)


def photos(folder: Path, rng: np.random.Generator, data: Path) -> Iterator[Use]:
    """Five classes of CIFAR-100, 150 each, as a shared drive has them: eight formats, turned, linked, one broken."""
    table, fresh = (pa.parquet.read_table(sorted(data.glob(f"{part}-*.parquet"))) for part in ("train", "test"))
    chosen = rng.permutation(100)[:5]
    parts: dict[str, tuple[Array, Array]] = {}
    for part, source in {"learn": table, "fresh": fresh}.items():
        target = source["fine_label"].to_numpy()
        rows = np.concatenate([np.flatnonzero(target == label)[:150] for label in chosen])
        decoded = [Image.open(io.BytesIO(source["img"][int(row)]["bytes"].as_py())).convert("RGB") for row in rows]
        for number, (row, image) in enumerate(zip(rows, decoded, strict=True)):
            _save(image, folder / "photos" / part / f"kind {np.flatnonzero(chosen == target[row])[0]}", number)
        parts[part] = np.stack([np.asarray(image).ravel() / 255 for image in decoded]), target[rows]
    (folder / "photos" / "learn" / "kind 0" / "broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    (folder / "photos" / "learn" / "kind 0" / "notes.txt").write_text("not a photo")
    say = ["--bad", "skip", "--augment"]
    init = ["--model", "narrows.networks:conv", "--arg", "input_shape=[3,32,32]", "--arg", "classes=5"]
    clean = (*parts["learn"], *parts["fresh"])
    yield Use("photos", folder / "photos" / "learn", folder / "photos" / "fresh", say, init, "accuracy", clean)


FORMATS = ("png", "webp", "bmp", "tif", "PNG", "tiff", "webp", "png")


def _save(image: Image.Image, folder: Path, number: int) -> None:
    kind = FORMATS[number % len(FORMATS)]
    place = folder / ("more" if number % 3 == 0 else "")
    place.mkdir(parents=True, exist_ok=True)
    file = place / f"IMG {number:04d}.{kind}"
    exif = Image.Exif()
    if number % 8 == 0:  # lies on its side, and says so
        image, exif[0x0112] = image.transpose(Image.Transpose.ROTATE_90), 6
    if number % 8 == 3:
        image = image.convert("RGBA")
    options = {"lossless": True} if kind == "webp" else {}
    if number % 10 == 9:  # kept elsewhere, and linked
        elsewhere = folder.parent.parent / f"drive-{folder.parent.name}-{folder.name}"
        elsewhere.mkdir(exist_ok=True)
        image.save(elsewhere / file.name, exif=exif, **options)
        file.symlink_to(elsewhere / file.name)
        return
    image.save(file, exif=exif, **options)


def _mlp(width: int) -> Say:
    return ["--model", "narrows.networks:mlp", "--arg", f"input_shape=[{width}]", "--arg", "classes=2"]


def narrows(*words: str | Path) -> str:
    """What the command prints on standard output; its notes go to ours."""
    command = [sys.executable, "-m", "narrows", *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def learned(use: Use, store: Path) -> float:
    """The figure on fresh rows after `init` (where there is no store yet), `learn` and `evaluate`."""
    task = use.name.replace(", ", "-")
    if not store.exists():
        print(narrows("init", store, *use.init))
    print(narrows("learn", store, "--task", task, "--data", use.learned, "--holdout", "0.2", *use.options))
    scores = json.loads(narrows("evaluate", store, "--task", task, "--data", use.fresh, "--json"))["tasks"][task][
        "scores"
    ]
    return float(scores[use.figure])


def rivals(use: Use) -> dict[str, float]:
    """scikit-learn's figures on the same fresh rows, with its defaults."""
    x, y, fresh_x, fresh_y = use.clean
    if use.figure.endswith("r2"):
        linear: Any = make_pipeline(StandardScaler(), RidgeCV())
        boosted: Any = HistGradientBoostingRegressor(random_state=0)
        score: Callable[[Any, Any], float] = r2_score
    else:
        linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        boosted = HistGradientBoostingClassifier(random_state=0)
        score = accuracy_score
    if y.ndim > 1:
        linear, boosted = MultiOutputClassifier(linear), MultiOutputClassifier(boosted)
        score = lambda true, found: f1_score(true, found, average="micro")  # noqa: E731
    return {
        name: float(score(fresh_y, model.fit(x, y).predict(fresh_x)))
        for name, model in (("linear", linear), ("boosting", boosted))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="a folder with CIFAR-100 as parquet")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    for seed in range(args.seeds):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            for kind in (customers, sensor, tags, lambda f, r: photos(f, r, args.photos)):
                rng = np.random.default_rng(seed)
                for use in kind(folder, rng):
                    store = folder / f"store-{use.name.split(',')[0]}"
                    row = {"narrows": learned(use, store)} | rivals(use)
                    for name, value in row.items():
                        found.setdefault(use.name, {}).setdefault(name, []).append(round(value, 4))
                    print(use.name, seed, row, flush=True)
    OUT.write_text(json.dumps({"environment": environment("cpu"), "figures": found}, indent=1) + "\n")
    for use_name, row in found.items():
        print(use_name, *(f"{name} {_mean(values)}" for name, values in row.items()), sep="  ")


def _mean(values: list[float]) -> str:
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{100 * statistics.mean(values):.1f} ± {100 * error:.1f}"


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
