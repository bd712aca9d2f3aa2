"""Measuring for a page: on the data of a run's stream, or on the user's own; remembered beside the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from narrows.analysis.measurement_run import MeasureOptions, Progress, measure
from narrows.analysis.measurements import Measurements
from narrows.analysis.providers import run_subject, store_subject
from narrows.analysis.subject import Subject
from narrows.data import DataOptions
from narrows.errors import ConfigError


@dataclass(frozen=True)
class PageExamples:
    """What to measure on.

    Attributes:
        folder: of the data of a run's stream, or `Path("hub")`, where the stream needs it.
        sources: task -> data of the user's, for a store by itself; see `narrows.analysis.providers.store_subject`.
        reading: how those are read.
        trust: that the user's code which builds the store's model may be called.
        device: where it runs.
    """

    folder: Path | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    reading: DataOptions = field(default_factory=DataOptions)
    trust: bool = False
    device: str = "cpu"


def measured_on(examples: PageExamples, subject: Subject, out: Path, progress: Progress | None = None) -> Measurements:
    """The subject's tasks measured; only what has changed since the last page at `out` is measured again.

    Raises:
        ConfigError: no store; data of the user's for a run, which has its own; or none for a store.
        NarrowsError: the data are missing or not those of the run, or the network cannot be built: see
            `narrows.analysis.providers`.
    """
    if subject.reader is None:
        raise ConfigError(f"There is no store at {subject.path} to measure: give the folder of a run or a store.")
    if subject.result is not None:
        if examples.sources:
            raise ConfigError("A run is measured on its own stream: say --measure, and --data-dir for its folder.")
        store, data = run_subject(subject.path if subject.path.is_dir() else subject.path.parent, examples.folder)
    elif not examples.sources:
        task = next(iter(subject.reader.task_names()), "TASK")
        raise ConfigError(f"What to measure a store on must be said: --data {task}=DATA, for each task with data.")
    else:
        store, data = store_subject(
            subject.reader.path, examples.sources, options=examples.reading, trust=examples.trust
        )
    return measure(
        store, data, options=MeasureOptions(device=examples.device), cache=cache_beside(out), progress=progress
    )


def cache_beside(out: Path) -> Path:
    """Where the page at `out` remembers its measurements.

    >>> cache_beside(Path("pages/shop.html")).as_posix()
    'pages/shop.measured.json'
    """
    return out.with_suffix(".measured.json")
