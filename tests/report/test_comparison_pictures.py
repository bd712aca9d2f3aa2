"""The pictures of a comparison: what is in them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from grids import result
from narrows.benchmarks.compare import Comparison, parse_variants
from narrows.benchmarks.compare.summary import Cell, Ran, summarise
from narrows.report import draw_comparison

NAMES = {"accuracy-density.svg", "capacity.svg", "accuracy-per-task.svg", "time-to-accuracy.svg"}


def comparison(*lengths: int, methods: str = "ibm,wsn,independent") -> Comparison:
    cells = []
    for variant in parse_variants(methods):
        for epochs in lengths:
            runs = tuple(Ran(seed, result(variant.method, seed), "h:1") for seed in (0, 1))
            for run in runs:
                run.result["metrics"]["seconds"] *= epochs
                if variant.method == "independent":
                    run.result["metrics"]["density"] = 1.0
                    for i, task in enumerate(run.result["tasks"]):
                        task["used"] = i + 1.0
            cells.append(Cell(variant, epochs, 2, runs=runs))
    return summarise({"stream": "split-digits"}, cells, [], 0)


def texts(path: Path) -> list[str]:
    return [element.text or "" for element in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_four_pictures_name_every_method(tmp_path):
    assert {path.name for path in draw_comparison(comparison(1, 3), tmp_path)} == NAMES
    for name in NAMES:
        assert {"ibm", "wsn"} <= set(texts(tmp_path / name))
    assert "Pareto front" in texts(tmp_path / "accuracy-density.svg")
    assert "independent: 100% or more from the first task" in texts(tmp_path / "capacity.svg")
    assert {"split-01", "split-02"} <= set(texts(tmp_path / "accuracy-per-task.svg"))
    assert {"1 ep", "3 ep"} <= set(texts(tmp_path / "time-to-accuracy.svg"))


@pytest.mark.parametrize("runs", [0, 1])
def test_nothing_done_draws_nothing_and_one_run_is_enough(runs, tmp_path):
    (variant,) = parse_variants("ibm")
    cell = Cell(variant, 1, 2, runs=tuple(Ran(seed, result("ibm"), "h:1") for seed in range(runs)))
    drawn = draw_comparison(summarise({"stream": "x"}, [cell, Cell(variant, 2, 2)], [], 1), tmp_path)
    assert len(drawn) == (4 if runs else 0)
