"""One shared network against one network per task, month by month: storage, memory, training, money.

Pure arithmetic on two sets of plain numbers. The same formulas are in `report/assets/plan.js`, so that a page can work
them out anew while its reader changes an assumption; `tests/analysis/plan_cases.json` holds both to the same cases.
docs/plan.md explains them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from narrows.analysis.assumptions import Assumptions

GB = 1e9
"""Bytes."""


@dataclass(frozen=True)
class Figures:
    """The measured numbers that a plan rests on; `cost.py` reads them.

    Attributes:
        tasks: in the store now.
        dense_bytes: of one network by itself, uncompressed.
        store_bytes: of the store now.
        base_bytes: what a store holds once: the base network, snapshot and carried state.
        first_task_bytes: of the first task of a network.
        task_bytes: of a task that comes now.
        task_bytes_growth: by which each further task is larger (or smaller) than the one before.
        task_hours: of training a task in the shared network.
        step_ratio: step time over that of plain training; 1 where not measured.
        tasks_per_network: that fit in one shared network; None: more than were looked ahead.
    """

    tasks: int
    dense_bytes: float
    store_bytes: float
    base_bytes: float
    first_task_bytes: float
    task_bytes: float
    task_bytes_growth: float
    task_hours: float
    step_ratio: float
    tasks_per_network: int | None


@dataclass(frozen=True)
class Side:
    """A month of one of the two ways; sizes at its end, in GB; money in the currency of the prices.

    Attributes:
        networks: deployed.
        storage_gb: on disk, all copies.
        memory_all_gb: at serving, every task's network loaded, all replicas.
        memory_packed_gb: at serving, one network and what the others are made of in memory, all replicas.
        memory_gb: the one of the two that is paid for.
        training_hours: in this month.
        storage, memory, training, upkeep: money of this month.
        cumulative: all money so far, setup included.
    """

    networks: int
    storage_gb: float
    memory_all_gb: float
    memory_packed_gb: float
    memory_gb: float
    training_hours: float
    storage: float
    memory: float
    training: float
    upkeep: float
    cumulative: float


@dataclass(frozen=True)
class Month:
    """The end of month `month`, counted from 1, with `tasks` learned, `added` of them in it."""

    month: int
    tasks: int
    added: int
    shared: Side
    separate: Side


@dataclass(frozen=True)
class Plan:
    """Both ways over the months.

    Attributes:
        setup: paid at the start for the shared network.
        months: each.
        saved_storage, saved_memory, saved_training, saved_upkeep: by the shared network over all months; negative
            where it costs more.
        saved: their sum less `setup`.
        payback_month: from which on the shared network has cost less in all; None where it has not by the end.
        second_network_month: when the tasks no longer fit in one shared network; None: not within the plan.
    """

    setup: float
    months: tuple[Month, ...]
    saved_storage: float
    saved_memory: float
    saved_training: float
    saved_upkeep: float
    saved: float
    payback_month: int | None
    second_network_month: int | None


def plan(measured: Figures, assumptions: Assumptions) -> Plan:
    """The plan that follows from these numbers.

    >>> figures = Figures(2, 4e8, 5e8, 4e8, 6e7, 2e7, 0, 0.5, 1.0, None)
    >>> made = plan(figures, Assumptions(tasks_per_month=3, months=12, setup_hours=0, packed=1))
    >>> last = made.months[-1]
    >>> last.tasks, round(last.shared.storage_gb, 2), round(last.separate.storage_gb, 2), made.payback_month
    (38, 1.22, 15.2, 1)
    """
    setup = assumptions.setup_hours * assumptions.price_engineer_hour
    shared_total, separate_total = setup, 0.0
    months: list[Month] = []
    second = None
    packed_bytes, before = measured.store_bytes, measured.tasks
    fit = assumptions.tasks_per_network or measured.tasks_per_network
    networks, room = 1, None if fit is None else max(fit, measured.tasks)
    for month in range(1, assumptions.months + 1):
        tasks = measured.tasks + math.floor(assumptions.tasks_per_month * month + 1e-9)
        for number in range(before + 1, tasks + 1):
            ahead = number - measured.tasks - 1
            size = max(0.0, measured.task_bytes + measured.task_bytes_growth * ahead)
            if room is not None and fit and number > room:
                networks, room = networks + 1, room + fit
                size = measured.base_bytes + measured.first_task_bytes
                second = second or month
            packed_bytes += size
        added = tasks - before
        before = tasks
        hours = added * measured.task_hours * assumptions.training_scale
        dense = tasks * measured.dense_bytes
        shared = _side(measured, assumptions, networks, packed_bytes, dense, hours, shared_total)
        separate = _side(measured, assumptions, tasks, dense, dense, hours / measured.step_ratio, separate_total)
        shared_total, separate_total = shared.cumulative, separate.cumulative
        months.append(Month(month, tasks, added, shared, separate))
    saved = {
        kind: sum(getattr(month.separate, kind) - getattr(month.shared, kind) for month in months)
        for kind in ("storage", "memory", "training", "upkeep")
    }
    return Plan(
        setup=setup,
        months=tuple(months),
        saved_storage=saved["storage"],
        saved_memory=saved["memory"],
        saved_training=saved["training"],
        saved_upkeep=saved["upkeep"],
        saved=separate_total - shared_total,
        payback_month=_payback(months),
        second_network_month=second,
    )


def _side(
    measured: Figures,
    assumptions: Assumptions,
    networks: int,
    disk_bytes: float,
    loaded_bytes: float,
    hours: float,
    before: float,
) -> Side:
    """A month of one way: `disk_bytes` on disk, `loaded_bytes` with every network loaded, `before` paid so far."""
    storage_gb = disk_bytes * assumptions.copies / GB
    all_gb = loaded_bytes * assumptions.replicas / GB
    # Packed: what lies on disk is kept in memory, beside one network to run. Never more than all networks loaded.
    packed_gb = min(loaded_bytes, measured.dense_bytes + disk_bytes) * assumptions.replicas / GB
    memory_gb = packed_gb if assumptions.packed else all_gb
    storage = storage_gb * assumptions.price_gb_month
    memory = memory_gb * assumptions.price_memory_gb_month
    training = hours * assumptions.price_gpu_hour
    upkeep = networks * assumptions.upkeep_hours * assumptions.price_engineer_hour
    cumulative = before + storage + memory + training + upkeep
    return Side(
        networks, storage_gb, all_gb, packed_gb, memory_gb, hours, storage, memory, training, upkeep, cumulative
    )


def _payback(months: list[Month]) -> int | None:
    """The first month from which the shared network has cost less in all, to the end."""
    first = None
    for month in reversed(months):
        if month.shared.cumulative >= month.separate.cumulative:
            break
        first = month.month
    return first


def to_csv(made: Plan) -> str:
    """A line for each month, the columns of both ways beside each other, with a header."""
    columns = ("month", "tasks", "added")
    sides = [field.name for field in fields(Side)]
    header = [*columns, *(f"{way}_{name}" for way in ("shared", "separate") for name in sides)]
    rows = [
        [
            *(getattr(month, name) for name in columns),
            *(getattr(way, name) for way in (month.shared, month.separate) for name in sides),
        ]
        for month in made.months
    ]
    return "".join(",".join(map(str, line)) + "\n" for line in (header, *rows))
