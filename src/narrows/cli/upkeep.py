"""Commands that keep a store in order: verify, forget, recover, compact."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from narrows.cli.common import StorePath, TaskName, Trust, open_for_use, say
from narrows.cli.tables import size
from narrows.errors import ConfigError, ModelBuildError, StoreError, UntrustedModelError
from narrows.production import model_record, recover
from narrows.production.verifying import OutputCheck, verify_outputs
from narrows.store import Problem, Recovery
from narrows.store.forget import Forgetting
from narrows.tasks import TaskStore


def verify_command(
    store: StorePath,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also rebuild every task, and compare weights and outputs with the recorded.")
    ] = False,
    trust: Trust = False,
) -> None:
    """Check every byte of a store; with --deep also every task's weights and outputs.

    Exit code 1 where something is damaged; what is damaged, and what to do, is said for each file. Outputs are compared
    bit for bit where torch and processor are those of the commit, elsewhere up to rounding.
    """
    opened, console = TaskStore.open(store), Console()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("verifying", total=None)
        problems = opened.verify(lambda _, done, total: progress.update(bar, completed=done, total=total), deep=deep)
    for problem in problems:
        _print_problem(console, problem)
    damaged = [problem for problem in problems if not problem.harmless]
    if damaged:
        rest = _rest(opened, damaged)
        console.print(f"[bold red]{len(damaged)} problems.[/]{rest}", highlight=False)
        raise typer.Exit(1)
    count = len(opened.names())
    weights = " and every task's rebuilt weights agree." if deep else " agrees."
    console.print(f"[green]sound:[/] {count} tasks, every file's SHA-256{weights}", highlight=False)
    if deep and not _outputs_are_sound(store, trust, console):
        raise typer.Exit(1)


def _rest(store: TaskStore, problems: Sequence[Problem]) -> str:
    """What of the store can be used though some of it is damaged."""
    damaged = {problem.task for problem in problems}
    if None in damaged:
        return ""
    spreading = {problem.task for problem in problems if problem.spreads}
    built: list[str] = []
    for name in store.names():
        with suppress(StoreError):
            if name not in damaged and spreading & set(store.directory.record(name).parents):
                built.append(name)
    if built:
        return f" Not to be had without them, as they reuse their weights: {', '.join(built)}. All others are sound."
    return " Tasks not named above are sound."


def _print_problem(console: Console, problem: Problem) -> None:
    colour = "yellow" if problem.harmless else "red"
    text = escape(f"{problem.what}; {problem.remedy}")
    console.print(f"[{colour}]{escape(problem.file)}[/] {text}", highlight=False, soft_wrap=True)


def _outputs_are_sound(store: Path, trust: bool, console: Console) -> bool:
    """ModelMismatchError where the factory builds another model than it did."""
    try:
        if model_record(store) is None:
            raise ModelBuildError("the store has no record of how to build its model.")
        opened = open_for_use(store, trust)
    except (UntrustedModelError, ModelBuildError) as error:
        console.print(f"[yellow]outputs were not compared:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return True
    checks = verify_outputs(opened)
    for check in checks:
        if check.verdict != "same":
            colour = "yellow" if check.harmless else "red"
            console.print(f"[{colour}]{escape(check.task)}:[/] {escape(check.what)}", highlight=False, soft_wrap=True)
    _summarise(checks, console)
    return all(check.harmless for check in checks)


def _summarise(checks: list[OutputCheck], console: Console) -> None:
    wrong = sum(not check.harmless for check in checks)
    if wrong:
        console.print(f"[bold red]{wrong} tasks answer otherwise than when they were committed.[/]", highlight=False)
        return
    same = sum(check.verdict == "same" for check in checks)
    console.print(
        f"[green]sound:[/] {same} of {len(checks)} tasks give the outputs that were committed, bit for bit.",
        highlight=False,
    )


def forget_command(
    store: StorePath,
    name: TaskName,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Take a task out of a store for good. Other tasks stay as they are to the last bit.

    Weights that only it used are free again; those that later tasks reuse are kept for them.
    """
    opened, console = TaskStore.open(store), Console()
    planned = opened.forget(name, dry_run=True)
    _print_forgetting(console, planned, dry_run)
    if dry_run:
        return
    if not yes and not sys.stdin.isatty():
        raise ConfigError("There is nobody to ask whether to forget it for good: say --yes. Nothing was changed.")
    if not yes and not typer.confirm(f"Forget {name!r} for good?"):
        say(console, "Nothing was changed.")
        raise typer.Exit(1)
    done = opened.forget(name)
    say(console, f"{name} is forgotten.")
    if done.leftovers:
        say(console, f"Some of its files could not be removed ({', '.join(done.leftovers)}): `compact` tries again.")


