"""Any life of a store as users lead it: learn, forget, compact, be killed, open again; no answer ever changes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tally import Tally
from torture_store import fingerprint, learn, network

import narrows as nw
from disk_faults import Fault, Killed

METHODS = {
    "ibm": nw.IBM(density=0.3, prune_every=1),
    "refining": nw.IBM(new=0.2, reuse=0.3, prune_every=1, refine=True),
    "wsn": nw.WSN(density=0.4),
    "packnet": nw.PackNet(keep=0.3),
    "independent": nw.Independent(),
}
moments = st.none() | st.integers(0, 40)


class Life(RuleBasedStateMachine):
    """The model is what each task answered when it was committed."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.known: dict[str, str | None] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.place)

    @initialize()
    def create(self) -> None:
        self.store = nw.TaskStore.create(self.place / "store", network())

    @precondition(lambda self: len(self.known) < 6)
    @rule(method=st.sampled_from(list(METHODS)), killed=moments)
    def learn(self, method: str, killed: int | None) -> None:
        name = f"task {len(self.known)} {method}"
        if name in self.known or self.store.values_kept() > 0.7:
            return
        with learn(self.store, name, METHODS[method]) as task:
            self.strike(task.commit, killed)
        self.look(name)

    @precondition(lambda self: self.known)
    @rule(pick=st.integers(0, 99), killed=moments)
    def forget(self, pick: int, killed: int | None) -> None:
        name = sorted(self.known)[pick % len(self.known)]
        self.strike(lambda: self.store.forget(name), killed)
        if name not in self.names():
            del self.known[name]

    @rule(killed=moments)
    def compact(self, killed: int | None) -> None:
        self.strike(self.store.compact, killed)

    @rule()
    def reopen(self) -> None:
        self.store = nw.TaskStore.open(self.place / "store", network())

    def strike(self, act: Callable[[], object], killed: int | None) -> None:
        try:
            if killed is None:
                act()
            else:
                with Fault(killed, Killed, for_ever=True).active():
                    act()
        except Killed:
            self.reopen()

    def look(self, name: str) -> None:
        if name in self.names():
            self.known[name] = fingerprint(self.store.load(name).state_dict())

    def names(self) -> tuple[str, ...]:
        return nw.TaskStore.open(self.place / "store").directory.task_names()

    @invariant()
    def nothing_changed(self) -> None:
        if not (self.place / "store").exists():
            return
        store = nw.TaskStore.open(self.place / "store", network())
        assert {name: fingerprint(store.load(name).state_dict()) for name in store.directory.task_names()} == self.known
        assert [problem for problem in store.verify(deep=True) if not problem.harmless] == []


def test_any_life_of_tasks(tally: Tally, long: bool):
    examples, steps = (150, 20) if long else (6, 8)
    with tally.fault("any life, as users lead it", "crash anywhere", examples):
        run_state_machine_as_test(
            Life,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
