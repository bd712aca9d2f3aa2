"""The commands and how their errors end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from narrows.cli.common import FAILED
from narrows.cli.compare import compare_command
from narrows.cli.init import init_command
from narrows.cli.learn import adopt_command, learn_command
from narrows.cli.plan import plan_command
from narrows.cli.predict import evaluate_command, predict_command, route_command
from narrows.cli.report import report_command
from narrows.cli.run import run_command
from narrows.cli.screen import Screen, say_all, shown_warnings
from narrows.cli.show import methods_command, show_command, streams_command, tasks_command
from narrows.cli.terminal import unfailing
from narrows.cli.upkeep import compact_command, forget_command, recover_command, verify_command
from narrows.cli.watch import watch_command
from narrows.errors import NarrowsError
from narrows.memory import is_shortage, told


class _Switches:
    """A switch takes no value, so its help shows no type."""

    def get_params(self, ctx: Any) -> Any:
        params = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_flag", False) and param.metavar is None:
                param.metavar = ""
        return params


class _Command(_Switches, TyperCommand):
    pass


class _Group(_Switches, TyperGroup):
    pass


app = typer.Typer(
    name="narrows",
    cls=_Group,
    help="One network keeps learning new tasks and never forgets an old one.",
    epilog="Exit codes: 0 done; 1 failed, or found damage; 2 not understood; 3 below a bar of evaluate; 130 Ctrl-C.",
    no_args_is_help=True,
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
        app.command(_name, cls=_Command, rich_help_panel=_panel)(_command)


def _print_version(asked: bool) -> None:
    """Of what a result depends on. Nothing is imported for it."""
    if asked:
        python = ".".join(map(str, sys.version_info[:3]))
        sys.stdout.write(f"narrows {version('narrows')}, torch {version('torch')}, Python {python}\n")
        raise typer.Exit


@app.callback()
def _narrows(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the versions and exit."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point: what narrows raises on purpose, a disk, or a lack of memory, is one message and exit code 1."""
    with unfailing(), shown_warnings():
        try:
            app(prog_name="narrows")
        except NarrowsError as error:
            _end(str(error))
        except OSError as error:
            _end(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
        except BaseException as error:
            if not is_shortage(error):
                raise
            _end(f"There is not enough memory for that ({told(error)}); what was stored before is as it was.")


def _end(text: str) -> None:
    say_all(Screen(stderr=True), text, "error:", "bold red")
    sys.exit(FAILED)
