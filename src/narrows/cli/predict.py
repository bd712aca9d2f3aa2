"""`narrows predict`, `evaluate` and `route`: asking the tasks of a store about a user's data."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from narrows.cli import data_options as say_of
from narrows.cli.as_json import Json, print_json
from narrows.cli.bar import missed, parse_bar, require_figures
from narrows.cli.common import BELOW, StorePath, Trust, open_for_use
from narrows.cli.data_options import data_options
from narrows.cli.screen import Screen, say
from narrows.cli.tables import plain_table
from narrows.errors import ConfigError, DataError

if TYPE_CHECKING:
    from narrows.production import Evaluation, Predictions
    from narrows.tasks import TaskStore

SHOWN = 10
"""Rows of predictions that are shown where they are not written to a file."""
MOST_CLASSES = 12
"""So many classes have their confusion shown."""


_SCORES = {"entropy": "how sure it is (0 to 1)", "statistics": "minus the distance"}
"""What a score of the routing is, for people; the greater, the likelier the task."""


def predict_command(
    store: StorePath,
    task: say_of.Task,
    data: say_of.Data,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to write them: .csv or .parquet.")
    ] = None,
    features: say_of.Features = None,
    bad: say_of.Bad = "refuse",
    device: say_of.Device = "cpu",
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Ask a task about your data: classes with their probabilities, labels, or numbers in your units.

    Without --out the first rows are shown.
    """
    from narrows.production import predict

    _require_suffix(out)
    opened = open_for_use(store, trust, data)
    found = predict(opened, task, data, options=data_options(features=features, bad=bad), device=device)
    errors, console = Screen(stderr=True), Screen()
    _print_notes(errors, found.notes)
    if out is not None:
        found.write(out)
    if as_json:
        skipped = {one.id: one.reason for one in found.skipped}
        columns = {} if out else {"columns": found.columns()}
        print_json("predict", {"task": task, "examples": len(found), "skipped": skipped, "wrote": out, **columns})
        return
    if out is None:
        _print_first(console, found)
        return
    say(console, f"wrote {len(found):,} predictions of {task} to {out}")


