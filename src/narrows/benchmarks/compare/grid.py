"""Running a grid: handing the open jobs to processes, recording how they ended, and a summary after each.

What must outlive this process stands on the `Board`: a grid that was cut off, however, goes on from there. Knows no
terminal.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from narrows.benchmarks.compare.board import Board, Entry
from narrows.benchmarks.compare.folder import Folder
from narrows.benchmarks.compare.grid_checks import Grid
from narrows.benchmarks.compare.grid_listener import GridListener, GridState, Running, SilentGrid
from narrows.benchmarks.compare.jobs import Job
from narrows.benchmarks.compare.summary import Comparison, summarise
from narrows.benchmarks.compare.tables import markdown
from narrows.benchmarks.compare.workers import Process
from narrows.benchmarks.compare.workload import Outlook, Workload

TICK = 0.1
"""Seconds between two looks at the processes."""
LOOK = 3.0
"""Seconds between two looks at what other workers did."""

Launch = Callable[[Job], Process]


@dataclass
class _Held:
    """A job that this worker has, with its trial on the board."""

    job: Job
    trial: int
    process: Process


class Runner:
    """Runs a grid to its end, or until it is asked to stop."""

    def __init__(
        self, grid: Grid, folder: Folder, board: Board, launch: Launch, slots: int, listener: GridListener | None = None
    ) -> None:
        self._grid, self._folder, self._board, self._launch = grid, folder, board, launch
        self._slots, self._listener = slots, listener or SilentGrid()
        self._plan = Workload(grid)
        self._held: list[_Held] = []
        self._entries: dict[str, Entry] = {}
        self._looked = self._signed = self._begun = time.monotonic()
        self._spent, self._units = 0.0, 0

    def run(self) -> Comparison:
        """The figures, once everything is done or failed.

        Raises:
            KeyboardInterrupt: asked to stop; the processes were stopped, the figures so far are written.
            StorageError: the board cannot be used.
        """
        self._look()
        for entry in self._entries.values():
            if entry.state == "running" and entry.worker == self._folder.worker:
                self._board.give_up(entry.trial)  # of this folder's last command, which was killed
        self._look()
        self._again = self._plan.again(self._entries)
        with _stop_signals() as stop:
            try:
                self._work(stop)
            finally:
                self._end_processes()
        self._look()
        comparison = self._write()
        if stop.asked:
            raise KeyboardInterrupt
        return comparison

    def _work(self, stop: _Stop) -> None:
        self._write()
        while not stop.asked:
            outlook = self._outlook()
            if not outlook.left:
                return
            taken = self._start(outlook)
            self._listener.progress(self._progress(outlook))
            time.sleep(TICK)
            ended = [held for held in self._held if held.process.ended()]
            for held in ended:
                self._record(held)
            if taken or ended or time.monotonic() - self._looked > LOOK:
                self._look()
            if ended:
                self._write()
            self._give_sign()

    def _outlook(self) -> Outlook:
        return self._plan.look(self._entries, self._again)

    def _look(self) -> None:
        self._entries = self._board.read(self._plan.studies())
        self._looked = time.monotonic()

    def _start(self, outlook: Outlook) -> bool:
        """Fills the free slots with open jobs; whether any was tried for."""
        wanted = outlook.open[: self._slots - len(self._held)]
        # As they were when these jobs were open: by a later look another worker may have one, and to claim the attempt
        # after that would run it twice.
        entries = self._entries
        for job in wanted:
            trial = self._board.take(job, entries.get(job.key))
            if trial is None:
                continue
            self._look()
            if not self._plan.agreed(job, self._entries):
                self._board.give_up(trial)
                continue
            self._held.append(_Held(job, trial, self._launch(job)))
            self._listener.started(job)
        return bool(wanted)

    def _record(self, held: _Held) -> None:
        """Tells the board and the listener how a process ended."""
        self._held.remove(held)
        seconds, result, reason = held.process.seconds, held.process.result(), None
        if result is not None:
            self._board.done(held.trial, result, result["metrics"]["ACC"])
            self._spent, self._units = self._spent + seconds, self._units + self._plan.units(held.job)
        else:
            reason = held.process.reason()
            self._board.failed(held.trial, reason)
        self._listener.ended(held.job, seconds, reason)

    def _give_sign(self) -> None:
        if time.monotonic() - self._signed > self._grid.options.beat:
            self._board.live(held.trial for held in self._held)
            self._signed = time.monotonic()

    def _end_processes(self) -> None:
        """Stops what still runs; what it had not finished is open again, for this command's next time or others."""
        for held in self._held:
            held.process.interrupt()
        for held in self._held:
            held.process.wait()
        for held in list(self._held):
            if held.process.result() is not None:
                self._record(held)
            else:
                self._held.remove(held)
                self._board.give_up(held.trial)

    def _progress(self, outlook: Outlook) -> GridState:
        running = [Running(held.job.title, *held.process.progress(), held.process.seconds) for held in self._held]
        elsewhere = max(0, outlook.running - len(self._held))
        pace = self._spent / self._units / (self._slots + elsewhere) if self._units else None
        return GridState(
            running=tuple(running),
            done=outlook.done,
            left=outlook.left,
            failed=outlook.failed,
            elsewhere=elsewhere,
            elapsed=time.monotonic() - self._begun,
            remaining=None if pace is None else pace * outlook.units,
        )

    def _write(self) -> Comparison:
        """The figures as they stand, also as compare.json and compare.md."""
        outlook, options = self._outlook(), self._grid.options
        notes = []
        if self._grid.added_dense:
            notes.append(
                "`independent` (one dense network per task) was added: FWT and the ratios are held against its runs of "
                "the same seed and epochs."
            )
        comparison = summarise(
            self._grid.identity, outlook.cells, outlook.failures, outlook.left, notes, options.command
        )
        self._folder.write("compare.json", json.dumps(comparison.to_json(), indent=1, allow_nan=False) + "\n")
        self._folder.write("compare.md", markdown(comparison))
        return comparison


class _Stop:
    """Whether someone asked to stop."""

    asked = False


@contextmanager
def _stop_signals() -> Iterator[_Stop]:
    """Ctrl-C and SIGTERM only leave word meanwhile, so that nothing is cut off halfway; the second one interrupts.

    In another thread than the main one, where signals do not arrive, nothing changes; an ignored one (`nohup`, a
    script's `&`) stays ignored.
    """
    stop, before = _Stop(), {}

    def leave_word(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        stop.asked = True
        signal.signal(number, signal.default_int_handler)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, leave_word)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
