"""What there is to do, given what the board says: first the trials of tuning, then the runs with what was picked.

Pure functions of the grid and the board's entries; knows no process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from narrows.benchmarks.compare.board import RUNS, Entry, State, study_of
from narrows.benchmarks.compare.grid_checks import Grid
from narrows.benchmarks.compare.jobs import Job, run_jobs, tuning_jobs
from narrows.benchmarks.compare.spec import Variant
from narrows.benchmarks.compare.summary import Cell, Failure, Ran, Trial
from narrows.benchmarks.compare.tuning import pick, trial_values

Entries = Mapping[str, Entry]
_FINISHED = ("done", "failed")


@dataclass(frozen=True)
class Outlook:
    """The state of a grid.

    Attributes:
        open: jobs that may be taken now, the most wanted first.
        left: how many of this grid's jobs are neither done nor failed; some of them may have to wait for others.
        running, done, failed: how many are.
        units: the work that is left, in tasks times epochs.
        cells: what is known of each variant and length of training; what others added to the grid comes last.
        failures: `job` and `reason` of each that failed for good, for this command.
    """

    open: tuple[Job, ...]
    left: int
    running: int
    done: int
    failed: int
    units: int
    cells: tuple[Cell, ...]
    failures: tuple[Failure, ...]


class Workload:
    """The jobs of a grid: for each cell, a variant with a length of training, its trials and its runs."""

    def __init__(self, grid: Grid) -> None:
        self._grid, self._seeds = grid, grid.options.seeds
        self._cells: list[tuple[Variant, int, list[Job]]] = []
        for variant in grid.options.variants:
            values = trial_values(variant, grid.options.tune)
            self._cells += [(variant, epochs, tuning_jobs(variant, epochs, values)) for epochs in grid.epochs]

    def studies(self) -> list[str]:
        """What must be read from the board."""
        return [RUNS, *(study_of(trials[0]) for _, _, trials in self._cells if trials)]

    def units(self, job: Job) -> int:
        """The work in a job: tasks times epochs."""
        return job.epochs * (self._grid.options.tune_tasks if job.kind == "tuning" else self._grid.tasks)

    def again(self, entries: Entries) -> dict[str, int]:
        """The failed attempts that a new command tries again, by key.

        A trial is tried again only while no run of its cell was begun: what was picked once stays.
        """
        begun = {_cell(entry.job) for entry in entries.values() if entry.job.kind == "runs"}
        return {
            key: entry.attempt
            for key, entry in entries.items()
            if entry.state == "failed" and (entry.job.kind == "runs" or _cell(entry.job) not in begun)
        }

    def agreed(self, job: Job, entries: Entries) -> bool:
        """Whether a run that was taken has the values of its cell's first run, which bind all workers.

        Two of them could pick differently if one tries a failed trial again while the other goes on without it.
        """
        first = _first_begun(job.variant, job.epochs, entries) if job.kind == "runs" else None
        return first is None or first.values == job.values

    def look(self, entries: Entries, again: Mapping[str, int]) -> Outlook:
        """The state of the grid; the failed attempts in `again` do not count."""

        def state(job: Job) -> State:
            entry = entries.get(job.key)
            return "open" if entry is None or again.get(job.key) == entry.attempt else entry.state

        standings = []
        for variant, epochs, trials in self._cells:
            settled = all(state(trial) in _FINISHED for trial in trials)
            standings.append(_Standing.of(variant, epochs, trials, settled, entries, self._seeds))
        # Trials and runs take turns between the cells, so that what is there early can be compared.
        jobs = [*_in_turn([s.trials for s in standings]), *_in_turn([s.runs for s in standings if s.ready])]
        blocked = [run for s in standings if not s.settled for run in s.runs]
        left = [job for job in jobs if state(job) not in _FINISHED]
        failed = [job for job in jobs if state(job) == "failed"]
        return Outlook(
            open=tuple(job for job in left if state(job) == "open"),
            left=len(left) + len(blocked),
            running=sum(state(job) == "running" for job in jobs),
            done=sum(state(job) == "done" for job in jobs),
            failed=len(failed),
            units=sum(self.units(job) for job in (*left, *blocked)),
            cells=(*(s.cell(entries) for s in standings), *self._of_others(entries)),
            failures=(
                *(Failure(job=s.title, reason=s.why_nothing_picked()) for s in standings if s.settled and not s.ready),
                *(Failure(job=run.title, reason=entries[run.key].reason) for run in failed if run.kind == "runs"),
            ),
        )

    def _of_others(self, entries: Entries) -> Iterator[Cell]:
        """Cells on the board that this command did not ask for: earlier commands, other machines."""
        ours = {(variant.label, epochs) for variant, epochs, _ in self._cells}
        strangers: dict[tuple[str, int], list[Job]] = {}
        for entry in entries.values():
            if entry.job.kind == "runs" and _cell(entry.job) not in ours:
                strangers.setdefault(_cell(entry.job), []).append(entry.job)
        for runs in strangers.values():
            like = runs[0]
            yield Cell(like.variant, like.epochs, len(runs), like.values, tuple(like.tried), _ran(runs, entries))


@dataclass(frozen=True)
class _Standing:
    """How far a cell is: `settled` once its trials are finished, and then `values` is what they say, if anything."""

    variant: Variant
    epochs: int
    trials: list[Job]
    settled: bool
    tried: tuple[Trial, ...]
    values: Mapping[str, float] | None
    runs: list[Job]

    @classmethod
    def of(
        cls, variant: Variant, epochs: int, trials: list[Job], settled: bool, entries: Entries, seeds: Sequence[int]
    ) -> _Standing:
        tried: Sequence[Trial] = [_tried(trial, entries) for trial in trials]
        values: Mapping[str, float] | None = {}
        if begun := _first_begun(variant, epochs, entries):
            values, tried, settled = begun.values, begun.tried, True
        elif trials:
            values = pick(tried) if settled else None
        runs = run_jobs(Job("runs", variant, epochs, 0, values or {}, tried), seeds)
        return cls(variant, epochs, trials, settled, tuple(tried), values, runs)

    @property
    def ready(self) -> bool:
        return self.settled and self.values is not None

    @property
    def title(self) -> str:
        return f"{self.variant.label}, {self.epochs} epochs"

    def cell(self, entries: Entries) -> Cell:
        """What is known of it. Runs stay in the table where more seeds were run by an earlier command."""
        known = [e.job for e in entries.values() if e.job.kind == "runs" and _cell(e.job) == _cell(self.runs[0])]
        return Cell(
            self.variant,
            self.epochs,
            len({run.key for run in (*self.runs, *known)}),
            self.values or {},
            self.tried,
            _ran(known, entries),
        )

    def why_nothing_picked(self) -> str:
        reason = next((trial["reason"] for trial in self.tried if trial["reason"]), "")
        return f"every trial of its tuning failed, the first with: {reason}"


def _first_begun(variant: Variant, epochs: int, entries: Entries) -> Job | None:
    """The first run of a cell that any worker took and did not give up."""
    of_cell = [e for e in entries.values() if e.job.kind == "runs" and _cell(e.job) == (variant.label, epochs)]
    begun = [entry for entry in of_cell if entry.state != "open"]
    return min(begun, key=lambda entry: entry.trial).job if begun else None


def _cell(job: Job) -> tuple[str, int]:
    return job.variant.label, job.epochs


def _tried(trial: Job, entries: Entries) -> Trial:
    """What a trial found: the mean accuracy on held-out data, or the reason why there is none."""
    entry = entries.get(trial.key)
    values = dict(entry.job.values if entry else trial.values)
    accuracy = entry.result["metrics"]["ACC"] if entry and entry.result else None
    return {"values": values, "accuracy": accuracy, "reason": entry.reason if entry else ""}


def _ran(runs: Sequence[Job], entries: Entries) -> tuple[Ran, ...]:
    found = [entries[run.key] for run in runs if run.key in entries]
    return tuple(Ran(entry.job.number, entry.result, entry.worker) for entry in found if entry.result)


def _in_turn(lists: Sequence[Sequence[Job]]) -> Iterator[Job]:
    """The first of each list, the second of each, and so on."""
    return (job for job in chain.from_iterable(zip_longest(*lists)) if job is not None)
