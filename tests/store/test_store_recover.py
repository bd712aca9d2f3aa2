"""A store.json that is lost or older than its tasks: nothing is swept, and everything sound is taken back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from disk_faults import Fault, Killed
from narrows.errors import DamagedStoreError, StoreError, UnknownNameError
from narrows.store import Recovery, StoreDirectory, recover
from narrows.store.names import TASK_FILE
from narrows.subnet import Composition, digest_kept
from store_samples import assert_content, base, content, record, snapshot, specs

NAMES = ("task 0", "task 1", "task 2", "task 3")


def append(store: StoreDirectory, step: int, name: str = "") -> None:
    """A task as `store_samples` has it, with the parents and the digest that it really has."""
    before = Composition(store.shared)
    for at, other in enumerate(store.task_names()):
        before.add(other, "shared", store.subnet(other))
        assert at < 8
    given = content(step)
    known = {
        "parents": before.parents(given.subnet),
        "weights_sha256": digest_kept(before.resolve(given.subnet), given.private),
    }
    with store.lock():
        store.append(record(name or f"task {step}", **known), given)


def make(path: Path, tasks: int) -> StoreDirectory:
    store = StoreDirectory.create(path, base(), specs(), ["bias"], {"factory": "mine:net"})
    for step in range(tasks):
        append(store, step)
    return store


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four tasks; the last three reuse weights of the first. `two.json`: the store.json after the second."""
    path = tmp_path_factory.mktemp("four") / "s"
    store = make(path, 2)
    two = (path / "store.json").read_bytes()
    for step in (2, 3):
        append(store, step)
    (path.parent / "two.json").write_bytes(two)
    return path


@pytest.fixture
def root(four: Path, tmp_path: Path) -> Path:
    shutil.copy(four.parent / "two.json", tmp_path)
    return Path(shutil.copytree(four, tmp_path / "s"))


def roll_back(root: Path) -> None:
    shutil.copy(root.parent / "two.json", root / "store.json")


def assert_whole(root: Path, tasks: int = 4) -> None:
    store = StoreDirectory.open(root)
    assert store.task_names() == NAMES[:tasks]
    for step in range(tasks):
        assert_content(store.content(f"task {step}"), content(step))
    assert [str(problem) for problem in store.verify(deep=True) if not problem.harmless] == []


def test_an_older_store_json_put_back_is_recognised_and_nothing_is_written(root: Path):
    roll_back(root)
    before = snapshot(root)
    store = StoreDirectory.open(root)
    problems = [problem for problem in store.verify() if not problem.harmless]
    assert [(problem.file, problem.task) for problem in problems] == [
        ("tasks/0002-task-2", "task 2"),
        ("tasks/0003-task-3", "task 3"),
    ]
    assert all("recover" in problem.remedy for problem in problems)
    with pytest.raises(DamagedStoreError, match=r"older than the store.*'task 2'.*'task 3'.*narrows recover"):
        store.lock()
    assert snapshot(root) == before


def test_one_put_back_while_a_task_is_learned_is_recognised_by_its_commit(root: Path):
    store = StoreDirectory.open(root)
    with store.lock():
        roll_back(root)
        before = snapshot(root)
        with pytest.raises(DamagedStoreError, match="older than the store"):
            store.append(record("late"), content(1))
    assert snapshot(root) == before


def test_what_an_older_store_json_does_not_list_is_taken_back(root: Path):
    sound = StoreDirectory.open(root).header
    roll_back(root)
    planned = recover(root, dry_run=True)
    assert (planned.tasks, planned.taken_back, planned.lost) == (NAMES, NAMES[2:], None)
    assert recover(root) == planned
    assert_whole(root)
    assert StoreDirectory.open(root).header.tasks == sound.tasks
    assert not recover(root).changes
    append(StoreDirectory.open(root), 1, "another")
    assert StoreDirectory.open(root).verify(deep=True) == []


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: path.write_bytes(b"{")], ids=["missing", "damaged"])
def test_a_lost_store_json_is_written_anew(root: Path, lose: Callable[[Path], object]):
    sound = StoreDirectory.open(root).header
    lose(root / "store.json")
    kept = {file: data for file, data in snapshot(root).items() if file != "store.json"}
    with pytest.raises(DamagedStoreError, match="narrows recover"):
        StoreDirectory.open(root)
    found = recover(root)
    assert (found.tasks, found.taken_back) == (NAMES, NAMES)
    assert_whole(root)
    header = StoreDirectory.open(root).header
    assert replace(header, replaces=sound.replaces, carry=sound.carry) == sound
    after = snapshot(root)
    assert {file: after[file] for file in kept} == kept


def test_the_damaged_store_json_is_kept(root: Path):
    (root / "store.json").write_bytes(b"damaged")
    recover(root)
    assert (root / "store.json.damaged").read_bytes() == b"damaged"


