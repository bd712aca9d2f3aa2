"""`narrows report`: what is kept and why, as a page."""

from __future__ import annotations

import shlex
import sys
import webbrowser
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from narrows.cli.common import Trust, trust_to_build
from narrows.cli.data_options import Bad, Device, data_options
from narrows.cli.screen import Screen, say
from narrows.cli.suggesting import program
from narrows.errors import ConfigError, UnknownNameError, nearest

SubjectPath = Annotated[
    Path,
    typer.Argument(metavar="PATH", help="Folder of a store, a run or a comparison, or a result.json or compare.json."),
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
    task: Annotated[
        list[str] | None,
        typer.Option("--task", metavar="NAME", help="Draw pictures of this task only, finer; repeatable."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure what a run's tasks lean on, on the data of its stream.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--data-dir", metavar="FOLDER|hub", help="Where those data are, as `narrows run --data` has it."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", metavar="TASK=DATA", help="Measure a store's task on these data; repeatable."),
    ] = None,
    bad: Bad = "refuse",
    device: Device = "cpu",
    trust: Trust = False,
) -> None:
    """Writes a page on what is kept and why: one file, for engineers and managers, that needs no network.

    What tasks lean on, and whether something was wrongly dropped, is measured on examples: --measure for a run, --data
    for a store. It is remembered beside the page.
    """
    from rich.progress import Progress

    from narrows.report.build import write_report
    from narrows.report.page_measurements import PageExamples

    examples = None
    if measure or folder or data:
        sources = _sources(path, data or ())
        if sources:
            trust_to_build(path, trust, *sources.values())
        examples = PageExamples(folder, sources, data_options(bad=bad), trust, device)
    console = Screen(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("report")

        def follow(what: str, done: int, total: int) -> None:
            progress.update(bar, description=what, completed=done, total=total)

        written = write_report(
            path,
            out,
            language=language,
            verify=verify,
            command=shlex.join([*program(), *sys.argv[1:]]),
            tasks=task or (),
            examples=examples,
            progress=follow,
        )
    say(Screen(), f"{written}: {written.stat().st_size / 1e6:.1f} MB")
    if show and not webbrowser.open(written.resolve().as_uri()):
        say(console, "No browser could be started here; open the file in one.")


def _sources(path: Path, data: Iterable[str]) -> dict[str, str]:
    """TASK=DATA by task; a task's name may have "=" in it. ConfigError, UnknownNameError."""
    if not data:
        return {}
    from narrows.analysis.subject import open_subject

    reader = open_subject(path).reader
    names = () if reader is None else reader.task_names()
    found: dict[str, str] = {}
    for text in data:
        if "=" not in text:
            raise ConfigError(f"--data takes TASK=DATA, the task's name first; got {text}.")
        name = max((name for name in names if text.startswith(f"{name}=")), key=len, default=None)
        if name is None:
            said = text.partition("=")[0]
            raise UnknownNameError(f"There is no task {said!r} in {path}: {nearest(said, names)}")
        found[name] = text.removeprefix(f"{name}=")
    return found
