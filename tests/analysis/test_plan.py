"""The plan's arithmetic, by hand, against the recorded cases, and in JavaScript as in Python."""

from __future__ import annotations

import json
import math
import random
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from make_plan_cases import FIGURES, make
from playwright._impl._driver import compute_driver_executable

import narrows
from narrows.analysis.assumptions import Assumptions, told_assumptions
from narrows.analysis.plan import Figures, plan, to_csv
from narrows.errors import ConfigError

CASES = json.loads(Path(__file__).with_name("plan_cases.json").read_text())
SCRIPT = Path(narrows.__file__).parent / "report/assets/plan.js"
NODE = compute_driver_executable()[0]  # Node, which Playwright brings along


def assert_same(found, expected, where="plan"):
    """Equal, numbers up to rounding."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            assert_same(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), where
        for at, value in enumerate(expected):
            assert_same(found[at], value, f"{where}[{at}]")
    elif isinstance(expected, float):
        assert math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9), (where, found, expected)
    else:
        assert found == expected, where


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_recorded_cases_come_out(case):
    made = plan(Figures(**case["measured"]), Assumptions(**case["assumptions"]))
    assert_same(asdict(made), case["plan"])


def test_the_recorded_cases_are_those_that_are_made():
    assert [case["name"] for case in CASES] == [case["name"] for case in make()]


def in_node(cases) -> list:
    program = (
        "require(process.argv[1]); const cases = JSON.parse(require('fs').readFileSync(0));"
        "console.log(JSON.stringify(cases.map(c => globalThis.narrowsPlan(c.measured, c.assumptions))));"
    )
    command = [NODE, "-e", program, str(SCRIPT)]
    done = subprocess.run(command, input=json.dumps(cases), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_javascript_gives_the_recorded_cases():
    for found, case in zip(in_node(CASES), CASES, strict=True):
        assert_same(found, case["plan"], case["name"])


def test_javascript_and_python_agree_on_any_numbers():
    chance = random.Random(0)
    cases = []
    for _ in range(60):
        figures = {name: value * chance.uniform(0.1, 3) for name, value in asdict(FIGURES).items() if value}
        figures |= {
            "tasks": chance.randint(0, 30),
            "task_bytes_growth": chance.uniform(-1e6, 1e6),
            "tasks_per_network": chance.choice([None, 1, 7, 40]),
        }
        assumed = {
            told.name: chance.randint(1, 12) if told.whole else chance.uniform(0, 5)
            for told in told_assumptions()
            if not told.optional
        }
        assumed |= {"packed": chance.randint(0, 1), "tasks_per_network": chance.choice([None, 3])}
        cases.append({"measured": figures, "assumptions": assumed})
    for found, case in zip(in_node(cases), cases, strict=True):
        assert_same(found, asdict(plan(Figures(**case["measured"]), Assumptions(**case["assumptions"]))))


def test_a_month_by_hand():
    assumed = Assumptions(tasks_per_month=3, months=1, copies=2, replicas=2, upkeep_hours=0.1, setup_hours=1)
    month = plan(FIGURES, assumed).months[0]
    assert (month.tasks, month.added) == (5, 3)
    assert (month.shared.networks, month.separate.networks) == (1, 5)
    assert month.shared.storage_gb == pytest.approx(2 * (0.5 + 3 * 0.02))
    assert month.separate.storage_gb == pytest.approx(2 * 5 * 0.4)
    assert month.shared.memory_gb == month.separate.memory_gb == month.separate.memory_all_gb == pytest.approx(2 * 2.0)
    assert month.shared.memory_packed_gb == pytest.approx(2 * (0.4 + 0.56))
    assert (month.shared.training_hours, month.separate.training_hours) == (1.5, 1.5 / 1.25)
    assert (month.shared.upkeep, month.separate.upkeep) == pytest.approx((10, 50))
    money = month.shared
    assert money.cumulative == pytest.approx(100 + money.storage + money.memory + money.training + money.upkeep)


def test_a_full_network_is_followed_by_another_with_its_base():
    assumed = Assumptions(tasks_per_month=2, months=4)
    made = plan(replace(FIGURES, tasks_per_network=5), assumed)
    assert made.second_network_month == 2
    assert [month.shared.networks for month in made.months] == [1, 2, 2, 2]
    step = made.months[1].shared.storage_gb - made.months[0].shared.storage_gb
    assert step == pytest.approx(0.02 + 0.4 + 0.06)


def test_tasks_that_are_there_already_are_in_one_network_however_few_are_said_to_fit():
    made = plan(replace(FIGURES, tasks=10), Assumptions(tasks_per_network=4, months=9))
    assert [month.shared.networks for month in made.months] == [2, 2, 2, 2, 3, 3, 3, 3, 4]


def test_pay_back_is_from_when_on_it_stays_cheaper():
    cheap = Assumptions(tasks_per_month=10, months=12, packed=1, setup_hours=1)
    made = plan(FIGURES, cheap)
    before = [month for month in made.months if month.month < made.payback_month]
    assert made.payback_month > 1
    assert all(month.shared.cumulative >= month.separate.cumulative for month in before[-1:])
    assert made.saved == pytest.approx(made.months[-1].separate.cumulative - made.months[-1].shared.cumulative)
    parts = made.saved_storage + made.saved_memory + made.saved_training + made.saved_upkeep
    assert made.saved == pytest.approx(parts - made.setup)
    assert plan(FIGURES, Assumptions()).payback_month is None


def test_csv_has_a_line_for_each_month():
    lines = to_csv(plan(FIGURES, Assumptions(months=3))).splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("month,tasks,added,shared_networks,shared_storage_gb")
    assert len({line.count(",") for line in lines}) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"months": 0}, {"months": 1.5}, {"price_gpu_hour": -1}, {"copies": "2"}, {"packed": True}, {"setup_hours": 1e99}],
)
def test_an_assumption_out_of_bounds_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Assumptions(**wrong)


def test_every_assumption_is_told_with_its_unit():
    assert all(told.unit and told.what for told in told_assumptions())
    assert [told.name for told in told_assumptions()] == list(asdict(Assumptions()))
