"""Stores that announce more than any has: refused with the figure, before time or memory is spent on it."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_store_forged import forge, forge_task

from narrows.errors import ConfigError, DamagedStoreError, ModelBuildError, StoreError, nearest
from narrows.factories import Factory
from narrows.networks import mlp
from narrows.store import StoreDirectory, TensorSpec, change, recover, strict_json
from narrows.store.checkpoint_file import CheckpointFile
from store_samples import assert_sound, base, content, record

Act = Callable[[Path], object]


def told(**values: Any) -> Act:
    return lambda root: forge(root, lambda header: header.update(values))


def written(text: bytes) -> Act:
    return lambda root: (root / "store.json").write_bytes(text)


def sizes(shape: list[int]) -> Act:
    return lambda root: forge(root, lambda header: header["shared"][0].update(shape=shape))


def entries(count: int) -> list[dict[str, str]]:
    return [{"name": f"t{i}", "directory": f"{i:06d}-x", "sha256": "0" * 64} for i in range(count)]


def specs(count: int) -> list[dict[str, Any]]:
    return [{"name": f"p{i}", "shape": [0], "dtype": "float32"} for i in range(count)]


SAID: dict[str, tuple[Act, str]] = {
    "a product of sizes": (sizes([1 << 62] * 200_000), "has 200000 entries, more than 64"),
    "parameters": (told(shared=specs(60_000)), "shared has 60000 entries, more than 50000"),
    "tasks": (told(tasks=entries(150_000), next_index=150_000), "tasks has 150000 entries, more than 50000"),
    "patterns": (told(private=["*"] * 10_001), "private has 10001 entries, more than 10000"),
    "training state": (
        lambda root: forge(root, lambda header: header["carry"].update(bytes=3 << 30)),
        r"has 3221225472 bytes, more than 2684\d+",
    ),
    "digits": (told(next_index=10**400), "a number has 401 digits, more than 308"),
    "lists": (written(b"[" + b"[]," * 20_000_000 + b"1]"), "it has 20000001 lists and objects, more than 1000000"),
    "values": (written(b"[" + b"1," * 5_000_000 + b"1]"), "it has 5000001 values, more than 4000000"),
    "depth": (written(b"[" * 900_000 + b"]" * 900_000), "nested more than 100 deep"),
    "bytes": (written(b" " * ((64 << 20) + 1)), "has 67108865 bytes, more than 67108864"),
}


@pytest.mark.parametrize("what", SAID)
def test_it_is_refused_with_the_figure(root, what):
    act, said = SAID[what]
    act(root)
    began = time.process_time()
    with pytest.raises(DamagedStoreError, match=said) as caught:
        StoreDirectory.open(root)
    assert time.process_time() - began < 5
    assert len(str(caught.value)) < 400


def test_the_memory_of_what_is_read_is_bounded():
    """By what the most lists and objects take, and as much again while they are looked through."""
    data = b"[" + b'{"a":{"b":1.5}},' * 20_000 + b"1]"
    tracemalloc.start()
    try:
        strict_json.loads(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / 40_000 * strict_json.MAX_CONTAINERS < 1 << 29


def test_a_sparse_file_of_a_task_is_not_read(root):
    with open(root / "tasks/0001-task-1/private.safetensors", "r+b") as file:
        file.truncate(3 << 30)
    forge_task(root, lambda values: values["blobs"]["private.safetensors"].update(bytes=3 << 30))
    store = StoreDirectory.open(root)
    for ask in (store.record, store.content, store.subnet, store.private_of, store.blobs):
        with pytest.raises(DamagedStoreError, match=r"private\.safetensors has 3221225472 bytes, more than 2684\d+"):
            ask("task 1")
    assert [problem.task for problem in store.verify()] == ["task 1"]
    assert store.content("task 0").private.keys() == content(0).private.keys()


def test_a_store_json_beyond_every_size_is_kept_and_written_anew(root):
    data = (root / "store.json").read_bytes()
    with open(root / "store.json", "r+b") as file:
        file.truncate(1 << 40)
    assert recover(root).lost
    assert (root / "store.json.damaged").stat().st_size == 1 << 40
    with open(root / "store.json.damaged", "rb") as file:
        assert file.read(len(data)) == data
    assert StoreDirectory.open(root).base().keys() == base().keys()


def test_what_readers_refuse_is_not_written(root, monkeypatch):
    store = StoreDirectory.open(root)
    header, before = store.header, (root / "store.json").read_bytes()
    full = replace(header, tasks=header.tasks * 25_000)
    with pytest.raises(StoreError, match="holds 50000 tasks, the most"):
        change.add_task(full, record("one more"), content(2), None)
    with pytest.raises(StoreError, match="50001 parameters"):
        change.new_header({"a": torch.zeros(1)}, [TensorSpec("a", (1,), "float32")] * 50_001, [])
    with pytest.raises(StoreError, match="10001 patterns"):
        change.new_header({}, [], ["*"] * 10_001)
    with store.lock(), pytest.raises(StoreError, match="401 digits"):
        store.append(record("a number", metrics={"loss": 10**400}), content(2))
    with monkeypatch.context() as patch:
        patch.setattr("narrows.store.header.MAX_BESIDE", -16 * header.base.bytes + 1500)
        private = content(2).private | {"large": torch.zeros(500)}
        state = {"scores": torch.zeros(500)}
        for tensors, carry in ((replace(content(2), private=private), None), (content(2), state)):
            with pytest.raises(StoreError, match="more than 1500, the most beside a base of"):
                change.add_task(header, record("one more"), tensors, carry)
    assert (root / "store.json").read_bytes() == before
    assert_sound(root, 2)


def test_a_checkpoint_has_a_limit(tmp_path):
    progress = CheckpointFile(tmp_path, "x", 1000)
    progress.save({"step": 1})
    with pytest.raises(StoreError, match=r"bytes, more than 1000"):
        progress.save({"weights": torch.zeros(1000)})
    assert progress.load() == {"step": 1}
    with pytest.raises(StoreError, match="401 digits"):
        progress.save({"step": 10**400})


def test_many_tasks_are_listed_and_recovered_in_linear_time(root):
    tasks = entries(20_000)
    forge(root, lambda header: header.update(tasks=tasks, next_index=20_000, carry=None))
    store = StoreDirectory.open(root)
    began = time.process_time()
    for name in store.task_names():
        with pytest.raises(DamagedStoreError, match="is missing"):
            store.record(name)
    assert len(recover(root, dry_run=True).damaged) == len(tasks)
    assert time.process_time() - began < 10


def test_a_network_of_any_depth_is_not_built():
    with pytest.raises(ConfigError, match="1001 hidden layers are asked for, more than 1000"):
        mlp((4,), 3, hidden=[1] * 1001)
    few = {"input_shape": [4], "classes": 3, "hidden": [1] * 20_000}
    with pytest.raises(ModelBuildError, match="20000 hidden layers"):
        Factory("narrows.networks:mlp", few).build()
    with pytest.raises(ConfigError, match="have 900046 bytes as JSON, more than 65536"):
        Factory("narrows.networks:mlp", few | {"hidden": [1] * 300_000})


def test_the_nearest_of_many_long_names_is_found_soon():
    began = time.process_time()
    assert "and 49981 more" in nearest("b" * 100_000, ["a" * 190 + str(i) for i in range(50_001)])
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"a": 1, "a": 2}', "a key stands twice"),
        (b"[NaN]", "NaN is not a JSON number"),
        (b"[1e999]", "1e999 is out of range"),
        (b"[1" + b"0" * 400 + b"]", "401 digits, more than 308"),
        (b"\xff", "decode"),
        (b"", "Expecting value"),
    ],
)
def test_json_is_strict(tmp_path, text, said):
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(ValueError, match=said):
        strict_json.read(tmp_path / "a.json")


def test_an_object_is_asked_for(tmp_path):
    for value in ([], None, 1, "text"):
        (tmp_path / "a.json").write_text(json.dumps(value))
        assert strict_json.read(tmp_path / "a.json") == value
        with pytest.raises(ValueError, match="not a JSON object"):
            strict_json.read_object(tmp_path / "a.json")
