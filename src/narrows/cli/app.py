"""The commands and how their errors end."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer
from rich.console import Console
from rich.markup import escape

from narrows.cli.compare import compare_command
from narrows.cli.init import init_command
from narrows.cli.learn import adopt_command, learn_command
from narrows.cli.plan import plan_command
from narrows.cli.predict import evaluate_command, predict_command, route_command
from narrows.cli.report import report_command
from narrows.cli.run import run_command
from narrows.cli.show import methods_command, show_command, streams_command, tasks_command
from narrows.cli.upkeep import compact_command, forget_command, recover_command, verify_command
from narrows.cli.watch import watch_command
from narrows.errors import NarrowsError

app = typer.Typer(
    name="narrows",
    help="One network keeps learning new tasks and never forgets an old one.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_LIFE: dict[str, Callable[..., None]] = {
    "init": init_command,
    "adopt": adopt_command,
    "learn": learn_command,
    "predict": predict_command,
    "evaluate": evaluate_command,
    "route": route_command,
    "tasks": tasks_command,
    "show": show_command,
    "forget": forget_command,
    "verify": verify_command,
    "recover": recover_command,
    "compact": compact_command,
}
_BENCHMARKS: dict[str, Callable[..., None]] = {
    "run": run_command,
    "compare": compare_command,
    "streams": streams_command,
    "methods": methods_command,
}
_SEEING: dict[str, Callable[..., None]] = {
    "report": report_command,
    "watch": watch_command,
    "plan": plan_command,
}
_PANELS = (("A model in production", _LIFE), ("Benchmarks", _BENCHMARKS), ("What is kept and why", _SEEING))
for _panel, _commands in _PANELS:
    for _name, _command in _commands.items():
        app.command(_name, rich_help_panel=_panel)(_command)


def main() -> None:
    """Entry point: what narrows raises on purpose is printed as one message, with exit code 1."""
    try:
        app()
    except NarrowsError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False)
        sys.exit(1)
