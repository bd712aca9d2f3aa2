"""Makes tests/golden/store-v1-full, with every optional part of version 1; deterministic to the last tensor byte.

    PYTHONPATH=src python tests/golden/make_store_v1_full.py

It has a model, a snapshot, a checkpoint, training state, a task that refines, one with a network of its own, one that
is overwritten by design, and a task that took weights over from one that was forgotten. Never run it over the kept
store: that store is what every later narrows must still read.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch
from make_store_v1 import base, first, record, second

from narrows.store import StoreDirectory, TaskContent, TensorSpec
from narrows.store.compose import Frozen, digest, frozen_weights

MODEL = {"factory": "shop.models:network", "options": {"width": 5, "names": ["Größe", None]}}
TREE = {
    "step": 7,
    "rate": float("nan"),
    "done": False,
    "best": None,
    "losses": [0.5, float("inf"), [1, "二"]],
    "weights": {"fc.weight": torch.arange(4, dtype=torch.bfloat16).reshape(2, 2), "count": torch.tensor(3)},
}


def third() -> TaskContent:
    """Reuses weights of both, and refines element 12 of fc.weight."""
    used = {
        "conv.weight": (torch.arange(12) % 6 == 3).reshape(2, 3, 1, 2),  # elements 3 9
        "fc.weight": torch.isin(torch.arange(20), torch.tensor([8, 10, 12, 19])).reshape(4, 5),
    }
    claimed = {"fc.weight": torch.isin(torch.arange(20), torch.tensor([12, 19])).reshape(4, 5)}
    return TaskContent(used, claimed, {"fc.weight": torch.tensor([-1.0, -2.0])}, {"fc.bias": torch.ones(4)})


def whole(value: float) -> TaskContent:
    """Every weight, each of the same value, for a task that shares none."""
    used = {"conv.weight": torch.ones(2, 3, 1, 2).bool(), "fc.weight": torch.ones(4, 5).bool()}
    values = {"conv.weight": torch.full((12,), value, dtype=torch.bfloat16), "fc.weight": torch.full((20,), value)}
    return TaskContent(used, dict(used), values, {})


def make(path: Path) -> None:
    tensors = base()
    shared = [TensorSpec.of(name, tensors[name]) for name in ("conv.weight", "fc.weight")]
    with (
        mock.patch("narrows.store.records.utc_now", return_value="2026-01-02T03:04:05+00:00"),
        mock.patch("narrows.store.snapshot.EVERY", 4),
    ):
        store = StoreDirectory.create(path, tensors, shared, ["*.bias", "bn.*"], MODEL)

        def append(name: str, content: TaskContent, isolation: str = "shared", method: str = "wsn") -> None:
            frozen = frozen_weights(store) if isolation == "shared" else Frozen.nothing(store.shared)
            claimed = {key: content.claimed.get(key, torch.zeros_like(mask)) for key, mask in content.used.items()}
            given = TaskContent(content.used, claimed, content.values, content.private)
            parents = frozen.parents(content.used, claimed) if isolation == "shared" else ()
            made = record(name, "0", parents)
            filled = replace(made, isolation=isolation, weights_sha256=digest(frozen.bake(given), content.private))
            carry = {"fc.weight": torch.arange(20, dtype=torch.float32)} if method == "ewc" else None
            store.append(replace(filled, method={"name": method, "config": {}}), given, carry=carry)

        with store.lock():
            append("first", first())
            append("Größe 二", second())
            append("third", third())
            append("own", whole(0.5), "own", "independent")
            append("overwriting", whole(2.0), "none", "ewc")
            store.forget("first")
            store.progress("next").save(TREE)
    (path / ".lock").unlink(missing_ok=True)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "store-v1-full")
