"""Trackers as the command line names them: `--log tensorboard=DIR`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from narrows.errors import ConfigError, UnknownNameError, nearest
from narrows.trackers.mlflow import MLflow
from narrows.trackers.tensorboard import TensorBoard
from narrows.training.tracking import Tracker

TRACKERS: dict[str, Callable[[str | None, Path], Tracker]] = {
    "tensorboard": lambda said, folder: TensorBoard(said or folder),
    "mlflow": lambda said, _: MLflow(said),
}
"""By name: of what was said after "=", and the folder where nothing was."""


def make_tracker(said: str, folder: Path) -> Tracker:
    """The tracker that `said` names: "tensorboard", "tensorboard=DIR", "mlflow", "mlflow=URI".

    Args:
        folder: where TensorBoard writes if no DIR is said.

    Raises:
        UnknownNameError: there is no such tracker; suggests the nearest.
        ConfigError: nothing stands after "=", or the extra is not installed.
    """
    name, equals, where = said.partition("=")
    if name not in TRACKERS:
        raise UnknownNameError(f"There is no tracker {name!r}: {nearest(name, TRACKERS)}")
    if equals and not where:
        raise ConfigError(f"--log {said} says nothing after '=': say --log {name}, or where to log to.")
    return TRACKERS[name](where or None, folder)


def make_trackers(said: Iterable[str] | None, folder: Path) -> list[Tracker]:
    """Each of them; see `make_tracker`."""
    return [make_tracker(one, folder) for one in said or ()]
