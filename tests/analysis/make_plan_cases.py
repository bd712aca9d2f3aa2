"""Writes plan_cases.json anew, from the formulas in Python; look at what changed before it is committed.

python tests/analysis/make_plan_cases.py
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from narrows.analysis.assumptions import Assumptions
from narrows.analysis.plan import Figures, plan

FIGURES = Figures(
    tasks=2,
    dense_bytes=4e8,
    store_bytes=5e8,
    base_bytes=4e8,
    first_task_bytes=6e7,
    task_bytes=2e7,
    task_bytes_growth=0.0,
    task_hours=0.5,
    step_ratio=1.25,
    tasks_per_network=None,
)
CASES = {
    "defaults": ({}, {"months": 3}),
    "nothing is added": ({}, {"tasks_per_month": 0, "months": 2}),
    "half a task a month": ({}, {"tasks_per_month": 0.5, "months": 4}),
    "the network is full in the second month": ({"tasks_per_network": 5}, {"tasks_per_month": 2, "months": 4}),
    "the reader says how many fit": ({"tasks_per_network": 5}, {"tasks_per_network": 1, "months": 3}),
    "tasks grow": ({"task_bytes_growth": 1e6}, {"tasks_per_month": 3, "months": 2}),
    "tasks shrink to nothing": ({"task_bytes_growth": -1.5e7}, {"tasks_per_month": 3, "months": 2}),
    "served packed, it pays back": ({}, {"tasks_per_month": 10, "months": 4, "packed": 1, "setup_hours": 1}),
    "packed is never more than all": ({"store_bytes": 9e9}, {"packed": 1, "months": 2}),
    "upkeep and copies": ({}, {"upkeep_hours": 0.5, "copies": 3, "replicas": 2, "months": 3, "training_scale": 20}),
}


def make() -> list[dict[str, object]]:
    cases = []
    for name, (figures, assumed) in CASES.items():
        measured, assumptions = Figures(**(asdict(FIGURES) | figures)), Assumptions(**assumed)
        cases.append(
            {
                "name": name,
                "measured": asdict(measured),
                "assumptions": asdict(assumptions),
                "plan": asdict(plan(measured, assumptions)),
            }
        )
    return cases


if __name__ == "__main__":
    Path(__file__).with_name("plan_cases.json").write_text(json.dumps(make(), indent=1) + "\n")
