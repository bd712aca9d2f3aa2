"""How a grid goes, for people: a line for each run under way, or plain lines where there is no terminal."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from narrows.cli.screen import Screen, say
from narrows.cli.tables import counted

if TYPE_CHECKING:
    from narrows.benchmarks.compare.grid_checks import Grid
    from narrows.benchmarks.compare.grid_listener import GridState
    from narrows.benchmarks.compare.jobs import Job


class GridBar:
    """Watches a grid and shows it on a console; a context manager.

    It is a `narrows.benchmarks.compare.grid_listener.GridListener`.
    """

    def __init__(self, console: Screen) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> GridBar:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def begun(self, grid: Grid, slots: int) -> None:
        names = ", ".join(variant.label for variant in grid.options.variants)
        added = "; independent was added as the dense reference" if grid.added_dense else ""
        say(self._console, f"{grid.options.stream}, {counted(grid.tasks, 'task')}: {names}{added}. {slots} at once.")

    def started(self, job: Job) -> None:
        """Nothing: the live lines show it, and plain ones would double."""

    def ended(self, job: Job, seconds: float, reason: str | None) -> None:
        if reason is None:
            say(self._console, f"{job.title}: done in {duration(seconds)}")
        else:
            say(self._console, f"{job.title}: failed: {reason.splitlines()[0] if reason else 'without a word'}")

    def progress(self, progress: GridState) -> None:
        if self._live.is_started:
            self._live.update(_picture(progress))


def duration(seconds: float) -> str:
    """
    >>> duration(7), duration(75), duration(7500)
    ('7 s', '1 min 15 s', '2 h 5 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _picture(progress: GridState) -> Group:
    lines = Table.grid(padding=(0, 2))
    for running in progress.running:
        of = running.of or 1
        bar = ProgressBar(total=of, completed=running.tasks, width=16)
        number = min(running.tasks + 1, of)
        where = f"task {number} of {running.of}" if running.of else "starting"
        lines.add_row(running.title, bar, where, duration(running.seconds))
    counts = [f"{progress.done} done", f"{progress.left} left", f"{progress.failed} failed"]
    if progress.elsewhere:
        counts.append(f"{progress.elsewhere} on other machines")
    counts.append(f"{duration(progress.elapsed)} so far")
    if progress.remaining is not None:
        counts.append(f"about {duration(progress.remaining)} to go")
    return Group(lines, Text(", ".join(counts), style="bold"))
