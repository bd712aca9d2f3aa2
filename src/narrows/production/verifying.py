"""Whether a store still gives the networks that were committed: their answers to the probe, asked again.

`TaskStore.verify` shows that every weight is what it was. This shows that the code that uses them is, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from narrows.errors import NarrowsError
from narrows.production import probe
from narrows.production.tasks import PROBE
from narrows.store import TaskRecord
from narrows.tasks import TaskStore


@dataclass(frozen=True)
class OutputCheck:
    """How a task answered.

    Attributes:
        task: its name.
        verdict: "same": to the last bit; "agrees": up to rounding, where bits cannot be compared or differ;
            "differs": another answer; "unknown": there is nothing to compare.
        what: the reason, for people.
    """

    task: str
    verdict: Literal["same", "agrees", "differs", "unknown"]
    what: str

    @property
    def harmless(self) -> bool:
        """Whether nothing is wrong as far as can be told."""
        return self.verdict != "differs"


def verify_outputs(store: TaskStore, progress: Callable[[str, int, int], None] | None = None) -> list[OutputCheck]:
    """Rebuilds every task's network, asks it the probe again and compares: a check for each task, in their order.

    Args:
        store: opened with its model; verify its files first.
        progress: called with (task, tasks done, tasks in all).

    Raises:
        ModelMismatchError: the store was opened without a model.
    """
    records = store.tasks()
    store.network()
    checks = []
    for done, record in enumerate(records):
        if progress is not None:
            progress(record.name, done, len(records))
        checks.append(_check(store, record))
    return checks


def _check(store: TaskStore, record: TaskRecord) -> OutputCheck:
    name, kept = record.name, record.data.get(PROBE)
    if record.isolation == "none":
        return OutputCheck(name, "unknown", f"{record.method['name']} lets later tasks overwrite it, by design")
    if not isinstance(kept, dict):
        return OutputCheck(name, "unknown", "no answer was recorded when it was committed")
    try:
        now = probe.answer(store.load(name), kept["shape"], kept.get("whole"))
        same_engine = kept["engine"] == now["engine"]
        if kept["sha256"] == now["sha256"]:
            return OutputCheck(name, "same", "its outputs are those that were committed, bit for bit")
        agrees = probe.agree(kept["outputs"], now["outputs"])
    except NarrowsError as error:
        return OutputCheck(name, "differs", f"its network cannot be asked: {error}")
    except (KeyError, TypeError, ValueError) as error:
        return OutputCheck(name, "unknown", f"the recorded answer is of another form ({error})")
    except Exception as error:  # whatever the user's forward may raise
        return OutputCheck(name, "differs", f"its network fails on the probe: {type(error).__name__}: {error}")
    if agrees:
        why = "the settings of its libraries differ" if same_engine else _engines(kept["engine"], now["engine"])
        return OutputCheck(name, "agrees", f"its outputs agree up to rounding; not bit for bit, because {why}")
    return OutputCheck(
        name,
        "differs",
        "its weights are those that were committed and its outputs are not: the code that builds or runs the model has "
        "changed since. Go back to that code, or to the libraries of that time",
    )


def _engines(then: Any, now: dict[str, str]) -> str:
    before = then if isinstance(then, dict) else {}
    changed = [f"{key} was {before.get(key)} and is {value}" for key, value in now.items() if before.get(key) != value]
    return "; ".join(changed)
