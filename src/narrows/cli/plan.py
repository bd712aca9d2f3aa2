"""`narrows plan`: what one shared network costs against one network per task, from measured figures."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from narrows.analysis.assumptions import Assumptions, told_assumptions
from narrows.cli.as_json import print_whole, to_json
from narrows.cli.screen import Screen, say
from narrows.cli.tables import plain_table
from narrows.errors import ConfigError
from narrows.store import outside

if TYPE_CHECKING:
    from narrows.analysis.cost import CostFigures
    from narrows.analysis.plan import Month, Plan

_GB = 1e9
_CENTS = 1.0
"""Less than one unit of the currency is said to be cents."""


def _option(name: str) -> Any:
    """An option for the assumption; None where it is not given, so that it can be said to be a default."""
    told = next(told for told in told_assumptions() if told.name == name)
    default = "as forecast" if told.default is None else f"{told.default:g}"
    return typer.Option(help=f"{told.what[0].upper()}{told.what[1:]}; {told.unit}. Default {default}.")


def plan_command(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A store, the folder of a run, or a result.json.")],
    tasks_per_month: Annotated[float | None, _option("tasks_per_month")] = None,
    months: Annotated[int | None, _option("months")] = None,
    price_gpu_hour: Annotated[float | None, _option("price_gpu_hour")] = None,
    price_gb_month: Annotated[float | None, _option("price_gb_month")] = None,
    price_memory_gb_month: Annotated[float | None, _option("price_memory_gb_month")] = None,
    copies: Annotated[int | None, _option("copies")] = None,
    replicas: Annotated[int | None, _option("replicas")] = None,
    packed: Annotated[
        bool, typer.Option("--packed", help="Count memory for one network, and the tasks packed beside it.")
    ] = False,
    training_scale: Annotated[float | None, _option("training_scale")] = None,
    setup_hours: Annotated[float | None, _option("setup_hours")] = None,
    upkeep_hours: Annotated[float | None, _option("upkeep_hours")] = None,
    price_engineer_hour: Annotated[float | None, _option("price_engineer_hour")] = None,
    tasks_per_network: Annotated[int | None, _option("tasks_per_network")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The months, as CSV.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write to this file and not to the screen.")] = None,
) -> None:
    """Plan what one shared network costs against one network per task: storage, memory, training, pay-back.

    Every figure is measured, with its source, or assumed, and said so. Prices are in a currency of your own.
    """
    from narrows.analysis.capacity import capacity
    from narrows.analysis.cost import cost_figures
    from narrows.analysis.forecast import forecast
    from narrows.analysis.plan import plan, to_csv
    from narrows.analysis.subject import open_subject

    if as_json and as_csv:
        raise ConfigError("--json and --csv are two forms: say one.")
    said: dict[str, float | None] = {
        "tasks_per_month": tasks_per_month,
        "months": months,
        "price_gpu_hour": price_gpu_hour,
        "price_gb_month": price_gb_month,
        "price_memory_gb_month": price_memory_gb_month,
        "copies": copies,
        "replicas": replicas,
        "training_scale": training_scale,
        "setup_hours": setup_hours,
        "upkeep_hours": upkeep_hours,
        "price_engineer_hour": price_engineer_hour,
        "tasks_per_network": tasks_per_network,
        "packed": 1 if packed else None,
    }
    given = {name: value for name, value in said.items() if value is not None}
    assumptions = Assumptions(**given)  # type: ignore[arg-type]
    subject = open_subject(path)
    if subject.kind == "comparison":
        raise ConfigError(f"{path} is a comparison of many runs: give one of them, as {path}/runs/...")
    for missing in subject.missing:
        if missing.what == "unread result":
            say(Screen(stderr=True), f"{missing.why} The plan rests on the store alone.")
    told = forecast(capacity(subject.reader)) if subject.reader else None
    measured = cost_figures(subject, told)
    if measured is None:
        raise ConfigError(f"{path} holds no task yet, so there is nothing to measure: learn one, then plan.")
    made = plan(measured.figures, assumptions)
    if as_json:
        _write(out, to_json("plan", _everything(measured, assumptions, given, made)) + "\n")
    elif as_csv:
        _write(out, to_csv(made))
    elif out is None:
        _print(Screen(), measured, assumptions, given, made)
    else:
        page = io.StringIO()
        _print(Screen(file=page, width=120), measured, assumptions, given, made)
        _write(out, page.getvalue())


def _write(out: Path | None, text: str) -> None:
    if out is None:
        print_whole(text)
    else:
        outside.replace_text(out, text)


def _everything(measured: CostFigures, assumptions: Assumptions, given: dict[str, Any], made: Plan) -> dict[str, Any]:
    return {
        "measured": asdict(measured),
        "assumptions": asdict(assumptions),
        "given": sorted(given),
        "plan": asdict(made),
    }


def _print(console: Screen, measured: CostFigures, assumptions: Assumptions, given: dict[str, Any], made: Plan) -> None:
    table = plain_table()
    table.title = "Measured"
    for heading in ("figure", "value", "source"):
        table.add_column(heading, justify="right" if heading == "value" else "left")
    for name, value in asdict(measured.figures).items():
        table.add_row(name, _number(value), measured.sources[name])
    if measured.switch_seconds is not None:
        source = "put together from disk, here and now"
        table.add_row("switch_seconds", _number(measured.switch_seconds), source)
    console.print(table)
    table = plain_table()
    table.title = "Assumed"
    for heading in ("assumption", "value", "unit", ""):
        table.add_column(heading, justify="right" if heading == "value" else "left")
    for told in told_assumptions():
        value = getattr(assumptions, told.name)
        said = "given" if told.name in given else "default"
        table.add_row(told.name, "as forecast" if value is None else _number(value), told.unit, said)
    console.print(table)
    table = plain_table()
    table.title = "One shared network (s) against one network per task (t), at the end of the month; GB = 10^9 bytes"
    for heading in (
        "month",
        "tasks",
        "disk s\nGB",
        "disk t\nGB",
        "memory s\nGB",
        "memory t\nGB",
        "in all s",
        "in all t",
    ):
        table.add_column(Text(heading), justify="right", no_wrap=True)
    for month in _told_months(made):
        sizes = (month.shared.storage_gb, month.separate.storage_gb, month.shared.memory_gb, month.separate.memory_gb)
        money = (month.shared.cumulative, month.separate.cumulative)
        table.add_row(str(month.month), str(month.tasks), *map(_number, sizes), *(f"{cost:,.2f}" for cost in money))
    console.print(table)
    for line in _sentences(measured, assumptions, made):
        say(console, line)


def _told_months(made: Plan) -> list[Month]:
    """About six of them, the last one among them."""
    every = max(1, len(made.months) // 6)
    return [month for month in made.months if month.month % every == 0 or month is made.months[-1]]


def _sentences(measured: CostFigures, assumptions: Assumptions, made: Plan) -> list[str]:
    figures, last = measured.figures, made.months[-1]
    part = figures.task_bytes / figures.dense_bytes if figures.dense_bytes else 0.0
    lines = [
        f"A further task takes {figures.task_bytes / _GB:.4g} GB on disk, {100 * part:.1f}% of a network of its own.",
        f"Saved over {assumptions.months} months: storage {_money(made.saved_storage)}, memory "
        f"{_money(made.saved_memory)}, training {_money(made.saved_training)}, upkeep {_money(made.saved_upkeep)}; "
        f"less {_money(made.setup)} to introduce it: {_money(made.saved)}.",
    ]
    if abs(made.saved_storage) < _CENTS:
        lines.append("What storage saves is cents: for a network of this size it is no reason to share one.")
    if assumptions.packed:
        switch = measured.switch_seconds
        lines.append(
            "Memory counts one network and the tasks packed beside it, to be put together on demand"
            + (f": {switch:g} s a switch here." if switch is not None else ".")
            + " `store.load` alone does not serve so: it gives each task a whole network."
        )
    else:
        packed = f"{last.shared.memory_packed_gb:.4g} GB instead of {last.shared.memory_all_gb:.4g} GB"
        lines.append(
            "Memory is the same either way: `store.load` gives each task a whole network. One network with the tasks "
            f"packed beside it would take {packed} in the last month (--packed)."
        )
    if made.payback_month is None:
        lines.append(f"It does not pay back within {assumptions.months} months on these figures.")
    else:
        lines.append(f"It has paid back from month {made.payback_month} on.")
    if made.second_network_month is not None:
        lines.append(f"A second shared network is begun in month {made.second_network_month}: the first one is full.")
    if measured.assumed:
        lines.append(f"Not measured, and assumed: {', '.join(measured.assumed)} (see their sources above).")
    return lines


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def _money(value: float) -> str:
    return f"{value:,.2f}"
