"""TensorBoard: one folder for each task, its curves by optimizer step. The extra `narrows[tensorboard]`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from narrows.trackers.extras import require, scalars, settings
from narrows.training.history import Point


class TensorBoard:
    """A `Tracker` that writes event files to DIR/TASK; look at them with `tensorboard --logdir DIR`.

    Scalars by step are loss, lr, density, new, reused and, for ibm, quantiles of log alpha; by epoch, from 1,
    validation; at the last step, the figures of the commit. A task that goes on after an interruption goes on in its
    curves.

    Args:
        folder: DIR; made where it is missing.

    Raises:
        ConfigError: the extra is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._make = require("torch.utils.tensorboard", "tensorboard").SummaryWriter
        self._writer: Any = None
        self._step = 0

    def begin(self, task: str, about: Mapping[str, Any], /) -> None:
        """See `Tracker.begin`."""
        resumed = int(about["resumed"])
        self._writer = self._make(str(self._folder / folder_of(task)), purge_step=resumed + 1 if resumed else None)
        self._step = resumed
        lines = [f"{name}: {value}" for name, value in settings(about).items()]
        self._writer.add_text("about", "\n\n".join(lines), resumed)

    def log(self, point: Point, /) -> None:
        """See `Tracker.log`."""
        self._step = point.step
        for name, value in scalars(point).items():
            self._writer.add_scalar(name, value, point.step)
        self._writer.flush()

    def score(self, epoch: int, value: float, /) -> None:
        """See `Tracker.score`."""
        self._writer.add_scalar("validation", value, epoch + 1)

    def end(self, figures: Mapping[str, float] | None, /) -> None:
        """See `Tracker.end`."""
        for name, value in (figures or {}).items():
            self._writer.add_scalar(f"committed/{name}", value, self._step)
        self._writer.close()


def folder_of(task: str) -> str:
    """A folder's name for a task; no two tasks have the same.

    >>> folder_of("returns 2"), folder_of("../x"), folder_of("..")
    ('returns 2', '..%2Fx', '%2E.')
    """
    name = quote(task, safe=" ,+=@")
    return f"%2E{name[1:]}" if set(name) == {"."} else name
