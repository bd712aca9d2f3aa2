"""Any life of a store, with crashes and failing disks in it, against a model made of dictionaries."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar
from unittest import mock

import torch
from claims import BASE, COUNT, SPECS, Claims, Held, mask, private, spread
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

import store_samples
from disk_faults import Fault, Killed, disk
from narrows.errors import StoreError
from narrows.store import StoreDirectory, UnconfirmedCommitError
from narrows.store.compose import composed, weights_of
from narrows.subnet import SubNetwork, digest, digest_kept
from subnets import content_of

NAMES = st.sampled_from(["one", "two", "three", "four", "five", "six", "seven", "eight"])
BITS = st.lists(st.booleans(), min_size=COUNT, max_size=COUNT).map(
    lambda chosen: frozenset(weight for weight, yes in enumerate(chosen) if yes)
)
METHODS = {"ibm": "shared", "wsn": "shared", "packnet": "shared", "independent": "own", "ewc": "none"}
FAULTS = {
    "none": None,
    "crash": (Killed, True, False),
    "crash after": (Killed, True, True),
    "full once": (disk(errno.ENOSPC), False, False),
    "broken for ever": (disk(errno.EIO), True, False),
    "broken after": (disk(errno.EIO), False, True),
}
faults = st.sampled_from(["none"] * len(FAULTS) + list(FAULTS))
Sets = tuple[frozenset[int], frozenset[int]]  # weights to use, and which of them to refine where they are frozen
SETS = st.tuples(BITS, BITS)
moments = st.integers(0, 60)


def committed(model: Claims, name: str, version: int) -> str:
    """The digest of a task by that version of task.json."""
    weights, own = spread(model.weights(name)), private(model.tasks[name].private)
    if version == 1:
        return digest(weights, own)
    kept = mask(model.tasks[name].used)
    return digest_kept(SubNetwork.of(SPECS, kept, kept, weights), own)


class StoreMachine(RuleBasedStateMachine):
    """Each rule works on the store and on a copy of the model, and a fault may strike it at any call of the disk."""

    struck: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
        self.root = self.place / "store"
        self.model = Claims()
        self.values = 0.0  # no two weights that are ever stored have the same value
        # Snapshots come with every third task instead of every eighth.
        self.often = mock.patch("narrows.store.snapshot.EVERY", 3)
        self.often.start()

    def teardown(self) -> None:
        self.often.stop()
        shutil.rmtree(self.place)

    @initialize(fault=faults, moment=moments, first=st.lists(SETS, min_size=2, max_size=5))
    def create(self, fault: str, moment: int, first: list[Sets]) -> None:
        def act() -> object:
            return StoreDirectory.create(self.root, BASE, SPECS, ["bias"])

        self.strike(act, fault, moment)
        if not (self.root / "store.json").exists():
            act()
        self.store = StoreDirectory.open(self.root)
        for name, sets in zip(("nine", "ten", "eleven", "twelve", "thirteen"), first, strict=False):
            self.add(name, sets)

    @rule(
        name=NAMES, sets=SETS, method=st.sampled_from(list(METHODS)), leaves=st.booleans(), fault=faults, moment=moments
    )
    def commit(self, name: str, sets: Sets, method: str, leaves: bool, fault: str, moment: int) -> None:
        if name not in self.model.tasks:
            self.add(name, sets, method, leaves, fault, moment)

    def add(
        self, name: str, sets: Sets, method: str = "wsn", leaves: bool = False, fault: str = "none", moment: int = 0
    ) -> None:
        used, refined = sets
        isolation = METHODS[method]
        self.store.reload()
        reused = set(self.model.frozen()) & used - refined if isolation == "shared" else set()
        claims = {weight: self.next_value() for weight in sorted(used - reused)}
        task = Held(isolation, method, used, claims, self.next_value())
        after = self.model.copy()
        after.commit(name, task, self.next_value() if leaves else None)
        given = content_of(
            self.store.shared,
            mask(used),
            mask(set(claims)),
            {key: value[mask(set(claims))[key]] for key, value in spread(claims).items()},
            private(task.private),
        )
        version = 1 + len(after.tasks) % 2  # both kinds of digest, beside each other
        record = store_samples.record(
            name,
            isolation=isolation,
            method={"name": method},
            parents=after.parents(name) if isolation == "shared" else (),
            weights_sha256=committed(after, name, version),
            version=version,
        )
        carry = {"state": torch.tensor(after.carry[1])} if leaves and after.carry else None
        self.change(lambda: self.store.append(record, given, carry=carry), after, fault, moment)

    @precondition(lambda self: self.model.tasks)
    @rule(pick=st.integers(0, 99), fault=faults, moment=moments, first_say=st.booleans())
    def forget(self, pick: int, fault: str, moment: int, first_say: bool) -> None:
        name = list(self.model.tasks)[pick % len(self.model.tasks)]
        # Forgetting drops it, too, after the change: a fault between them would leave either.
        self.store.checkpoint(name).drop()
        self.model.checkpoints.pop(name, None)
        after = self.model.copy()
        after.forget(name)
        if first_say:
            said = self.store.forget(name, dry_run=True)
            assert said.freed == len(self.model.frozen()) - len(after.frozen())
            assert said.values == self.model.kept() - after.kept()
        self.change(lambda: self.store.forget(name), after, fault, moment)

    @rule(fault=faults, moment=moments)
    def compact(self, fault: str, moment: int) -> None:
        after = self.model.copy()
        after.compact()
        # Its first steps, dropping the checkpoints of tasks that were committed, stand whatever follows.
        self.model.compact()
        self.change(self.store.compact, after, fault, moment)

    @rule(name=NAMES, step=st.integers(0, 9), fault=faults, moment=moments)
    def save_checkpoint(self, name: str, step: int, fault: str, moment: int) -> None:
        after = self.model.copy()
        after.checkpoints[name] = step
        self.change(lambda: self.store.checkpoint(name).save(self.tree(step)), after, fault, moment, exact=False)

    @precondition(lambda self: self.model.checkpoints)
    @rule(pick=st.integers(0, 99), fault=faults, moment=st.integers(0, 1))
    def drop_checkpoint(self, pick: int, fault: str, moment: int) -> None:
        name = sorted(self.model.checkpoints)[pick % len(self.model.checkpoints)]
        after = self.model.copy()
        del after.checkpoints[name]
        self.change(self.store.checkpoint(name).drop, after, fault, moment, exact=False)

    @rule()
    def reopen(self) -> None:
        self.store = StoreDirectory.open(self.root)

    def change(self, act: Callable[[], object], after: Claims, fault: str, moment: int, exact: bool = True) -> None:
        """Do it under a fault; what becomes of the store must be what the model was, or is, or what the error says."""
        before = self.model
        with self.store.lock():
            outcome = self.strike(act, fault, moment)
        if outcome == "crashed":
            self.store = StoreDirectory.open(self.root)
        if outcome in ("done", "unconfirmed"):
            self.model = after
        elif outcome == "crashed" or not exact:
            self.model = after if self.looks(after) else before

    def strike(self, act: Callable[[], object], fault: str, moment: int) -> str:
        kind = FAULTS[fault]
        if kind is None:
            act()
            return "done"
        struck = Fault(moment, *kind)
        try:
            with struck.active():
                act()
            outcome = "done"
        except Killed:
            outcome = "crashed"
        except UnconfirmedCommitError:
            outcome = "unconfirmed"
        except StoreError:
            outcome = "failed"
        self.struck[fault] += bool(struck.hit)
        assert struck.hit or outcome == "done", "it failed without a fault"
        return outcome

    def looks(self, model: Claims) -> bool:
        """Whether the store may be the model: which tasks and checkpoints there are. `agrees` looks at the rest."""
        store = StoreDirectory.open(self.root)
        names = {*model.checkpoints, *self.model.checkpoints}
        trees = {name: tree for name in names if (tree := store.checkpoint(name).load()) is not None}
        same = trees == {name: self.tree(step) for name, step in model.checkpoints.items()}
        return store.task_names() == tuple(model.tasks) and same

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "store"):
            return
        store, model = StoreDirectory.open(self.root), self.model
        assert store.task_names() == tuple(model.tasks)
        for name, task in model.tasks.items():
            record, found = store.record(name), store.subnet(name)
            assert record.isolation == task.isolation
            assert record.parents == (model.parents(name) if task.isolation == "shared" else ())
            assert digest(found.kept_masks(), {}) == digest(mask(task.used), {})
            assert digest(found.claimed_masks(), {}) == digest(mask(set(task.claims)), {})
            expected = digest(spread(model.weights(name)), private(task.private))
            assert digest(*weights_of(store, name)) == expected
            if task.isolation != "none":
                assert record.weights_sha256 == committed(model, name, record.version)
        for anew in (False, True):
            frozen = composed(store, anew=anew)
            assert digest(frozen.masks(), {}) == digest(mask(set(model.frozen())), {})
            assert digest(
                {spec.name: frozen.values[spec.name].view(spec.shape) for spec in store.shared}, {}
            ) == digest(spread(model.frozen()), {})
            assert frozen.kept == model.kept()
        for method in METHODS:
            carry = store.carry(method)
            expected_carry = model.carry[1] if model.carry and model.carry[0] == method else None
            assert (None if carry is None else carry["state"].item()) == expected_carry
        for name in model.checkpoints:
            assert store.checkpoint(name).load() == self.tree(model.checkpoints[name])
        assert [problem for problem in store.verify(deep=True) if not problem.harmless] == []
        assert [path.name for path in self.place.iterdir()] == ["store"]

    def next_value(self) -> float:
        self.values += 1.0
        return self.values

    def tree(self, step: int) -> dict[str, object]:
        return {"step": step, "lists": [[step], {"rate": 0.5}]}


def test_any_life_of_a_store(tally: Tally, long: bool):
    examples, steps = (500, 40) if long else (12, 12)
    StoreMachine.struck = Counter()
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    for kind, count in (+StoreMachine.struck).items():
        with tally.fault("any life", kind, count):
            assert count
    assert StoreMachine.struck.total() > 10