def evaluate_command(
    store: StorePath,
    data: say_of.Data,
    task: Annotated[
        str | None, typer.Option("--task", "-t", metavar="NAME", help="A task; default: all that the data fit.")
    ] = None,
    at_least: Annotated[
        list[str] | None,
        typer.Option("--at-least", metavar="FIGURE=VALUE", help="Exit with 3 where a task has less; repeatable."),
    ] = None,
    at_most: Annotated[
        list[str] | None,
        typer.Option("--at-most", metavar="FIGURE=VALUE", help="Exit with 3 where a task has more; repeatable."),
    ] = None,
    features: say_of.Features = None,
    bad: say_of.Bad = "refuse",
    device: say_of.Device = "cpu",
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Measure tasks on your data, which need their targets.

    With a bar, as in --at-least accuracy=0.9, the exit code is 3 where a task misses it (1: it could not be measured):
    for a job that must not go on.
    """
    from narrows.production import Evaluations, evaluate, evaluate_all

    least, most = parse_bar(at_least, "--at-least"), parse_bar(at_most, "--at-most")
    opened = open_for_use(store, trust, data)
    require_figures((*least, *most), _figures_of(opened, task))
    options = data_options(features=features, bad=bad)
    errors, console = Screen(stderr=True), Screen()
    if task is not None:
        found = Evaluations((evaluate(opened, task, data, options=options, device=device),), {})
    else:
        found = evaluate_all(opened, data, options=options, device=device)
    below = [text for evaluation in found.done for text in missed(evaluation, least, most)]
    for evaluation in found.done:
        _print_notes(errors, evaluation.notes)
        if not as_json:
            _print_evaluation(console, evaluation)
    for name, reason in found.left_out.items():
        say(errors, f"left out: {name}: {reason}")
    for text in below:
        say(errors, text)
    if as_json:
        tasks = {
            one.task: {"classes": one.schema.target.names, "scores": one.scores, "skipped": one.skipped}
            for one in found.done
        }
        print_json("evaluate", {"tasks": tasks, "left_out": found.left_out, "missed": below})
    if below:
        raise typer.Exit(BELOW)


def _figures_of(store: TaskStore, task: str | None) -> dict[str, tuple[str, ...]]:
    """The names of the figures that tasks have, of each that says what it predicts."""
    from narrows.production.scores import figure_names
    from narrows.production.tasks import schema_of

    found: dict[str, tuple[str, ...]] = {}
    for name in store.directory.task_names() if task is None else (task,):
        with suppress(DataError):  # learned by a program of the user's own: it is left out below, with that reason
            target = schema_of(store, name).target
            found[name] = figure_names(target.kind, target.names)
    return found


def route_command(
    store: StorePath,
    data: say_of.Data,
    each: Annotated[bool, typer.Option("--each", help="Each example goes its own way.")] = False,
    by: Annotated[str, typer.Option(help="entropy, or statistics (of BatchNorm; 8 examples or more).")] = "entropy",
    features: say_of.Features = None,
    bad: say_of.Bad = "refuse",
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Rank the tasks for data of which nobody says what task they belong to.

    A guess: data of no task at all go to one of them too. docs/benchmarks.md says how often it is right.
    """
    from narrows.production import route

    if by not in ("entropy", "statistics"):
        raise ConfigError(f"--by is entropy or statistics, not {by!r}.")
    opened = open_for_use(store, trust, data)
    options = data_options(features=features, bad=bad)
    measure = cast(Literal["entropy", "statistics"], by)
    found = route(opened, data, batch=not each, by=measure, options=options)
    for name, reason in found.left_out.items():
        say(Screen(stderr=True), f"left out: {name}: {reason}")
    if as_json:
        ranking = [{"task": name, "score": score} for name, score in found.ranking]
        print_json("route", {"by": by, "each": each, "ranking": ranking, "left_out": found.left_out})
        return
    table = plain_table()
    table.add_column("task", no_wrap=True)
    table.add_column("share of the examples" if each else _SCORES[by], justify="right")
    for name, score in found.ranking:
        table.add_row(name, f"{score:.3f}")
    Screen().print(table)


def _require_suffix(out: Path | None) -> None:
    """Before anything is computed."""
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"--out is a .csv or .parquet file, not {out.name!r}.")
    if out is not None and not out.absolute().parent.is_dir():
        raise ConfigError(f"--out: there is no folder {out.parent} to write {out.name} into; make it first.")


def _print_notes(console: Screen, notes: tuple[str, ...]) -> None:
    for note in notes:
        say(console, f"note: {note}")


def _print_first(console: Screen, found: Predictions) -> None:
    columns = found.columns()
    shown = [name for name in columns if not name.startswith("p_")]
    table = plain_table()
    for name in shown:
        table.add_column(name, no_wrap=True)
    for row in range(min(SHOWN, len(found))):
        table.add_row(*(_cell(columns[name][row]) for name in shown))
    console.print(table)
    if len(found) > SHOWN:
        say(console, f"and {len(found) - SHOWN:,} more; --out FILE.csv or FILE.parquet writes them all")


def _print_evaluation(console: Screen, found: Evaluation) -> None:
    say(console, found.schema.summary(), f"{found.task}:", "bold")
    scores = dict(found.scores)
    targets: dict[str, dict[str, Any]] = scores.pop("targets", {})
    confusion: list[list[int]] = scores.pop("confusion", [])
    say(console, ", ".join(f"{name} {_cell(value)}" for name, value in scores.items()))
    for name, figures in targets.items():
        say(console, f"  {name}: " + ", ".join(f"{key} {_cell(value)}" for key, value in figures.items()))
    if confusion and len(confusion) <= MOST_CLASSES:
        _print_confusion(console, found.schema.target.names, confusion)


def _print_confusion(console: Screen, names: tuple[str, ...], confusion: list[list[int]]) -> None:
    table = plain_table()
    table.add_column("true \\ predicted", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right")
    for name, row in zip(names, confusion, strict=True):
        table.add_row(name, *map(str, row))
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
