"""The figures of a grid, by hand; dashes where there are none."""

from __future__ import annotations

import json
import math

import pytest

from grids import result
from narrows.benchmarks.compare import parse_variants
from narrows.benchmarks.compare.folder import without_password
from narrows.benchmarks.compare.summary import Cell, Figure, Ran, summarise
from narrows.benchmarks.compare.tables import HEADINGS, cells, markdown

GRID = {"stream": "split-digits", "tasks": 2, "network": "mlp", "batch_size": 64, "classes": None, "image_size": None}
GRID |= {"tune": 1, "tune_tasks": 2, "holdout": 0.2}
IBM, WSN, DENSE = parse_variants("ibm,wsn,independent")


def ran(method: str, *seeds: int, worker: str = "host:1") -> tuple[Ran, ...]:
    return tuple(Ran(seed, result(method, seed), worker) for seed in seeds)


def shown(row) -> dict[str, str]:
    return dict(zip(HEADINGS, cells(row), strict=True))


def test_the_standard_error_is_over_the_values_there_are():
    figure = Figure.of([0.1, 0.2, 0.3, None])
    assert (figure.mean, figure.se) == (pytest.approx(0.2), pytest.approx(0.1 / math.sqrt(3)))
    assert Figure.of([0.5]).se is None
    assert Figure.of([None]) == Figure(None, None, (None,))


def test_each_run_is_held_against_the_dense_run_of_its_seed():
    dense = list(ran("independent", 0, 1))
    dense[1].result["tasks"][1]["accuracy"] = 0.5
    comparison = summarise(GRID, [Cell(IBM, 1, 2, runs=ran("ibm", 1, 0)), Cell(DENSE, 1, 2, runs=tuple(dense))], [], 0)
    row = comparison.rows[0]
    assert row.seeds == (0, 1)
    assert row.figures["fwt_independent"].values == (pytest.approx(-0.1), pytest.approx(0.81 - (0.91 + 0.5) / 2))
    assert row.figures["step_ratio"].values == (2, 2)
    assert row.figures["seconds_ratio"].values == (2, 2)
    assert [figure.mean for figure in row.used] == [0.04, 0.05]


def test_a_table_in_percent_points_and_kib():
    comparison = summarise(
        GRID, [Cell(IBM, 1, 2, {"lr": 0.003}, runs=ran("ibm", 0, 1)), Cell(DENSE, 1, 2, runs=ran("independent", 0, 1))],
        [], 0,
    )  # fmt: skip
    found = shown(comparison.rows[0])
    wanted = {"ACC (%)": "80.5 ± 0.5", "BWT": "0", "FWT indep.": "-10.0", "FWT GEM": "-1.0", "density (%)": "4.00"}
    wanted |= {"used (%)": "5.0", "KiB a task": "2.0", "of dense (%)": "10.0", "seconds": "20.0", "step ratio": "2.00"}
    assert {name: found[name] for name in wanted} == wanted
    assert found["lr"] == "0.003"


def test_what_was_not_measured_is_a_dash():
    """A method that learns all tasks at once has only the last row of R, and no BWT."""
    joint = result("ibm")
    joint["R"] = [[None, None], [0.8, 0.9]]
    joint["metrics"] |= {"BWT": None, "forgetting": None, "fwt_gem": None}
    cells_ = [Cell(IBM, 1, 1, runs=(Ran(0, joint, "h:1"),)), Cell(DENSE, 1, 1, runs=ran("independent", 0))]
    comparison = summarise(GRID, cells_, [], 0)
    found = shown(comparison.rows[0])
    assert [found[name] for name in ("BWT", "FWT indep.", "FWT GEM")] == ["-", "-", "-"]
    assert [figure.mean for figure in comparison.rows[0].accuracy] == [0.8, 0.9]
    waiting = summarise(GRID, [Cell(WSN, 1, 2)], [], 3)
    assert set(shown(waiting.rows[0]).values()) == {"wsn", "1", "0 of 2", "-"}
    assert "Not finished: 3 jobs" in markdown(waiting)
    json.dumps(comparison.to_json(), allow_nan=False)


def test_what_was_tried_and_picked_is_told():
    tried = (
        {"values": {"lr": 0.006}, "accuracy": 0.7, "reason": ""},
        {"values": {"lr": 0.001}, "accuracy": 0.75, "reason": ""},
        {"values": {"lr": 0.03}, "accuracy": None, "reason": "error: NaN"},
    )
    text = markdown(summarise(GRID, [Cell(IBM, 1, 1, {"lr": 0.001}, tried, ran("ibm", 0))], [], 0))
    for line in (
        "| ibm | 1 | 0 | lr=0.006 | 70.00 |",
        "| ibm | 1 | 1 | **lr=0.001** | **75.00** |",
        "| ibm | 1 | 2 | lr=0.03 | failed: error: NaN |",
    ):
        assert line in text


def test_times_of_different_machines_are_said_not_to_compare():
    cells_ = [Cell(IBM, 1, 2, runs=ran("ibm", 0)), Cell(WSN, 1, 2, runs=ran("wsn", 0, worker="other:2"))]
    assert "2 machines" in " ".join(summarise(GRID, cells_, [], 0).notes)
    assert "1 runs on other" in markdown(summarise(GRID, cells_, [], 0))
    assert summarise(GRID, cells_[:1], [], 0).notes == ()


def test_runs_of_one_row_with_different_defaults_are_said_not_to_belong_together():
    runs = ran("ibm", 0, 1)
    assert not summarise(GRID, [Cell(IBM, 1, 2, runs=runs)], [], 0).notes
    runs[1].result["config"] = runs[1].result["config"] | {"method": {"density": None, "refine": False}}
    (note,) = summarise(GRID, [Cell(IBM, 1, 2, runs=runs)], [], 0).notes
    assert "different options (ibm)" in note


def test_passwords_are_not_written_down():
    assert without_password("mysql://ann:s3cret@host/db") == "mysql://ann:***@host/db"
    assert without_password("sqlite:///board.db") == "sqlite:///board.db"
