"""Makes tests/golden/store-v1, a small store of format version 1; deterministic to the last tensor byte.

    PYTHONPATH=src python tests/golden/make_store_v1.py

Never run it over the kept store: that store is what every later narrows must still read.
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

import torch

from narrows.store import StoreDirectory, TaskContent, TaskRecord, TensorSpec


def base() -> dict[str, torch.Tensor]:
    return {
        "conv.weight": (torch.arange(12).reshape(2, 3, 1, 2) - 6).to(torch.bfloat16) / 4,
        "fc.weight": torch.arange(20, dtype=torch.float32).reshape(4, 5) / 8 - 1,
        "fc.bias": torch.arange(4, dtype=torch.float32) / 2,
        "bn.num_batches_tracked": torch.tensor(7),
    }


def first() -> TaskContent:
    used = {
        "conv.weight": (torch.arange(12) % 3 == 0).reshape(2, 3, 1, 2),  # elements 0 3 6 9
        "fc.weight": (torch.arange(20) < 10).reshape(4, 5),  # elements 0 to 9
    }
    values = {
        "conv.weight": (torch.arange(4) + 1).to(torch.bfloat16) / 8,
        "fc.weight": torch.arange(10, dtype=torch.float32) * 3 - 2,
    }
    private = {
        "fc.bias": torch.arange(4, dtype=torch.float32) - 0.5,
        "bn.num_batches_tracked": torch.tensor(1234567890123),
        "flags": torch.tensor([True, False, True]),
    }
    return TaskContent(used, dict(used), values, private)


def second() -> TaskContent:
    used = {
        "conv.weight": (torch.arange(12) == 3).reshape(2, 3, 1, 2),  # reused from the first
        "fc.weight": ((torch.arange(20) % 2 == 0) & (torch.arange(20) > 5)).reshape(4, 5),  # 6 8 ... 18
    }
    claimed = {
        "conv.weight": torch.zeros(2, 3, 1, 2, dtype=torch.bool),
        "fc.weight": used["fc.weight"] & (torch.arange(20) >= 10).reshape(4, 5),  # 10 12 14 16 18
    }
    values = {"fc.weight": torch.arange(5, dtype=torch.float32) / 16 + 100}
    return TaskContent(used, claimed, values, {"fc.bias": torch.full((4,), -0.0)})


def record(name: str, digest: str, parents: tuple[str, ...]) -> TaskRecord:
    return TaskRecord(
        name=name,
        index=-1,
        directory="",
        created="",
        isolation="shared",
        method={"name": "wsn", "config": {"density": 0.25}},
        head={"at": "fc", "classes": 4},
        data={"examples": 128},
        metrics={"accuracy": 0.75},
        seconds=1.5,
        parents=parents,
        layers={"fc.weight": {"used": 10}},
        weights_sha256=digest * 64,
    )


def make(path: Path) -> None:
    tensors = base()
    shared = [TensorSpec.of(name, tensors[name]) for name in ("conv.weight", "fc.weight")]
    with mock.patch("narrows.store.records.utc_now", return_value="2026-01-02T03:04:05+00:00"):
        store = StoreDirectory.create(path, tensors, shared, ["*.bias", "bn.*"])
        with store.lock():
            store.append(record("first", "a", ()), first())
            scores = {"fc.weight": torch.arange(20, dtype=torch.float32).reshape(4, 5)}
            store.append(record("Größe 二", "b", ("first",)), second(), carry=scores)
    (path / ".lock").unlink(missing_ok=True)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "store-v1")