def _print_forgetting(console: Console, planned: Forgetting, dry_run: bool) -> None:
    would = "would be" if dry_run else "will be"
    if planned.freed is None or planned.values is None:
        say(console, f"{planned.name}: what becomes free is not known, as a task is damaged; `verify` names it.")
    else:
        freed, values = f"{planned.freed:,} weights {would} free again", f"{planned.values:,} values given up"
        say(console, f"{planned.name}: {freed}, {values}.")
    if planned.reverts:
        names = ", ".join(planned.reverts)
        say(console, f"It overwrote others, which go back to the weights of the one before it: {names}.")
    if planned.bytes >= 0:
        say(console, f"The store {would} {size(planned.bytes)} smaller.")
    else:
        say(console, f"The store {would} {size(-planned.bytes)} larger: values move into the tasks that need them.")
    for task, count in planned.kept_for.items():
        kept = f"{count:,} of its values are kept for it" if count else "an earlier task keeps what it needs"
        say(console, f"{task} reuses its weights: {kept}.")
    if planned.learned_after:
        names = ", ".join(planned.learned_after)
        say(console, f"Learned after it, and so perhaps from its weights; they stay as they are: {names}.")


def recover_command(
    store: StorePath,
    also: Annotated[
        list[str] | None,
        typer.Option("--also", metavar="NAME", help="Take this one back, too, though it was given up; repeatable."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Write store.json anew from the whole tasks: where it is lost, damaged, or older than they are.

    No file of a task is changed. Exit code 1 where nothing was done though something could be.
    """
    console = Console()
    planned = recover(store, also=also or (), dry_run=True)
    _print_recovery(console, planned)
    if not planned.changes:
        say(console, "There is nothing to recover.")
        return
    if dry_run:
        return
    if not yes and not sys.stdin.isatty():
        raise ConfigError("There is nobody to ask whether that is the store: say --yes. Nothing was changed.")
    if not yes and not typer.confirm("Write store.json with these tasks?"):
        say(console, "Nothing was changed.")
        raise typer.Exit(1)
    done = recover(store, also=also or ())
    if done != planned:
        _print_recovery(console, done)
    say(console, f"Recovered: {len(done.tasks)} tasks. `narrows verify --deep` checks them.")


def _print_recovery(console: Console, planned: Recovery) -> None:
    if planned.lost is not None:
        say(console, f"store.json {planned.lost}.")
    for name in planned.tasks:
        state = "taken back" if name in planned.taken_back else "listed"
        fault = f", and damaged: {planned.damaged[name]}" if name in planned.damaged else ""
        say(console, f"{name}: {state}{fault}")
    for file, why in planned.left.items():
        say(console, f"Left out: {file}: {why}.")
    if planned.drops_carry:
        say(console, "The training state for the next task is given up; no task needs it.")


def compact_command(store: StorePath) -> None:
    """Remove what killed writers and finished checkpoints left in a store."""
    console = Console()
    reclaimed = TaskStore.open(store).compact()
    say(console, f"{size(reclaimed)} reclaimed." if reclaimed else "There was nothing to reclaim.")
