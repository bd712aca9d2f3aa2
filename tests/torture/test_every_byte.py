"""Every file cut at every length, and every byte flipped: the right weights or an error that names the file."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tally import Tally
from torture_store import LEARNING, append_another, fingerprint, network, progress_state, task_state

import narrows as nw
from narrows.errors import DamagedStoreError, NarrowsError
from narrows.store.compose import composed

BLOBS = ("task.json", "mask.bin", "claimed.safetensors", "private.safetensors")
TASKS = {"0000-root": ("root", "middle", "leaf"), "0001-middle": ("middle", "leaf"), "0002-leaf": ("leaf",)}
FILES = {
    "store.json": "store.json",
    "base": "base.safetensors",
    "carry": "carry/0002.safetensors",
    "snapshot": "snapshot/0007.safetensors",
    "checkpoint": "progress/*.ckpt",
} | {f"{task}/{blob}": f"tasks/{task}/{blob}" for task in TASKS for blob in BLOBS}
MASKS = (0x01, 0x80, 0xFF)
HANGS = 20  # seconds


@pytest.fixture(scope="module")
def root(place: Path, prepared: Path) -> Path:
    """A store with a file of every kind. Its three tasks build on each other, and five small ones on none."""
    root = Path(shutil.copytree(prepared, place / "bytes"))
    for number in range(5):
        append_another(root, f"small {number}")
    assert nw.TaskStore.open(root, network()).directory.record("leaf").parents == ("root", "middle")
    return root


@pytest.fixture(scope="module")
def sound(root: Path) -> dict[str, Any]:
    """What each question of `QUESTIONS` is answered where nothing is damaged."""
    store = nw.TaskStore.open(root, network())
    return {name: ask(store) for name, ask in QUESTIONS.items()}


def _load(name: str) -> Callable[[nw.TaskStore], Any]:
    return lambda store: task_state(store, name)


def _begin(store: nw.TaskStore) -> Any:
    with store.begin("next", nw.WSN(density=0.3)) as task:
        return fingerprint({name: tensor.detach() for name, tensor in task.model.named_parameters()})


def _frozen(store: nw.TaskStore) -> Any:
    frozen = composed(store.directory)
    return fingerprint(frozen.values), fingerprint(frozen.owners), frozen.held().values_kept()


QUESTIONS: dict[str, Callable[[nw.TaskStore], Any]] = {
    **{name: _load(name) for name in ("root", "middle", "leaf", "small 0")},
    "tasks": lambda store: store.tasks(),
    "frozen": _frozen,
    "begin": _begin,
    "checkpoint": lambda store: progress_state(store, LEARNING),
    "verify": lambda store: store.verify(deep=True),
}


def must_answer(file: str, question: str) -> bool:
    """Whether damage to the file leaves what is asked for untouched."""
    if question in ("tasks", "frozen", "begin", "verify"):
        return file.startswith(("snapshot", "progress")) and question != "verify"
    if question == "checkpoint":
        return not file.startswith("progress")
    if file == "base.safetensors":
        return False
    return question not in TASKS.get(file.split("/")[1] if file.startswith("tasks") else "", ())


@contextmanager
def no_hang() -> Iterator[None]:
    """Fails what takes longer than `HANGS`."""

    def hung(*_: object) -> None:
        raise TimeoutError(f"no answer in {HANGS} s")

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(HANGS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def examine(root: Path, file: str, sound: dict[str, Any]) -> None:
    """Asks everything of the store in which `file` is damaged."""
    if file == "store.json":
        with pytest.raises(NarrowsError, match=r"store\.json"):
            nw.TaskStore.open(root, network())
        return
    try:
        store = nw.TaskStore.open(root, network())
    except DamagedStoreError as error:
        if file != "base.safetensors" or file not in str(error):
            raise
        store = nw.TaskStore.open(root)
    for question, ask in QUESTIONS.items():
        if question == "verify":
            problems = store.verify(deep=True)
            expected = [] if file.startswith("progress") else [(file, False)]
            assert [(problem.file, problem.harmless) for problem in problems] == expected
            continue
        try:
            answer = ask(store)
        except NarrowsError as error:
            if must_answer(file, question) or not (file in str(error) or file == "base.safetensors"):
                raise
        else:
            assert answer == sound[question], f"a wrong answer to {question}"


def damages(data: bytes, long: bool) -> Iterator[tuple[str, bytes]]:
    """(kind, damaged bytes): all of them, or a sample that is always the same."""
    lengths: list[int] = list(range(len(data)))
    flips = [(at, mask) for at in range(len(data)) for mask in MASKS]
    if not long:
        chance = random.Random(len(data))
        lengths = sorted({0, len(data) - 1, *chance.sample(lengths, 1)})
        flips = chance.sample(flips, 3)
    for length in lengths:
        yield "truncated", data[:length]
    for at, mask in flips:
        yield "byte flipped", data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


@pytest.mark.parametrize("file", FILES)
def test_damaged_anywhere(root: Path, sound: dict[str, Any], file: str, tally: Tally, long: bool):
    (path,) = root.glob(FILES[file])
    data = path.read_bytes()
    label = path.relative_to(root).as_posix()
    try:
        for kind, damaged in damages(data, long):
            path.write_bytes(damaged)
            with tally.fault(f"read, verify, begin: {file.split('/')[-1]}", kind), no_hang():
                examine(root, label, sound)
    finally:
        path.write_bytes(data)
    assert nw.TaskStore.open(root, network()).verify(deep=True) == []
