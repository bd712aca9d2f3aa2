"""What a store costs as tasks come: seconds to begin, commit, load, verify and forget, and bytes, up to 100 tasks.

    python benchmarks/store_scale.py --out benchmarks/results/store-scale.json --picture docs/pictures/store-scale.svg

The network is `conv` (577 thousand shared weights, 2.4 MB), the method IBM with half a percent of the weights new and
2.5% reused a task. Training is a few steps on random data: what is timed is the store's part, not the training's.
"Add" is begin and commit together. Everything is flushed to the disk as in use.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

import narrows as nw
from narrows.benchmarks.environment import environment
from narrows.networks import make_network
from narrows.report.charts import altair, spec_of, values
from narrows.report.drawing import draw

SHAPE, BATCH, STEPS = (3, 32, 32), 16, 6
METHOD = nw.IBM(new=0.005, reuse=0.025, prune_every=1)


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what the function gives."""
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result


def add(store: nw.TaskStore, number: int) -> dict[str, float]:
    """Seconds of one more task, by part, and its bytes."""
    generator = torch.Generator().manual_seed(number)
    x = torch.randn(BATCH, *SHAPE, generator=generator)
    y = torch.randint(0, 10, (BATCH,), generator=generator)
    name = f"task {number}"
    begin, task = timed(lambda: store.begin(name, METHOD, head=nn.Linear(512, 10)))
    with task:
        fit, _ = timed(lambda: task.fit([(x, y)] * STEPS, nw.Training(1)))
        commit, _ = timed(task.commit)
    return {"begin": begin, "commit": commit, "fit": fit, "bytes": store.directory.bytes_of(name)}


def cost(path: Path, model: nn.Module, tasks: int) -> dict[str, float]:
    """Seconds of what one does with a store of so many tasks."""
    store = nw.TaskStore.open(path, model)
    row: dict[str, float] = {"tasks": tasks, "used": store.values_kept(), "bytes": store.directory.bytes_total()}
    row["open"] = timed(lambda: nw.TaskStore.open(path, model))[0]
    row["load first"] = timed(lambda: store.load("task 0"))[0]
    row["load last"] = timed(lambda: store.load(f"task {tasks - 1}"))[0]
    row["verify"], problems = timed(store.verify)
    row["verify deep"], deep = timed(lambda: store.verify(deep=True))
    assert not problems, problems
    assert not deep, deep
    for which, number in (("first", 0), ("middle", tasks // 2), ("last", tasks - 1)):
        copied = Path(shutil.copytree(path, path.with_name("copy")))
        forgetful = nw.TaskStore.open(copied, model)
        row[f"forget {which}"], done = timed(partial(forgetful.forget, f"task {number}"))
        row[f"rewritten by forget {which}"] = len(done.kept_for)
        assert not forgetful.verify(deep=True)
        row[f"compact after forget {which}"] = timed(forgetful.compact)[0]
        shutil.rmtree(copied)
    return row


def draw_adds(adds: list[dict[str, float]], picture: Path) -> None:
    """Seconds to add each task, in order."""
    alt = altair()
    rows = [{"task": i, "part": part, "s": add[part]} for i, add in enumerate(adds, 1) for part in ("begin", "commit")]
    chart = alt.Chart(values(rows)).mark_line(point=True, strokeWidth=1)
    chart = chart.encode(
        x=alt.X("task:Q", title="number of the task"),
        y=alt.Y("s:Q", title="seconds"),
        color=alt.Color("part:N", title=""),
    )
    draw(spec_of(chart, height=300), picture, "Adding a task: the store's part")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # a few steps on noise: layers may end up empty
    torch.manual_seed(0)
    model = make_network("conv", SHAPE, 10)
    adds, rows = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store"
        store = nw.TaskStore.create(path, model, head="head")
        for number in range(options.tasks):
            adds.append(add(store, number))
            if (number + 1) * 4 % options.tasks == 0:
                rows.append(cost(path, model, number + 1))
                print(json.dumps({key: round(value, 3) for key, value in rows[-1].items()}), flush=True)
    tenth = max(1, options.tasks // 10)
    for label, part in (("first tenth", adds[:tenth]), ("last tenth", adds[-tenth:])):
        means = {key: statistics.mean(row[key] for row in part) for key in adds[0]}
        print(f"mean of the {label}: " + ", ".join(f"{key} {value:.4g}" for key, value in means.items()))
    if options.out:
        values = {"environment": environment("cpu"), "tasks": adds, "stores": rows}
        options.out.write_text(json.dumps(values, indent=1) + "\n")
    if options.picture:
        draw_adds(adds, options.picture)


if __name__ == "__main__":
    main()
