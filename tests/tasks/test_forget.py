"""Forgetting is exact: the others keep every bit, and the next task is learned as if the forgotten one never was."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import narrows as nw
from narrows.errors import StoreLockedError, UnknownNameError
from narrows.store.compose import composed
from narrows.tasks import TaskStore
from toys import METHODS, TOYS

TOY = TOYS["batchnorm"]


def learn(store: TaskStore, name: str, method: nw.Method, seed: int) -> None:
    torch.manual_seed(seed)
    x, y = TOY.batch(24, 2, seed)
    with store.begin(name, method, head=TOY.head(2)) as task:
        task.fit([(x, y)] * 4, nw.Training(2, examples=24, batch_size=24))
        task.commit()


def life(path: Path, methods: list[nw.Method]) -> TaskStore:
    store = TaskStore.create(path, TOY.make(), head=TOY.place)
    for number, method in enumerate(methods):
        learn(store, f"task {number}", method, number)
    return store


def outputs(store: TaskStore) -> dict[str, torch.Tensor]:
    x = TOY.batch(8, 2, 99)[0]
    with torch.no_grad():
        return {record.name: store.load(record.name)(x) for record in store.tasks()}


def files(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and not file.name.startswith(".lock") and file.name != "store.json"
    }


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


REUSING = nw.IBM(density=0.6, prune_every=2)


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("five") / "s"
    life(path, [REUSING] * 5)
    return path


@pytest.mark.parametrize("gone", range(5))
def test_every_other_task_keeps_its_outputs_to_the_bit(five: Path, tmp_path: Path, gone: int) -> None:
    store = TaskStore.open(shutil.copytree(five, tmp_path / "s"), TOY.make())
    before = outputs(store)
    del before[f"task {gone}"]
    forgotten = store.forget(f"task {gone}")
    assert same(outputs(store), before)
    assert store.verify(deep=True) == []
    assert set(forgotten.kept_for) <= set(before)
    assert not list((tmp_path / "s" / "tasks").glob(f"*-task-{gone}"))
    for record in store.tasks():
        claimed = {layer.name: layer.claimed for layer in store.explain(record.name)}
        subnet = store.directory.subnet(record.name)
        assert claimed == {name: len(part.claimed) for name, part in subnet.parts.items()}


def test_the_last_task_leaves_nothing_behind(five: Path, tmp_path: Path) -> None:
    """Every file is what it was before the task was learned, and another task is then learned to the same bits."""
    never = TaskStore.open(shutil.copytree(five, tmp_path / "never"), TOY.make())
    store = TaskStore.open(shutil.copytree(five, tmp_path / "s"), TOY.make())
    learn(store, "unwanted", REUSING, 77)
    forgotten = store.forget("unwanted")
    assert forgotten.kept_for == {}
    assert forgotten.learned_after == ()
    assert files(store.path) == files(never.path)
    for one in (never, store):
        learn(one, "next", REUSING, 5)
    assert same(outputs(store), outputs(never))
    for file in ("mask.bin", "claimed.safetensors", "private.safetensors"):
        data = [next(one.path.glob(f"tasks/*-next/{file}")).read_bytes() for one in (never, store)]
        assert data[0] == data[1]


def test_weights_that_only_it_used_are_free_again(five: Path, tmp_path: Path) -> None:
    store = TaskStore.open(shutil.copytree(five, tmp_path / "s"), TOY.make())
    needed = {
        name: torch.stack([store.directory.subnet(f"task {other}").kept_masks()[name] for other in range(1, 5)]).any(0)
        for name in (spec.name for spec in store.shared)
    }
    before = sum(int(mask.sum()) for mask in composed(store.directory).masks().values())
    forgotten = store.forget("task 0")
    masks = composed(store.directory).masks()
    assert all(torch.equal(masks[name], needed[name]) for name in needed)
    assert forgotten.freed == before - sum(int(mask.sum()) for mask in masks.values())
    assert sum(forgotten.kept_for.values()) > 0


def test_forgetting_all_leaves_the_empty_store(five: Path, tmp_path: Path) -> None:
    store = TaskStore.open(shutil.copytree(five, tmp_path / "s"), TOY.make())
    for number in (2, 0, 4, 1, 3):
        store.forget(f"task {number}")
        assert store.verify(deep=True) == []
    assert store.tasks() == ()
    assert store.values_kept() == 0
    assert sorted(files(store.path)) == ["base.safetensors", "origin.json"]


def test_a_dry_run_says_what_forgetting_does_and_changes_nothing(five: Path, tmp_path: Path) -> None:
    store = TaskStore.open(shutil.copytree(five, tmp_path / "s"), TOY.make())
    before, size, header = files(store.path), store.directory.bytes_total(), store.directory.header
    said = store.forget("task 1", dry_run=True)
    assert files(store.path) == before
    assert TaskStore.open(store.path).directory.header == header
    assert store.forget("task 1") == said
    # store.json itself is not counted.
    assert abs(size - store.directory.bytes_total() - said.bytes) < 400


def test_a_task_that_is_not_there(five: Path, tmp_path: Path) -> None:
    store = TaskStore.open(shutil.copytree(five, tmp_path / "s"), TOY.make())
    for dry_run in (True, False):
        with pytest.raises(UnknownNameError, match="did you mean 'task 1'"):
            store.forget("taks 1", dry_run=dry_run)


def test_not_while_another_writes(five: Path, tmp_path: Path) -> None:
    store = TaskStore.open(shutil.copytree(five, tmp_path / "s"), TOY.make())
    with store.begin("next", REUSING, head=TOY.head(2)), pytest.raises(StoreLockedError):
        store.forget("task 1")


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_mixed_methods_forgotten_in_any_order(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    kinds = ["laplace", "two-budgets", "magnitude-ib", "wsn", "supsup", "independent", "finetune", "ewc"]
    chosen = data.draw(st.lists(st.sampled_from(kinds), min_size=2, max_size=5))
    store = life(tmp_path_factory.mktemp("mixed") / "s", [METHODS[kind] for kind in chosen])
    left = outputs(store)
    for name in data.draw(st.permutations(sorted(left))):
        overwriting = store.directory.record(name).isolation == "none"
        store.forget(name)
        del left[name]
        if overwriting:  # those that are left go back to the weights of the one before it
            left = {
                other: value for other, value in left.items() if store.directory.record(other).isolation != "none"
            } | {
                other: value
                for other, value in outputs(store).items()
                if store.directory.record(other).isolation == "none"
            }
        assert same(outputs(store), left)
        assert store.verify(deep=True) == []


def test_the_training_state_of_the_last_task_of_a_method_goes_with_it(tmp_path: Path) -> None:
    store = life(tmp_path / "s", [METHODS["wsn"], METHODS["wsn"], METHODS["laplace"]])
    assert store.directory.header.carry is not None
    assert not store.forget("task 0").drops_carry
    assert store.forget("task 1").drops_carry
    assert store.directory.header.carry is None
    assert not list((store.path / "carry").iterdir())


def test_a_reader_that_opened_before_sees_the_store_as_it_is_now(five: Path, tmp_path: Path) -> None:
    path = shutil.copytree(five, tmp_path / "s")
    reader, writer = TaskStore.open(path, TOY.make()), TaskStore.open(path, TOY.make())
    before = outputs(reader)
    writer.forget("task 0")
    x = TOY.batch(8, 2, 99)[0]
    with torch.no_grad():
        assert all(torch.equal(reader.load(name)(x), before[name]) for name in before if name != "task 0")
    with pytest.raises(UnknownNameError):
        reader.load("task 0")
    assert len(reader.tasks()) == 4
