"""Results and stores for the tests of analysis, made without training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from narrows.benchmarks.results import Result, TaskRow
from narrows.store import StoreDirectory, TaskRecord, TensorSpec
from narrows.store.compose import composed
from narrows.subnet import digest_kept
from subnets import content_of

SHAPES = {"one.weight": (10, 6), "two.weight": (4, 10)}
BUDGET = {"name": "ibm", "config": {"density": None, "new": 0.02, "reuse": 0.1, "refine": False}}


def task_row(name: str, **changes: Any) -> TaskRow:
    values: dict[str, Any] = dict.fromkeys(
        ("accuracy", "accuracy_now", "density", "claimed", "reused", "used", "start_accuracy", "untrained"), 0.5
    )
    values |= {"name": name, "bytes": 1000, "seconds": 3.0, "step_seconds": 0.01, "layers": {"one.weight": 0.5}}
    return TaskRow(**(values | changes))


def result(tasks: int = 2, **changes: Any) -> Result:
    """A result of so many tasks, nothing forgotten."""
    rows = [[0.9 if j <= i else 0.1 if j == i + 1 else None for j in range(tasks)] for i in range(tasks)]
    values: dict[str, Any] = {
        "stream": "split-digits",
        "method": "ibm",
        "config": {"epochs": 2, "method": {}},
        "seed": 0,
        "environment": {"device": "cpu", "threads": 1},
        "stream_description": {"stream": "split-digits"},
        "dense_bytes": 400_000,
        "rows": rows,
        "tasks": [task_row(f"task {i}", accuracy=0.9, accuracy_now=0.9) for i in range(tasks)],
        "complete": True,
    }
    return Result(**(values | changes))


def empty_store(path: Path, shapes: dict[str, tuple[int, ...]] | None = None) -> StoreDirectory:
    shapes = shapes or SHAPES
    base = {name: torch.ones(shape) for name, shape in shapes.items()} | {"bias": torch.zeros(4)}
    return StoreDirectory.create(path, base, [TensorSpec.of(name, base[name]) for name in shapes], ["bias"])


def add(
    store: StoreDirectory,
    name: str,
    used: dict[str, Sequence[int]],
    claimed: dict[str, Sequence[int]],
    *,
    isolation: str = "shared",
    method: dict[str, Any] | None = None,
    **changes: Any,
) -> TaskRecord:
    """Commits a task that uses and claims the weights at these positions (C order), as `Task.commit` would."""
    own = _masks(store, claimed)
    values = {name: torch.arange(1.0, int(mask.sum()) + 1) for name, mask in own.items()}
    content = content_of(store.shared, _masks(store, used), own, values, {"bias": torch.zeros(4)})
    before = composed(store)
    shared = isolation == "shared"
    values: dict[str, Any] = {
        "name": name,
        "index": -1,
        "directory": "",
        "created": "",
        "isolation": isolation,
        "method": method or BUDGET,
        "head": None,
        "data": {},
        "metrics": {},
        "seconds": 2.0,
        "parents": before.parents(content.subnet) if shared else (),
        "layers": {
            spec.name: {
                "weights": spec.numel,
                "used": len(content.subnet.parts[spec.name].kept),
                "claimed": len(content.subnet.parts[spec.name].claimed),
                "nats": None,
                "ratio": None,
            }
            for spec in store.shared
        },
        "weights_sha256": digest_kept(before.resolve(content.subnet), content.private),
    }
    with store.lock():
        return store.append(TaskRecord(**(values | changes)), content)


def random_store(
    path: Path, tasks: int, *, claim: int = 2, reuse: int = 3, refine: int = 0, seed: int = 0, shapes: Any = None
) -> StoreDirectory:
    """A store whose tasks each claim some free weights (`refine` of them frozen ones) and reuse some others."""
    store = empty_store(path, shapes)
    generator = torch.Generator().manual_seed(seed)
    held: dict[str, set[int]] = {spec.name: set() for spec in store.shared}
    for number in range(tasks):
        used: dict[str, Sequence[int]] = {}
        claimed: dict[str, Sequence[int]] = {}
        for spec in store.shared:
            order = torch.randperm(spec.numel, generator=generator).tolist()
            free = [at for at in order if at not in held[spec.name]][:claim]
            old = [at for at in order if at in held[spec.name]]
            claimed[spec.name] = free + old[:refine]
            used[spec.name] = claimed[spec.name] + old[refine : refine + reuse]
            held[spec.name].update(free)
        add(store, f"task {number}", used, claimed)
    return store


def _masks(store: StoreDirectory, positions: dict[str, Sequence[int]]) -> dict[str, Tensor]:
    masks = {}
    for spec in store.shared:
        mask = torch.zeros(spec.numel, dtype=torch.bool)
        mask[list(positions.get(spec.name, ()))] = True
        masks[spec.name] = mask.reshape(spec.shape)
    return masks
