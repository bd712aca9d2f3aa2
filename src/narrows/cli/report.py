"""`narrows report`: what is kept and why, as a page."""

from __future__ import annotations

import shlex
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from narrows.cli.common import say
from narrows.report.build import write_report

SubjectPath = Annotated[
    Path, typer.Argument(metavar="PATH", help="Folder of a store, a run or a comparison, or a result.json.")
]
Language = Annotated[str, typer.Option("--lang", help="Language of the page: en or ja.")]


def report_command(
    path: SubjectPath,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page to write.")] = Path("report.html"),
    show: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    language: Language = "en",
    verify: Annotated[
        bool, typer.Option(help="Read every byte of the store and put every task together to check it.")
    ] = True,
) -> None:
    """Writes a page on what is kept and why: one file, for engineers and managers, that needs no network."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("report")

        def follow(section: str, done: int, total: int) -> None:
            progress.update(bar, description=section, completed=done, total=total)

        command = shlex.join(["narrows", *sys.argv[1:]])
        written = write_report(path, out, language=language, verify=verify, command=command, progress=follow)
    say(Console(), f"{written}: {written.stat().st_size / 1e6:.1f} MB")
    if show and not webbrowser.open(written.resolve().as_uri()):
        say(console, "No browser could be started here; open the file in one.")