def test_without_origin_json_any_store_json_of_a_backup_will_do(root: Path):
    (root / "origin.json").unlink()
    (root / "store.json").write_bytes(b"damaged")
    with pytest.raises(DamagedStoreError, match=r"put any store\.json of this store, however old"):
        recover(root)
    roll_back(root)
    recover(root)
    assert_whole(root)
    assert (root / "origin.json").exists()


def test_a_task_with_damaged_files_is_taken_back_so_that_they_can_be_restored(root: Path):
    mask = root / "tasks/0002-task-2/mask.bin"
    data = mask.read_bytes()
    (root / "store.json").unlink()
    mask.write_bytes(b"damaged")
    found = recover(root)
    assert found.tasks == NAMES
    assert list(found.damaged) == ["task 2"]
    mask.write_bytes(data)
    assert_whole(root)


def test_what_builds_on_a_lost_record_is_left_out_and_can_be_taken_back_later(root: Path):
    lost = root / "tasks/0000-task-0" / TASK_FILE
    data = lost.read_bytes()
    lost.unlink()
    (root / "store.json").unlink()
    found = recover(root)
    assert found.tasks == ()
    assert sorted(found.left) == ["tasks/0001-task-1", "tasks/0002-task-2", "tasks/0003-task-3"]
    lost.write_bytes(data)
    assert {problem.harmless for problem in StoreDirectory.open(root).verify()} == {False}
    assert recover(root, dry_run=True).tasks == ()
    assert recover(root, also=NAMES).tasks == NAMES
    assert_whole(root)


def test_a_name_that_is_not_there(root: Path):
    with pytest.raises(UnknownNameError, match="no whole task 'nothing'"):
        recover(root, also=["nothing"])


def test_a_task_of_another_store_is_not_taken_back(root: Path, tmp_path: Path):
    other = make(tmp_path / "other", 0)
    for name in ("x", "y", "z", "zz"):
        append(other, 3, name)
    shutil.copytree(tmp_path / "other/tasks/0003-zz", root / "tasks/0003-zz")
    shutil.rmtree(root / "tasks/0003-task-3")
    roll_back(root)
    found = recover(root)
    assert found.tasks == NAMES[:3]
    assert list(found.left) == ["tasks/0003-zz"]
    append(StoreDirectory.open(root), 3, "next")  # and does not hold off anybody
    assert (root / "tasks/0003-zz/mask.bin").exists()


def forget_stopped(root: Path, name: str) -> list[Path]:
    """Copies of the store at every call of the disk after forgetting was committed."""
    stopped = []
    for after in range(1000):
        here = Path(shutil.copytree(root, root.parent / f"stopped {after}"))
        store, fault = StoreDirectory.open(here), Fault(after, Killed, for_ever=True)
        with store.lock():
            try:
                with fault.active():
                    store.forget(name)
            except Killed:
                pass
        if name not in StoreDirectory.open(here).task_names():
            stopped.append(here)
        if not fault.hit:
            return stopped
    raise AssertionError("it never ended")


def test_a_forgotten_task_never_comes_back(root: Path):
    """However early its removal was cut short, and though the store.json is asked to take all back."""
    stopped = forget_stopped(root, "task 0")
    assert len(stopped) > 10
    assert any((here / "tasks/0000-task-0/mask.bin").exists() for here in stopped)
    for here in stopped:
        assert all(problem.harmless for problem in StoreDirectory.open(here).verify(deep=True))
        assert not recover(here).changes
        append(StoreDirectory.open(here), 1, "next")
        assert sorted(path.name.split("-", 1)[1] for path in (here / "tasks").iterdir()) == [
            "next", "task-1", "task-2", "task-3"
        ]  # fmt: skip
        assert StoreDirectory.open(here).verify(deep=True) == []


def test_after_forgetting_an_older_store_json_leads_to_the_rewritten_tasks(root: Path):
    """The forgotten one stays listed, as lost, until somebody says that it is to go."""
    store = StoreDirectory.open(root)
    with store.lock():
        store.forget("task 0")
    roll_back(root)
    found = recover(root)
    assert found.tasks == NAMES
    assert list(found.damaged) == ["task 0"]
    store = StoreDirectory.open(root)
    with store.lock():
        store.forget("task 0")
    assert store.task_names() == NAMES[1:]
    assert store.verify(deep=True) == []


