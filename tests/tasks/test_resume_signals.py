"""Ctrl-C and SIGTERM while a task is trained with a checkpoint: nothing is left half done."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

import narrows as nw
from checkpoints import Memory, identical
from forked import Forked, code
from toys import METHODS, MLP, state
from trainings import training

METHOD = METHODS["laplace"]
BATCHES = [MLP.batch(8, 3, seed) for seed in range(4)]
STEPS = 12


@pytest.fixture
def store(tmp_path: Path) -> nw.TaskStore:
    return nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """A signal that is not held back must not end the tests."""

    def terminate(*_: Any) -> None:
        raise SystemExit("not held back")

    former = signal.signal(signal.SIGTERM, terminate)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.signal(signal.SIGTERM, former) is terminate


def train(store: nw.TaskStore, checkpoint: Any, seed: int = 1, **options: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    with store.begin("task", METHOD, head=MLP.head(3)) as task:
        task.fit(BATCHES, training(3, options), checkpoint=checkpoint, **options)
        return state(task.model)


def sending(step: int, *signals: signal.Signals) -> Callable[..., torch.Tensor]:
    """A loss in the middle of which, at that step, the process is sent signals."""
    calls = iter(range(1, 1000))

    def cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if next(calls) == step:
            for number in signals:
                os.kill(os.getpid(), number)
        return F.cross_entropy(outputs, targets)

    return cross_entropy


@pytest.mark.parametrize("step", [1, 4, 6, STEPS])
@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_waits_for_the_step_to_end(
    store: nw.TaskStore, step: int, number: signal.Signals, raised: type[BaseException]
) -> None:
    plain, memory = train(store, None), Memory()
    with pytest.raises(raised) as caught:
        train(store, memory, loss=sending(step, number))
    if number == signal.SIGTERM:
        assert caught.value.code == 143
    assert memory.tree["position"]["steps"] == step
    assert identical(train(store, memory, seed=9, loss=sending(0)), plain)


def test_a_second_one_acts_at_once(store: nw.TaskStore) -> None:
    plain, memory = train(store, None), Memory()
    with pytest.raises(KeyboardInterrupt):
        train(store, memory, loss=sending(6, signal.SIGINT, signal.SIGINT))
    assert memory.tree["position"]["steps"] == 4, "the last checkpoint stands"
    assert identical(train(store, memory, seed=9, loss=sending(0)), plain)


def test_a_second_one_within_a_callback_saves_nothing_more(store: nw.TaskStore) -> None:
    memory = Memory()

    def callback(step: Any) -> None:
        if step.step == 6:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit):
        train(store, memory, callbacks=[callback])
    assert memory.tree["position"]["steps"] == 4


@pytest.mark.parametrize("where", ["measuring", "saving", "saving for the last time"])
def test_one_between_two_steps_is_not_lost(store: nw.TaskStore, where: str) -> None:
    class Signalled(Memory):
        def save(self, tree: Any, /) -> None:
            if where.startswith("saving") and tree["position"]["steps"] == (STEPS if "last" in where else 8):
                os.kill(os.getpid(), signal.SIGINT)
            super().save(tree)

    def measure(*_: Any) -> float:
        if where == "measuring" and memory.saves == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return 0.0

    plain, memory = train(store, None), Signalled()
    with pytest.raises(KeyboardInterrupt):
        train(store, memory, valid=BATCHES, measure=measure)
    assert memory.tree["position"]["steps"] == (STEPS if "last" in where else 8)
    where = ""
    assert identical(train(store, memory, seed=9, valid=BATCHES, measure=measure), plain)


def test_an_ignored_signal_stays_ignored(store: nw.TaskStore) -> None:
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        train(store, Memory(), loss=sending(6, signal.SIGINT))
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, former)


def test_another_thread_trains_with_a_checkpoint_too(store: nw.TaskStore) -> None:
    memory = Memory()
    thread = threading.Thread(target=train, args=(store, memory))
    thread.start()
    thread.join(30)
    assert memory.tree["position"]["steps"] == STEPS


PROGRAM = """
import os, sys, time
import torch
import narrows as nw
from forked import Forked, code
from toys import METHODS, MLP, state

class File:
    def load(self):
        return torch.load(sys.argv[2], weights_only=True) if os.path.exists(sys.argv[2]) else None
    def save(self, tree):
        torch.save(tree, sys.argv[2])
    def drop(self):
        os.remove(sys.argv[2])

def callback(step):
    print(step.step, flush=True)
    if sys.argv[3] == "slow":
        time.sleep(0.2)

store = nw.TaskStore.open(sys.argv[1], MLP.make(7))
torch.manual_seed(1 if sys.argv[3] == "slow" else 99)
with store.begin("task", METHODS["laplace"], head=MLP.head(3)) as task:
    batches = [MLP.batch(8, 3, seed) for seed in range(4)]
    task.fit(batches, nw.Training(3), checkpoint=File(), callbacks=[callback])
    task.commit()
"""


def test_ctrl_c_in_a_process_of_its_own(store: nw.TaskStore, tmp_path: Path, ends: Callable[[Any], Any]) -> None:
    plain, kept = train(store, None), tmp_path / "kept"

    def start(pace: str) -> Forked:
        child: Forked = ends(code(tmp_path, PROGRAM, str(store.path), str(kept), pace))
        return child

    child = start("slow")
    child.wait_for(lambda: child.out.count("\n") >= 6)
    child.send_signal(signal.SIGINT)
    done = child.done()
    last = int(done.stdout.split()[-1])
    assert "KeyboardInterrupt" in done.stderr
    assert 6 <= last < STEPS
    assert torch.load(kept, weights_only=True)["position"]["steps"] == last
    done = start("fast").done()
    assert done.returncode == 0, done.stderr
    assert [int(step) for step in done.stdout.split()] == list(range(last + 1, STEPS + 1))
    again = nw.TaskStore.open(store.path, MLP.make())
    assert identical(state(again.load("task")), plain)
    assert not kept.exists()
