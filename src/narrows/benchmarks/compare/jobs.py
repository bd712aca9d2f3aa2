"""A job: one `narrows run`, either a trial of tuning or a run of the grid, with its name and its command.

Knows no storage and starts nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from narrows.benchmarks.compare.spec import CompareOptions, Variant
from narrows.benchmarks.compare.summary import Trial

TUNING_SEED = 0
"""Every trial of tuning has this seed, whichever seeds the grid has."""


@dataclass(frozen=True)
class Job:
    """One process to run.

    Attributes:
        kind: "tuning" or "runs"; also the folder it is in.
        number: of the trial, for tuning; the seed, for a run.
        values: of what may be tuned, "lr" among them.
        tried: for a run, what tuning tried, and so why it has these values.
    """

    kind: Literal["tuning", "runs"]
    variant: Variant
    epochs: int
    number: int
    values: Mapping[str, float] = field(default_factory=dict)
    tried: Sequence[Trial] = ()

    @property
    def key(self) -> str:
        """Its name in the storage and its folder in the grid's."""
        mark = "t" if self.kind == "tuning" else "s"
        return f"{self.kind}/{self.variant.slug}-e{self.epochs}-{mark}{self.number}"

    @property
    def title(self) -> str:
        """What people call it."""
        what = f"trial {self.number}" if self.kind == "tuning" else f"seed {self.number}"
        return f"{self.variant.label}, {self.epochs} epochs, {what}"

    @property
    def seed(self) -> int:
        return TUNING_SEED if self.kind == "tuning" else self.number

    def command(self, options: CompareOptions, out: Path) -> list[str]:
        """The command that does it, with `out` as the grid's folder."""
        values = dict(self.values)
        rate = self.variant.lr if self.variant.lr is not None else values.pop("lr", None)
        settings = {**self.variant.settings, **{name: repr(value) for name, value in values.items()}}
        said: dict[str, Any] = {
            "epochs": self.epochs,
            "seed": self.seed,
            "lr": rate,
            "tasks": options.tasks,
            "classes": options.classes,
            "image-size": options.image_size,
            "data": options.data,
            "network": options.network,
            "batch-size": options.batch_size,
            "device": options.device,
            "threads": options.threads,
            "out": out / self.key,
        }
        if self.kind == "tuning":
            said |= {"first": options.tune_tasks, "holdout": options.holdout}
        command = [sys.executable, "-P", "-m", "narrows", "run", options.stream, "--method", self.variant.method]
        for name, value in settings.items():
            command += ["--set", f"{name}={value}"]
        for name, value in said.items():
            command += [] if value is None else [f"--{name}", repr(value) if isinstance(value, float) else str(value)]
        return command

    def to_json(self) -> dict[str, Any]:
        """Plain values for the storage; `from_json` reads them back."""
        variant = {"label": self.variant.label, "method": self.variant.method, "lr": self.variant.lr}
        return {
            "kind": self.kind,
            "variant": variant | {"settings": dict(self.variant.settings)},
            "epochs": self.epochs,
            "number": self.number,
            "values": dict(self.values),
            "tried": [dict(trial) for trial in self.tried],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Job:
        return cls(**{**data, "variant": Variant(**data["variant"])})


def tuning_jobs(variant: Variant, epochs: int, trials: Sequence[Mapping[str, float]]) -> list[Job]:
    """One job for each set of values to try."""
    return [Job("tuning", variant, epochs, number, values) for number, values in enumerate(trials)]


def run_jobs(like: Job, seeds: Sequence[int]) -> list[Job]:
    """The same run with each of the seeds."""
    return [replace(like, number=seed) for seed in seeds]
