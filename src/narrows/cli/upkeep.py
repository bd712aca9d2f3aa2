"""Commands that keep a store in order: verify, forget, recover, compact."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrows.cli.as_json import Json, plain, print_json
from narrows.cli.common import FAILED, StorePath, TaskName, Trust, holds, open_for_use, telling
from narrows.cli.screen import Screen, say
from narrows.cli.tables import counted, size
from narrows.errors import ConfigError, ModelBuildError, StoreError, UntrustedModelError

if TYPE_CHECKING:
    from narrows.production import OutputCheck
    from narrows.store import Problem, Recovery
    from narrows.store.forget import Forgetting
    from narrows.tasks import TaskStore


def verify_command(
    store: StorePath,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also rebuild every task, and compare weights and outputs with the recorded.")
    ] = False,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Check every byte of a store; with --deep also every task's weights and outputs.

    Exit code 1 where something is damaged; what is damaged, and what to do, is said for each file. Outputs are compared
    bit for bit where torch and processor are those of the commit, elsewhere up to rounding.
    """
    from rich.progress import Progress

    from narrows.tasks import TaskStore

    opened, console, errors = TaskStore.open(store), Screen(stderr=as_json), Screen(stderr=True)
    # Where nobody sees it there is no bar: its thread, where it gets no memory, is waited for endlessly.
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        bar = progress.add_task("verifying", total=None)
        problems = opened.verify(lambda _, done, total: progress.update(bar, completed=done, total=total), deep=deep)
    damaged = [problem for problem in problems if not problem.harmless]
    _print_problems(console, opened, problems, damaged, deep)
    checks = _checked_outputs(store, trust, console) if deep and not damaged else []
    sound = not damaged and all(check.harmless for check in checks)
    if as_json:
        print_json("verify", {"sound": sound, "tasks": opened.names(), "problems": problems, "outputs": checks})
    if not sound:
        raise typer.Exit(FAILED)


def _print_problems(
    console: Screen, store: TaskStore, problems: list[Problem], damaged: list[Problem], deep: bool
) -> None:
    for problem in problems:
        _print_problem(console, problem)
    if damaged:
        say(console, _rest(store, damaged), f"{counted(len(damaged), 'problem')}.", "bold red")
        return
    count = counted(len(store.names()), "task")
    weights = " and every task's rebuilt weights agree." if deep else " agrees."
    say(console, f"{count}, every file's SHA-256{weights}", "sound:", "green")


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
        return f"Not to be had without them, as they reuse their weights: {', '.join(built)}. All others are sound."
    return "Tasks not named above are sound."


def _print_problem(console: Screen, problem: Problem) -> None:
    colour = "yellow" if problem.harmless else "red"
    say(console, f"{problem.what}; {problem.remedy}", problem.file, colour)


def _checked_outputs(store: Path, trust: bool, console: Screen) -> list[OutputCheck]:
    """What they say is printed. ModelMismatchError where the factory builds another model than it did."""
    from narrows.production import model_record, verify_outputs

    try:
        if model_record(store) is None:
            raise ModelBuildError("the store has no record of how to build its model.")
        opened = open_for_use(store, trust)
    except (UntrustedModelError, ModelBuildError) as error:
        say(console, str(error), "outputs were not compared:", "yellow")
        return []
    checks = verify_outputs(opened)
    for check in checks:
        if check.verdict != "same":
            colour = "yellow" if check.harmless else "red"
            say(console, check.what, f"{check.task}:", colour)
    _summarise(checks, console)
    return checks


def _summarise(checks: list[OutputCheck], console: Screen) -> None:
    wrong = sum(not check.harmless for check in checks)
    if wrong:
        answer = "task answers" if wrong == 1 else "tasks answer"
        say(console, "", f"{wrong} {answer} otherwise than when committed.", "bold red")
        return
    same = sum(check.verdict == "same" for check in checks)
    gives = "gives" if len(checks) == 1 else "give"
    told = f"{same} of {counted(len(checks), 'task')} {gives} the outputs that were committed, bit for bit."
    say(console, told, "sound:", "green")


def forget_command(
    store: StorePath,
    name: TaskName,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Take a task out of a store for good. Other tasks stay as they are to the last bit.

    Weights that only it used are free again; those that later tasks reuse are kept for them.
    """
    from narrows.tasks import TaskStore

    opened, console = TaskStore.open(store), Screen(stderr=as_json)
    planned = opened.forget(name, dry_run=True)
    _print_forgetting(console, planned, dry_run)
    if dry_run:
        if as_json:
            print_json("forget", {"forgotten": False, **plain(planned)})
        return
    if not yes and (sys.stdin is None or not sys.stdin.isatty()):
        raise ConfigError("There is nobody to ask whether to forget it for good: say --yes. Nothing was changed.")
    if not yes and not typer.confirm(f"Forget {name!r} for good?", err=as_json):
        say(console, "Nothing was changed.")
        raise typer.Exit(FAILED)
    with telling(lambda: not holds(store, name), f"{name} is forgotten."):
        done = opened.forget(name)
        if as_json:
            print_json("forget", {"forgotten": True, **plain(done)})
    say(console, f"{name} is forgotten.")
    if done.leftovers:
        say(console, f"Some of its files could not be removed ({', '.join(done.leftovers)}): `compact` tries again.")


def _print_forgetting(console: Screen, planned: Forgetting, dry_run: bool) -> None:
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
    as_json: Json = False,
) -> None:
    """Write store.json anew from the whole tasks: where it is lost, damaged, or older than they are.

    No file of a task is changed. It says first what it would do.
    """
    from narrows.store import recover

    console = Screen(stderr=as_json)
    planned = recover(store, also=also or (), dry_run=True)
    _print_recovery(console, planned)
    if not planned.changes:
        say(console, "There is nothing to recover.")
    if dry_run or not planned.changes:
        if as_json:
            print_json("recover", {"recovered": False, **plain(planned)})
        return
    if not yes and (sys.stdin is None or not sys.stdin.isatty()):
        raise ConfigError("There is nobody to ask whether that is the store: say --yes. Nothing was changed.")
    if not yes and not typer.confirm("Write store.json with these tasks?", err=as_json):
        say(console, "Nothing was changed.")
        raise typer.Exit(FAILED)
    done = recover(store, also=also or ())
    if as_json:
        print_json("recover", {"recovered": True, **plain(done)})
    if done != planned:
        _print_recovery(console, done)
    say(console, f"Recovered: {counted(len(done.tasks), 'task')}. `narrows verify --deep` checks them.")


def _print_recovery(console: Screen, planned: Recovery) -> None:
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


def compact_command(store: StorePath, as_json: Json = False) -> None:
    """Remove what killed writers and finished checkpoints left in a store."""
    from narrows.tasks import TaskStore

    reclaimed = TaskStore.open(store).compact()
    if as_json:
        print_json("compact", {"reclaimed": reclaimed})
        return
    say(Screen(), f"{size(reclaimed)} reclaimed." if reclaimed else "There was nothing to reclaim.")
