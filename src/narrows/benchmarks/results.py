"""What a run found: `result.json`, its rows and its figures. Version 1 is described in docs/result.md."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from narrows.errors import StoreError, StoreVersionError
from narrows.json_values import MisfitError, from_plain
from narrows.store import outside, strict_json
from narrows.training import metrics

VERSION = 1
Row = list[float | None]


@dataclass
class TaskRow:
    """One task of a run; counts are fractions of the shared weights.

    Attributes:
        name: the task.
        accuracy: when it was learned, a fraction.
        accuracy_now: after the last task learned so far, measured again from the store.
        density: weights it uses; `claimed` (it has values of its own) and `reused` add up to it.
        used: values kept by all tasks once it was learned; each independent network counts 1.
        bytes: its size on disk.
        seconds: of training.
        step_seconds: median seconds of an optimizer step, data loading included.
        start_accuracy: of the network it started from, before training.
        untrained: of the untrained base network with the same head.
        layers: density of each shared parameter.
    """

    name: str
    accuracy: float
    accuracy_now: float
    density: float
    claimed: float
    reused: float
    used: float
    bytes: int
    seconds: float
    step_seconds: float
    start_accuracy: float
    untrained: float
    layers: dict[str, float]


class Reference(TypedDict):
    """Dense networks, one for each task: the accuracy of each, its mean, and what training took."""

    accuracy: list[float]
    ACC: float
    lr: float
    seconds: float
    step_seconds: float


@dataclass
class Result:
    """A run, finished or under way. `rows` is the matrix R; see `narrows.training.metrics`."""

    stream: str
    method: str
    config: dict[str, Any]
    seed: int
    environment: dict[str, Any]
    stream_description: dict[str, Any]
    dense_bytes: int
    rows: list[Row] = field(default_factory=list)
    tasks: list[TaskRow] = field(default_factory=list)
    reference: Reference | None = None
    complete: bool = False

    def metrics(self) -> dict[str, float | None]:
        """ACC, BWT and the rest, as fractions; bytes; seconds. None where not measured.

        Tasks learned all at once have no accuracy before the end, and so neither transfer nor forgetting.
        """
        in_turn = all(row[task] is not None for task, row in enumerate(self.rows))
        independent = self.reference["accuracy"] if self.reference and in_turn else None
        reference_step = self.reference["step_seconds"] if self.reference else None
        untrained = [task.untrained for task in self.tasks]
        count = len(self.tasks)
        return {
            "ACC": metrics.average_accuracy(self.rows),
            "BWT": metrics.backward_transfer(self.rows) if in_turn else None,
            "forgetting": metrics.forgetting(self.rows) if in_turn else None,
            "fwt_gem": metrics.forward_transfer_gem(self.rows, untrained) if in_turn else None,
            "fwt_independent": metrics.forward_transfer_independent(self.rows, independent) if independent else None,
            "density": sum(task.density for task in self.tasks) / count,
            "used": self.tasks[-1].used,
            "bytes_per_task": sum(task.bytes for task in self.tasks) / count,
            "dense_bytes": self.dense_bytes,
            "seconds": round(sum(task.seconds for task in self.tasks), 3),
            "step_ratio": self.step_seconds() / reference_step if reference_step else None,
        }

    def step_seconds(self) -> float:
        """Mean over the tasks of the median seconds of a step."""
        return sum(task.step_seconds for task in self.tasks) / len(self.tasks)

    def require_sound(self) -> None:
        """ValueError where R or the reference does not go with the tasks, or an entry of R that is needed is null."""
        count = len(self.tasks)
        if len(self.rows) != count or any(len(row) < count for row in self.rows):
            raise ValueError(f"R has not a row and a column for each of the {count} tasks")
        if self.rows and None in self.rows[-1][:count]:
            raise ValueError("null stands in the last row of R where a number should")
        if self.tasks:
            self.metrics()

    def identity(self) -> dict[str, Any]:
        """What must agree for a run to go on where another left off."""
        return {key: getattr(self, key) for key in ("stream", "method", "config", "seed", "stream_description")}

    def to_json(self) -> dict[str, Any]:
        """The contents of result.json."""
        return {
            "format": "narrows-result",
            "version": VERSION,
            "complete": self.complete,
            "stream": self.stream,
            "method": self.method,
            "config": self.config,
            "seed": self.seed,
            "environment": self.environment,
            "stream_description": self.stream_description,
            "R": self.rows,
            "metrics": self.metrics() if self.tasks else None,
            "reference": self.reference,
            "tasks": [asdict(task) for task in self.tasks],
        }

    def save(self, path: Path) -> None:
        """Writes result.json whole or not at all."""
        outside.replace_text(path, json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Result:
        """The result at `path`.

        Raises:
            StoreError: it is no result.json of this version, or is damaged.
        """
        try:
            data = strict_json.read_object(path)
            if data["format"] != "narrows-result":
                raise StoreError(f"{path} is not a result of narrows.")
            if data["version"] != VERSION:
                raise StoreVersionError(
                    f"{path} is a result of version {data['version']}, and this narrows knows version {VERSION} only; "
                    "use the narrows that wrote it, or a newer one."
                )
            data["dense_bytes"] = data["metrics"]["dense_bytes"] if data["metrics"] else 0
            result = from_plain(cls, data | {"rows": data["R"]}, unknown=True)
            result.require_sound()
            return result
        except (OSError, ValueError, LookupError, TypeError, MisfitError) as error:
            raise StoreError(
                f"{path} cannot be read as a result ({type(error).__name__}: {error}). Delete it and run again: "
                "the tasks are in the store, and their accuracies are measured anew from there."
            ) from error
