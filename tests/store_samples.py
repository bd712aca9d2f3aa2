"""A small store for the tests of the store, and what every test asks of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from narrows.store import StoreDirectory, TaskContent, TaskRecord, TensorSpec
from subnets import content_of, values_of

DTYPES = {"a.weight": torch.float32, "b.weight": torch.bfloat16, "c.weight": torch.int64}
SHAPES = {"a.weight": (3, 7), "b.weight": (2, 2, 5), "c.weight": (4, 4)}


def base() -> dict[str, Tensor]:
    tensors = {
        name: (torch.arange(torch.Size(shape).numel()) - 5).reshape(shape).to(DTYPES[name])
        for name, shape in SHAPES.items()
    }
    return tensors | {"bias": torch.linspace(-1, 1, 5), "count": torch.tensor(3), "flag": torch.tensor(True)}


def specs() -> list[TensorSpec]:
    tensors = base()
    return [TensorSpec.of(name, tensors[name]) for name in SHAPES]


def record(name: str, **changes: Any) -> TaskRecord:
    values: dict[str, Any] = {
        "name": name,
        "index": -1,
        "directory": "",
        "created": "",
        "isolation": "shared",
        "method": {"name": "wsn", "config": {"density": 0.1}},
        "head": None,
        "data": {"n": 10},
        "metrics": {"accuracy": 0.5},
        "seconds": 2.0,
        "parents": (),
        "layers": {},
        "weights_sha256": "0" * 64,
        "blobs": {},
    }
    return TaskRecord(**(values | changes))


def content(step: int, of: int = 4) -> TaskContent:
    """The content of the `step`-th of `of` tasks: disjoint claims, and the first task's weights reused."""
    used, claimed, values = {}, {}, {}
    for spec in specs():
        turn = torch.arange(spec.numel).reshape(spec.shape) % of
        claimed[spec.name] = turn == step
        used[spec.name] = (turn == step) | (turn == 0)
        count = int(claimed[spec.name].sum())
        values[spec.name] = (torch.arange(count) + 10 * step).to(DTYPES[spec.name])
    private = {
        "bias": torch.arange(5.0) + step,
        "count": torch.tensor(step),
        "flag": torch.tensor(step % 2 == 0),
        "half": torch.arange(3).to(torch.bfloat16),
        "none": torch.zeros(0, 4),
    }
    return content_of(specs(), used, claimed, values, private)


def carry(step: int) -> dict[str, Tensor]:
    return {"scores": torch.arange(6.0) + step}


def make(path: Path, tasks: int = 2) -> StoreDirectory:
    """A store with the tasks "task 0", "task 1", ...; the last left training state."""
    store = StoreDirectory.create(path, base(), specs(), ["bias"])
    with store.lock():
        for step in range(tasks):
            store.append(record(f"task {step}"), content(step), carry=carry(step))
    return store


def assert_tensors(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert found[name].shape == tensor.shape, name
        assert torch.equal(found[name], tensor), name


def assert_content(found: TaskContent, expected: TaskContent) -> None:
    assert_tensors(found.private, expected.private)
    assert_tensors(found.subnet.kept_masks(), expected.subnet.kept_masks())
    assert_tensors(found.subnet.claimed_masks(), expected.subnet.claimed_masks())
    assert_tensors(values_of(found.subnet), values_of(expected.subnet))


def snapshot(path: Path) -> dict[str, bytes]:
    """Every file under `path` with its bytes, the lock's own aside."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and not file.name.startswith(".lock")
    }


def assert_sound(path: Path, tasks: int, leftovers: bool = False) -> None:
    """The store at `path` holds exactly the first `tasks` tasks of `make`, each as it was; `leftovers` may be."""
    store = StoreDirectory.open(path)
    assert store.task_names() == tuple(f"task {step}" for step in range(tasks))
    for step in range(tasks):
        assert_content(store.content(f"task {step}"), content(step))
    assert_tensors(store.base(), base())
    assert leftovers or store.verify() == []