def test_a_lost_store_json_after_forgetting_keeps_the_order_of_learning(root: Path):
    store = StoreDirectory.open(root)
    with store.lock():
        store.forget("task 0")
    expected = store.header
    (root / "store.json").unlink()
    assert recover(root).tasks == NAMES[1:]
    assert StoreDirectory.open(root).header.tasks == expected.tasks
    assert StoreDirectory.open(root).verify(deep=True) == []


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("lost", [False, True], ids=["older", "lost"])
def test_recovering_stopped_anywhere(root: Path, late: bool, lost: bool):
    """Before or after each call, in turn; both in the long form of tests/torture."""
    if lost:
        (root / "store.json").write_bytes(b"damaged")
    else:
        roll_back(root)
    for after in range(late, 1000, 2):
        here = Path(shutil.copytree(root, root.parent / f"{after}"))
        fault = Fault(after, Killed, for_ever=True, late=late)
        done: Recovery | None = None
        try:
            with fault.active():
                done = recover(here)
        except Killed:
            pass
        recover(here)
        assert_whole(here)
        append(StoreDirectory.open(here), 1, "another")
        assert [p.file for p in StoreDirectory.open(here).verify(deep=True)] == ["store.json.damaged"] * lost
        if not fault.hit:
            assert done
            return
    raise AssertionError("it never ended")


@pytest.mark.parametrize("number", range(4))
def test_a_task_whose_record_is_lost_can_be_given_up(root: Path, number: int):
    """Those that reuse its weights keep them: that they are the right ones is proven by their digests."""
    (root / "tasks" / f"000{number}-task-{number}" / TASK_FILE).unlink()
    store = StoreDirectory.open(root)
    with store.lock():
        done = store.forget(f"task {number}")
    assert list(done.kept_for) == (list(NAMES[1:]) if number == 0 else [])
    assert store.task_names() == tuple(name for name in NAMES if name != f"task {number}")
    assert [problem for problem in store.verify(deep=True) if not problem.harmless] == []
    append(store, 1, "next")


def test_a_task_that_is_lost_wholly_is_given_up_after_what_reuses_it(root: Path):
    shutil.rmtree(root / "tasks/0000-task-0")
    store = StoreDirectory.open(root)
    with store.lock(), pytest.raises(DamagedStoreError, match=r"forget first, the last first.*task 1, task 2, task 3"):
        store.forget("task 0")
    with store.lock():
        for name in reversed(NAMES):
            store.forget(name)
    append(store, 0)
    assert store.verify(deep=True) == []


def test_values_that_are_not_proven_are_not_taken_over(root: Path):
    claimed = root / "tasks/0000-task-0/claimed.safetensors"
    claimed.write_bytes(claimed.read_bytes()[:-1] + b"\x55")
    (claimed.parent / TASK_FILE).unlink()
    before = snapshot(root)
    store = StoreDirectory.open(root)
    with store.lock(), pytest.raises(StoreError, match="would not keep the weights"):
        store.forget("task 0")
    assert snapshot(root) == before


def test_what_is_no_leftover_is_not_swept(root: Path):
    """A whole task that nothing lists, of an index that was given: of another copy of the store, say."""
    directory = root / "tasks/0001-mine"
    shutil.copytree(root / "tasks/0001-task-1", directory)
    task = directory / TASK_FILE
    task.write_bytes(task.read_bytes().replace(b"0001-task-1", b"0001-mine"))
    store = StoreDirectory.open(root)
    append(store, 1, "next")
    with store.lock():
        store.compact()
    assert sorted(os.listdir(directory)) == ["claimed.safetensors", "mask.bin", "private.safetensors", "task.json"]
    assert [(problem.file, problem.harmless) for problem in store.verify()] == [("tasks/0001-mine", False)]


def test_a_failed_change_removes_nothing_that_was_there_before(root: Path, monkeypatch: pytest.MonkeyPatch):
    store = StoreDirectory.open(root)
    there = root / "tasks/0004-task-4"
    there.mkdir()
    (there / "mask.bin").write_bytes(b"mine")
    monkeypatch.setattr("narrows.store.unlisted.free_index", lambda _, header: header.next_index)
    with store.lock(), pytest.raises(StoreError, match="it is there already"):
        store.append(record("task 4"), content(1))
    assert (there / "mask.bin").read_bytes() == b"mine"


def test_origin_json_is_named_where_it_is_damaged_and_made_anew(root: Path):
    (root / "origin.json").write_bytes(b"damaged")
    store = StoreDirectory.open(root)
    assert [(problem.file, "next commit" in problem.remedy) for problem in store.verify()] == [("origin.json", True)]
    append(store, 1, "next")
    assert store.verify() == []


@pytest.mark.parametrize("part", ["tasks", "carry", "origin.json"])
def test_verify_names_a_link_that_writers_refuse(root: Path, tmp_path: Path, part: str):
    if (root / part).exists():
        shutil.move(root / part, tmp_path / "outside")
    (root / part).symlink_to(tmp_path / "outside")
    problems = StoreDirectory.open(root).verify()
    assert (part, False) in [(problem.file, problem.harmless) for problem in problems]
