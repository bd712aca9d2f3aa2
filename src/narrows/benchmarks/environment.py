"""Where and how fast a run went: facts about the machine, and a clock for steps."""

from __future__ import annotations

import platform
import statistics
import time
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import torch

from narrows.training import Step


def environment(device: str) -> dict[str, Any]:
    """Versions, device, threads and the time, as recorded with a result."""
    return {
        "narrows": version("narrows"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "threads": torch.get_num_threads(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


class StepClock:
    """Times steps from one callback to the next; the first of a task, which has no start, is left out."""

    def __init__(self, device: str) -> None:
        self._waits = device.startswith("cuda")
        self._last: float | None = None
        self._seconds: list[float] = []

    def __call__(self, step: Step, /) -> None:  # noqa: ARG002
        if self._waits:
            torch.cuda.synchronize()  # a GPU works on behind the program's back
        now = time.perf_counter()
        if self._last is not None:
            self._seconds.append(now - self._last)
        self._last = now

    def median(self) -> float:
        return statistics.median(self._seconds) if self._seconds else 0.0
