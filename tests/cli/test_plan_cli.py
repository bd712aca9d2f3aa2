"""`narrows plan` as a user runs it."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis_samples import empty_store, random_store, result
from narrows.cli.app import app
from narrows.errors import ConfigError


def narrows_plan(*words):
    return CliRunner().invoke(app, ["plan", *map(str, words)], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    random_store(path / "store", 6)
    result(6).save(path / "result.json")
    return path


def test_it_prints_what_is_measured_and_what_is_assumed(run):
    done = narrows_plan(run, "--tasks-per-month", 3, "--price-gpu-hour", 2.5)
    assert done.exit_code == 0, done.output
    told = {line.split()[0]: line.split() for line in done.output.splitlines() if line.split()}
    assert told["tasks_per_month"][-1] == told["price_gpu_hour"][-1] == "given"
    assert told["price_gb_month"][-1] == "default"
    assert "result.json metrics.dense_bytes" in done.output
    assert "What storage saves is cents" in done.output
    assert "It does not pay back within 24 months" in done.output
    assert "Not measured, and assumed: step_ratio" in done.output


def test_a_result_that_cannot_be_read_is_named_and_the_store_used(tmp_path):
    random_store(tmp_path / "store", 6)
    (tmp_path / "result.json").write_text("{")
    done = narrows_plan(tmp_path, "--json")
    assert done.exit_code == 0
    assert "result.json" in done.stderr
    assert "rests on the store alone" in done.stderr
    assert json.loads(done.stdout)["measured"]["sources"]["dense_bytes"].startswith("store.json")


def test_json_and_csv_say_the_same(run, tmp_path):
    done = narrows_plan(run, "--json", "--months", 3, "--packed")
    told = json.loads(done.stdout)
    assert (told["format"], told["version"], told["given"]) == ("narrows-plan", 1, ["months", "packed"])
    narrows_plan(run, "--csv", "--months", 3, "--packed", "--out", tmp_path / "plan.csv")
    rows = list(csv.DictReader((tmp_path / "plan.csv").read_text().splitlines()))
    assert [float(row["shared_cumulative"]) for row in rows] == [
        month["shared"]["cumulative"] for month in told["plan"]["months"]
    ]


def test_the_table_may_go_to_a_file(run, tmp_path):
    done = narrows_plan(run, "--out", tmp_path / "plan.txt")
    assert done.stdout == ""
    assert "One shared network" in (tmp_path / "plan.txt").read_text()


def test_a_store_or_a_result_will_do(run):
    assert narrows_plan(run / "store").exit_code == 0
    assert narrows_plan(run / "result.json").exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--months", 0], "months"), (["--json", "--csv"], "two forms"), (["--price-gpu-hour", "-3"], "price_gpu_hour")],
)
def test_bad_options_are_refused(run, words, message):
    done = narrows_plan(run, *words)
    assert isinstance(done.exception, ConfigError)
    assert message in str(done.exception)


def test_an_empty_store_has_nothing_to_plan(tmp_path):
    empty_store(tmp_path / "s")
    assert "holds no task yet" in str(narrows_plan(tmp_path / "s").exception)


def test_a_comparison_is_not_planned(tmp_path):
    (tmp_path / "compare.json").write_text('{"format": "narrows-comparison", "version": 1}')
    assert "comparison" in str(narrows_plan(tmp_path).exception)


def test_the_example_of_the_documentation_is_what_is_printed(monkeypatch):
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    text = (root / "docs/plan.md").read_text()
    command = re.search(r"^    narrows plan (.*)$", text, re.MULTILINE)[1]
    done = CliRunner().invoke(app, ["plan", *command.split()], env={"COLUMNS": "110"})
    documented = [line.strip() for line in text.splitlines()]
    assert all(line.strip() in documented for line in done.output.splitlines())
