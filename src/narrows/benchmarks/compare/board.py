"""The board: which jobs are taken, done or failed, in an Optuna storage that several machines may share.

Every attempt at a job is an Optuna trial. A worker takes a job by creating a trial that is already running and names
the job and the number of the attempt; of several trials for one attempt the one with the lowest number has it, and the
others are closed at once. Trial numbers are given out one after another by every storage (a journal is one sequence of
entries, a database counts under a lock), so that exactly one worker has a job, whichever storage it is. A trial is a
success with the whole result.json in its attributes, or a failure with the reason.

A worker changes an attribute of its trials every so often. One that stands still for long, by the reader's own clock,
belongs to a dead worker: it is closed, and the job is open again as a new attempt.

Knows no process and no figures.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from narrows.benchmarks.compare.jobs import Job
from narrows.errors import ConfigError, StorageError
from narrows.store import strict_json

State = Literal["open", "running", "done", "failed"]
RUNS = "runs"
_PART = 30_000  # characters of an attribute; MySQL holds 65,535 bytes


@dataclass(frozen=True)
class Entry:
    """What the board says of one job: its latest attempt, or the one that succeeded.

    Attributes:
        job: as it was taken.
        attempt: counted from 1.
        state: "open" once more after an attempt that was given up or taken over.
        worker: whose attempt it is.
        trial: its trial in the storage.
        sign: changes while its worker lives.
        result: contents of its result.json, where done.
        reason: why it failed.
    """

    job: Job
    attempt: int
    state: State
    worker: str
    trial: int
    sign: str = ""
    result: Mapping[str, Any] | None = None
    reason: str = ""


class Board:
    """The jobs of one grid in one storage.

    Args:
        storage: a database's URL, or the path of a journal file.
        identity: of the grid; grids of different identity do not see each other.
        worker: name of this worker, another for every one on the same storage.
        stale: seconds after which a worker without a sign of life is taken for dead.

    Raises:
        ConfigError: a URL that Optuna does not know, or whose driver is not installed.
        StorageError: the storage cannot be reached.
    """

    def __init__(self, storage: str, identity: Mapping[str, Any], worker: str, stale: float) -> None:
        self._where, self._identity, self._worker, self._stale = storage, dict(identity), worker, stale
        spelled = json.dumps(self._identity, sort_keys=True).encode()
        self._grid = f"narrows-{hashlib.sha256(spelled).hexdigest()[:12]}"
        self._studies: dict[str, int] = {}
        self._results: dict[int, Mapping[str, Any]] = {}
        self._seen: dict[int, tuple[str, float]] = {}
        with self._errors_said():
            self._storage = _open(storage)

    def read(self, studies: Iterable[str]) -> dict[str, Entry]:
        """Every job of these studies that was ever taken, by key; the jobs of the dead are opened."""
        with self._errors_said():
            entries = [entry for study in studies for entry in self._read(study)]
            for entry in entries:
                if self._is_dead(entry):
                    self._close(entry.trial, TrialState.FAIL, {"given_up": "taken over from a dead worker"})
            return {entry.job.key: entry for entry in entries}

    def take(self, job: Job, before: Entry | None) -> int | None:
        """This worker's trial for the job, or None where another was faster.

        `before`: what `read` said of the job when it was open. The attempt after that one is claimed.
        """
        attempt = before.attempt + 1 if before else 1
        values = dict(job.values) if job.kind == "tuning" else {}
        ranges: dict[str, BaseDistribution] = {
            name: FloatDistribution(min(low, values[name]), max(high, values[name]), log=True)
            for name, (low, high) in job.variant.tunable().items()
            if name in values
        }
        attributes = {"job": job.to_json(), "attempt": attempt, "worker": self._worker, "sign": uuid.uuid4().hex}
        template = create_trial(state=TrialState.RUNNING, params=values, distributions=ranges, user_attrs=attributes)
        study = study_of(job)
        with self._errors_said():
            trial = self._storage.create_new_trial(self._study(study), template)
            trials = self._storage.get_all_trials(self._study(study), deepcopy=False)
            if _holders(trials)[job.key, attempt] == trial:
                return int(trial)
            self._close(trial, TrialState.FAIL, {"given_up": "another worker was faster"})
        return None

    def live(self, trials: Iterable[int]) -> None:
        """Gives a sign of life for these trials."""
        with self._errors_said():
            for trial in trials:
                with suppress(optuna.exceptions.UpdateFinishedTrialError):
                    self._storage.set_trial_user_attr(trial, "sign", uuid.uuid4().hex)

    def done(self, trial: int, result: Mapping[str, Any], value: float) -> bool:
        """Records a success; False where the job was taken over meanwhile and the result is not needed."""
        text = json.dumps(result)
        parts = {f"result.{i // _PART}": text[i : i + _PART] for i in range(0, len(text), _PART)}
        with self._errors_said():
            return self._close(trial, TrialState.COMPLETE, parts, value)

    def failed(self, trial: int, reason: str) -> None:
        """Records a failure."""
        with self._errors_said():
            self._close(trial, TrialState.FAIL, {"reason": reason})

    def give_up(self, trial: int) -> None:
        """Opens the job again, for anyone."""
        with self._errors_said():
            self._close(trial, TrialState.FAIL, {"given_up": "stopped"})

    def _close(self, trial: int, state: TrialState, attributes: Mapping[str, str], value: float | None = None) -> bool:
        try:
            for name, text in attributes.items():
                self._storage.set_trial_user_attr(trial, name, text)
            return bool(self._storage.set_trial_state_values(trial, state, None if value is None else [value]))
        except optuna.exceptions.UpdateFinishedTrialError:
            return False

    def _read(self, study: str) -> Iterator[Entry]:
        trials = self._storage.get_all_trials(self._study(study), deepcopy=False)
        holders = set(_holders(trials).values())
        latest: dict[str, Entry] = {}
        for trial in trials:
            if trial._trial_id not in holders:
                continue
            entry = self._entry(trial)
            known = latest.get(entry.job.key)
            if known is None or (known.state != "done" and (entry.state == "done" or entry.attempt > known.attempt)):
                latest[entry.job.key] = entry
        yield from latest.values()

    def _entry(self, trial: FrozenTrial) -> Entry:
        attributes = trial.user_attrs
        state: State = "running"
        if trial.state == TrialState.COMPLETE:
            state = "done"
        elif trial.state.is_finished():
            state = "open" if "given_up" in attributes else "failed"
        return Entry(
            job=Job.from_json(attributes["job"]),
            attempt=attributes["attempt"],
            state=state,
            worker=attributes["worker"],
            trial=trial._trial_id,
            sign=attributes["sign"],
            result=self._result(trial) if state == "done" else None,
            reason=attributes.get("reason", ""),
        )

    def _result(self, trial: FrozenTrial) -> Mapping[str, Any]:
        if trial._trial_id not in self._results:
            parts: list[str] = []
            while (name := f"result.{len(parts)}") in trial.user_attrs:
                parts.append(trial.user_attrs[name])
            self._results[trial._trial_id] = strict_json.loads("".join(parts).encode())
        return self._results[trial._trial_id]

    def _is_dead(self, entry: Entry) -> bool:
        """Whether its sign has stood still for too long while this worker looked on."""
        if entry.state != "running" or entry.worker == self._worker:
            return False
        sign, since = self._seen.get(entry.trial, ("", 0.0))
        if sign != entry.sign:
            self._seen[entry.trial] = (entry.sign, time.monotonic())
            return False
        return time.monotonic() - since > self._stale

    def _study(self, name: str) -> int:
        if name not in self._studies:
            full = f"{self._grid} {name}"
            with quiet_optuna():
                try:
                    study = self._storage.create_new_study([StudyDirection.MAXIMIZE], full)
                    self._storage.set_study_user_attr(study, "grid", self._identity)
                except optuna.exceptions.DuplicatedStudyError:
                    study = self._storage.get_study_id_from_name(full)
            self._studies[name] = study
        return self._studies[name]

    @contextmanager
    def _errors_said(self) -> Iterator[None]:
        try:
            yield
        except (optuna.exceptions.OptunaError, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
            raise StorageError(
                f"The storage {self._where} of the comparison cannot be used ({type(error).__name__}: {error}). "
                "Finished runs are kept; the same command goes on."
            ) from error


def study_of(job: Job) -> str:
    """The Optuna study a job's trials are in: one for each tuning, one for all runs."""
    return RUNS if job.kind == "runs" else f"tuning {job.variant.slug}-e{job.epochs}"


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Optuna says nothing of studies it makes."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _holders(trials: Iterable[FrozenTrial]) -> dict[tuple[str, int], int]:
    """Which trial has each attempt at each job: of several the one with the lowest number."""
    claims: dict[tuple[str, int], list[FrozenTrial]] = defaultdict(list)
    for trial in trials:
        if "job" in trial.user_attrs:
            claims[Job.from_json(trial.user_attrs["job"]).key, trial.user_attrs["attempt"]].append(trial)
    return {claim: min(group, key=lambda trial: trial.number)._trial_id for claim, group in claims.items()}


def _open(storage: str) -> Any:
    if "://" not in storage:
        # Its lock file works on NFS from version 3 and where there are no symbolic links.
        return optuna.storages.JournalStorage(JournalFileBackend(storage, lock_obj=JournalFileOpenLock(storage)))
    try:
        with quiet_optuna():
            return optuna.storages.get_storage(storage)
    except (ImportError, ValueError, sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError) as error:
        raise ConfigError(
            f"--storage {storage}: {error}. Say a file that the machines share, or a database's URL that Optuna takes, "
            "as in postgresql+psycopg://user@host/name, with its driver installed."
        ) from error
