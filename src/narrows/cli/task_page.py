"""A task of a store on one page, for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from rich.table import Table

from narrows.cli.screen import Screen, say
from narrows.cli.tables import percent, plain_table, size
from narrows.data import Schema
from narrows.errors import DataError
from narrows.methods import METHODS


def print_task(console: Screen, told: dict[str, Any]) -> None:
    """What `narrows.production.describing.describe` tells."""
    say(console, "", told["name"], "bold")
    facts = Table.grid(padding=(0, 2))
    for label, text in _facts(told):
        facts.add_row(label, text)
    console.print(facts)
    console.print(_layers(told))


def _facts(told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    data = told["data"]
    seconds = "" if told["seconds"] is None else f", {told['seconds']:.1f} s of training"
    yield "learned", f"{told['created']}{seconds}"
    if "schema" in data:
        yield "from", _schema(data["schema"])
    if data:
        yield "data", _data(data)
    yield "method", _method(told["method"])
    for part, figures in told["metrics"].items():
        text = ", ".join(_figures(figures)) if isinstance(figures, dict) else _figure(figures)
        if text:
            yield str(part), text
    counts = (told["used"], told["claimed"], told["reused"])
    used, claimed, reused = (percent(count / told["weights"], 2) for count in counts)
    yield "weights", f"{used}% of the shared: {claimed}% its own, {reused}% reused; {size(told['bytes'])} on disk"
    yield "builds on", ", ".join(told["parents"]) or "no other task"
    yield "builds on it", ", ".join(told["children"]) or "no other task"


def _schema(values: Any) -> str:
    try:
        return Schema.from_json(values).summary()
    except DataError as error:  # another program may have committed the task
        return f"a schema that this narrows cannot read ({error})"


def _data(data: dict[str, Any]) -> str:
    """The single figures but for hashes; the rest is for --json."""
    single = {key: value for key, value in data.items() if isinstance(value, int | float | str)}
    single.pop("fingerprint", None)
    return ", ".join(f"{key.replace('_', ' ')} {_figure(value)}" for key, value in single.items())


def _method(method: dict[str, Any]) -> str:
    """Its name, and what was said of it beside its defaults."""
    name, config = method["name"], method.get("config", {})
    defaults = {field.name: field.default for field in fields(METHODS[name])} if name in METHODS else {}
    said = {key: value for key, value in config.items() if key not in defaults or value != _plain(defaults[key])}
    return f"{name} ({', '.join(f'{key}={value}' for key, value in said.items())})" if said else str(name)


def _plain(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


def _figures(figures: dict[str, Any]) -> Iterator[str]:
    for name, value in figures.items():
        if isinstance(value, int | float | str | None):
            yield f"{name} {_figure(value)}"


def _figure(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _layers(told: dict[str, Any]) -> Table:
    table = plain_table()
    table.add_column("layer", no_wrap=True)
    for heading in ("weights", "density %", "claimed %", "reused %", "nats"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, layer in told["layers"].items():
        weights, used, claimed = layer["weights"], layer["used"], layer["claimed"]
        nats = layer.get("nats")
        table.add_row(
            name,
            f"{weights:,}",
            *(percent(count / weights, 2) for count in (used, claimed, used - claimed)),
            "-" if nats is None else f"{nats:.0f}",
        )
    return table
