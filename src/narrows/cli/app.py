"""The commands and how their errors end."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.markup import escape

from narrows.cli.compare import compare_command
from narrows.cli.run import run_command
from narrows.cli.show import methods_command, streams_command, tasks_command, verify_command
from narrows.errors import NarrowsError

app = typer.Typer(
    name="narrows",
    help="One network keeps learning new tasks and never forgets an old one.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run_command)
app.command("compare")(compare_command)
app.command("streams")(streams_command)
app.command("methods")(methods_command)
app.command("tasks")(tasks_command)
app.command("verify")(verify_command)


def main() -> None:
    """Entry point: what narrows raises on purpose is printed as one message, with exit code 1."""
    try:
        app()
    except NarrowsError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False)
        sys.exit(1)
