"""MLflow: one run for each task. The extra `narrows[mlflow]`, which is mlflow-skinny; a server or a folder takes it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from narrows.trackers.extras import require, scalars, settings
from narrows.training.history import Point

_LONGEST = 500  # characters of a parameter that every MLflow server takes
_AT_ONCE = 100  # parameters in one call


class MLflow:
    """A `Tracker` that makes an MLflow run of each task, named after it.

    Parameters are the method's configuration and the schedule; metrics by step those of `TensorBoard`, under the same
    names; tags say the task and the method, and at which step it went on after an interruption, which is a run of its
    own. A task that is not committed leaves a run that FAILED. No global state of MLflow is touched.

    Args:
        uri: of the tracking server, or "sqlite:///FILE" (needs SQLAlchemy and alembic); None: MLflow's own default
            and environment (MLFLOW_TRACKING_URI).
        experiment: name of the experiment, made where it is missing; default MLFLOW_EXPERIMENT_NAME, or "narrows".

    Raises:
        ConfigError: the extra is not installed.
    """

    def __init__(self, uri: str | None = None, experiment: str | None = None) -> None:
        self._mlflow = require("mlflow", "mlflow")
        self._uri = uri
        self._experiment = experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "narrows"
        self._client: Any = None
        self._run = ""
        self._step = 0

    def begin(self, task: str, about: Mapping[str, Any], /) -> None:
        """See `Tracker.begin`."""
        if self._client is None:
            self._client = self._mlflow.MlflowClient(tracking_uri=self._uri)
        self._step = int(about["resumed"])
        tags = {"narrows.task": task, "narrows.method": str(about["method"]["name"])}
        if self._step:
            tags["narrows.resumed"] = str(self._step)
        run = self._client.create_run(self._experiment_id(), tags=tags, run_name=task)
        self._run = run.info.run_id
        params = [self._mlflow.entities.Param(_key(name), _short(value)) for name, value in settings(about).items()]
        for start in range(0, len(params), _AT_ONCE):
            self._client.log_batch(self._run, params=params[start : start + _AT_ONCE])

    def log(self, point: Point, /) -> None:
        """See `Tracker.log`."""
        self._step = point.step
        self._send(scalars(point), point.step)

    def score(self, epoch: int, value: float, /) -> None:
        """See `Tracker.score`; by epoch, from 1."""
        self._send({"validation": value}, epoch + 1)

    def end(self, figures: Mapping[str, float] | None, /) -> None:
        """See `Tracker.end`."""
        if figures is not None:
            self._send({f"committed/{name}": value for name, value in figures.items()}, self._step)
        self._client.set_terminated(self._run, "FAILED" if figures is None else "FINISHED")

    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self._experiment)
        return str(found.experiment_id if found is not None else self._client.create_experiment(self._experiment))

    def _send(self, values: Mapping[str, float], step: int) -> None:
        now, kind = int(time.time() * 1000), self._mlflow.entities.Metric
        self._client.log_batch(
            self._run, metrics=[kind(_key(name), value, now, step) for name, value in values.items()]
        )


def _key(name: str) -> str:
    """A name as MLflow takes it.

    >>> _key("committed/validation.f1 (macro)")
    'committed/validation.f1 _macro_'
    """
    return "".join(sign if sign.isalnum() or sign in "_-. /" else "_" for sign in name)[:250]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
