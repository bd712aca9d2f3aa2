"""The pictures as files: what is in them, of a comparison and of the matrix R."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from browser_pages import HOSTILE
from grids import result
from narrows.benchmarks.compare import Comparison, parse_variants
from narrows.benchmarks.compare.summary import Cell, Ran, summarise
from narrows.errors import ConfigError
from narrows.report import draw_accuracy, draw_comparison, heat

NAMES = {"accuracy-density.svg", "capacity.svg", "accuracy-per-task.svg", "time-to-accuracy.svg"}
SVG = "{http://www.w3.org/2000/svg}"
ROWS = [[0.9, 0.1, None], [0.8, 0.95, None], [0.7, 0.9, 1.0]]


def comparison(*lengths: int, methods: str = "ibm,wsn,independent", tasks: int = 2) -> Comparison:
    cells = []
    for variant in parse_variants(methods):
        for epochs in lengths:
            runs = tuple(Ran(seed, result(variant.method, seed, tasks=tasks), "h:1") for seed in (0, 1))
            for run in runs:
                run.result["metrics"]["seconds"] *= epochs
                if variant.method == "independent":
                    run.result["metrics"]["density"] = 1.0
                    for i, task in enumerate(run.result["tasks"]):
                        task["used"] = i + 1.0
            cells.append(Cell(variant, epochs, 2, runs=runs))
    return summarise({"stream": "split-digits"}, cells, [], 0)


def texts(path: Path) -> list[str]:
    """Each with its lines joined."""
    return [" ".join(element.itertext()) for element in ET.parse(path).iter(f"{SVG}text")]


def test_four_pictures_name_every_method(tmp_path):
    assert {path.name for path in draw_comparison(comparison(1, 3), tmp_path)} == NAMES
    for name in NAMES:
        assert {"1 ibm", "2 wsn"} <= set(texts(tmp_path / name))
        assert "var(--" not in (tmp_path / name).read_text()  # which viewers of files do not know
    assert "dashed line is the front" in " ".join(texts(tmp_path / "accuracy-density.svg"))
    assert "from the first task: independent." in " ".join(texts(tmp_path / "capacity.svg"))
    assert {"split-01", "split-02"} <= set(texts(tmp_path / "accuracy-per-task.svg"))
    assert {"1", "3"} <= set(texts(tmp_path / "time-to-accuracy.svg"))
    for name in NAMES - {"time-to-accuracy.svg"}:
        assert "longest training" in " ".join(texts(tmp_path / name))


@pytest.mark.parametrize("runs", [0, 1])
def test_nothing_done_draws_nothing_and_one_run_is_enough(runs, tmp_path):
    (variant,) = parse_variants("ibm")
    cell = Cell(variant, 1, 2, runs=tuple(Ran(seed, result("ibm"), "h:1") for seed in range(runs)))
    drawn = draw_comparison(summarise({"stream": "x"}, [cell, Cell(variant, 2, 2)], [], 1), tmp_path)
    assert len(drawn) == (4 if runs else 0)


def test_what_uses_all_is_drawn_where_nothing_else_is(tmp_path):
    draw_comparison(comparison(1, methods="independent"), tmp_path)
    assert "1 independent" in texts(tmp_path / "capacity.svg")
    assert "Not drawn" not in " ".join(texts(tmp_path / "capacity.svg"))


def test_so_many_accuracies_that_the_page_has_pixels_are_pixels_in_the_file_too(tmp_path, monkeypatch):
    monkeypatch.setattr(heat, "MOST_CELLS", 10)
    methods = ",".join(f"ibm:density=0.{place:03d}" for place in range(10, 20))
    assert {path.name for path in draw_comparison(comparison(1, methods=methods), tmp_path)} == NAMES
    (image,) = ET.parse(tmp_path / "accuracy-per-task.svg").iter(f"{SVG}image")
    assert image.get("{http://www.w3.org/1999/xlink}href", "").startswith("data:image/png;base64,")


def test_any_name_can_be_drawn(tmp_path):
    names = (*HOSTILE, "\0\x1b[31m", "\ufffe", "\ud800 half", "\U0001f600" * 40, "var(--ink)")
    found = comparison(1, methods="ibm", tasks=len(names))
    found = replace(found, grid={"stream": "\0"}, rows=tuple(replace(row, tasks=names) for row in found.rows))
    assert len(draw_comparison(found, tmp_path)) == 4
    draw_accuracy([[0.5] * len(names)] * len(names), names, tmp_path / "r.svg", title="\0")
    for path in tmp_path.glob("*.svg"):
        assert any("\ufffd" in text for text in texts(path))
    assert {"\ufffd\ufffd[31m", "\ufffd half", "var(--ink)"} <= set(texts(tmp_path / "r.svg"))


def test_the_matrix_has_the_learned_tasks_only(tmp_path):
    assert draw_accuracy(ROWS, ["a", "b", "c"], tmp_path / "r.svg") == tmp_path / "r.svg"
    shown = texts(tmp_path / "r.svg")
    assert {"90", "80", "95", "70", "100", "a", "b", "c", "Accuracy"} <= set(shown)
    assert "10" not in shown  # R[0][1], above the diagonal


def test_a_single_task_and_many_are_drawn(tmp_path):
    draw_accuracy([[0.5]], ["only"], tmp_path / "r.svg")
    assert "only" in texts(tmp_path / "r.svg")
    names = [f"t{place}" for place in range(60)]
    draw_accuracy([[0.5] * 60] * 60, names, tmp_path / "many.svg")
    assert texts(tmp_path / "many.svg").count("50") == 60 * 61 // 2


@pytest.mark.parametrize("module", ["altair", "vl_convert"])
def test_without_the_extra_it_says_which(module, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=r"narrows\[report\]"):
        draw_comparison(comparison(1), tmp_path)
    assert not list(tmp_path.iterdir())
