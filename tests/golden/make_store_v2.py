"""Makes stores of format version 2 with every optional part; deterministic to the last byte but for zstd's.

    PYTHONPATH=src:tests python tests/golden/make_store_v2.py FOLDER VERSION

FOLDER is tests/golden/store-v2 for VERSION 1 of task.json, whose digest is of the whole network, and
tests/golden/store-v2-kept for VERSION 2, whose digest is of what the task consists of.

It has a model, a snapshot, a checkpoint, training state, masks in each way there is, a task that refines, one with a
network of its own, one that is overwritten by design, and a task that took weights over from one that was forgotten.
Never run it over a kept store: that store is what every later narrows must still read. What made
the stores of version 1 can write them no more and is in this folder's history.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch

from narrows.store import StoreDirectory, TaskContent, TaskRecord, TensorSpec
from narrows.store.compose import composed, digest_of
from narrows.subnet import Composition
from subnets import content_of

MODEL = {"factory": "shop.models:network", "options": {"width": 5, "names": ["Größe", None]}}
TREE = {"step": 7, "rate": float("nan"), "losses": [0.5, [1, "二"]], "weights": {"a": torch.ones(2, 2)}}
SPECS = (
    TensorSpec("conv.weight", (2, 3, 1, 2), "bfloat16"),
    TensorSpec("fc.weight", (4, 5), "float32"),
    TensorSpec("wide.weight", (40, 50), "float32"),
)


def base() -> dict[str, torch.Tensor]:
    shared = {spec.name: torch.arange(spec.numel).reshape(spec.shape).to(spec.torch_dtype()) / 4 - 1 for spec in SPECS}
    return shared | {"fc.bias": torch.arange(4.0), "bn.num_batches_tracked": torch.tensor(7)}


def content(kept: dict[str, list[int]], claimed: dict[str, list[int]], value: float) -> TaskContent:
    """A task that keeps and claims these positions, at value, value + 1, ...; in parameters not named, nothing."""

    def masks(positions: dict[str, list[int]]) -> dict[str, torch.Tensor]:
        return {
            spec.name: torch.isin(torch.arange(spec.numel), torch.tensor(positions.get(spec.name, []))).reshape(
                spec.shape
            )
            for spec in SPECS
        }

    values = {
        spec.name: (torch.arange(len(claimed.get(spec.name, []))) + value).to(spec.torch_dtype()) for spec in SPECS
    }
    private = {"fc.bias": torch.full((4,), value), "flags": torch.tensor([True, False])}
    return content_of(SPECS, masks(kept), masks(claimed), values, private)


EVERYTHING = {spec.name: list(range(spec.numel)) for spec in SPECS}
SPARSE = {"conv.weight": [0, 3, 6, 9], "fc.weight": list(range(10)), "wide.weight": [1, 2, 700, 701, 1999]}
SECOND_KEPT = {"conv.weight": [3], "fc.weight": [6, 8, 10, 12, 14, 16, 18], "wide.weight": [2, 5, 700, 1500]}
SECOND_OWN = {"fc.weight": [10, 12, 14, 16, 18], "wide.weight": [5, 1500]}
THIRD_KEPT = {"conv.weight": [3, 9], "fc.weight": [8, 10, 12, 19], "wide.weight": [1, 2, 5, 6]}
THIRD_OWN = {"fc.weight": [12, 19], "wide.weight": [5, 6]}


def make(path: Path, version: int) -> None:
    """A store at `path`, its tasks of this version of task.json."""
    with (
        mock.patch("narrows.store.records.utc_now", return_value="2026-01-02T03:04:05+00:00"),
        mock.patch("narrows.store.snapshot.EVERY", 4),
    ):
        store = StoreDirectory.create(path, base(), SPECS, ["*.bias", "bn.*"], MODEL)

        def append(name: str, given: TaskContent, isolation: str = "shared", method: str = "wsn") -> None:
            before = composed(store) if isolation == "shared" else Composition(store.shared)
            record = TaskRecord(
                name=name,
                index=-1,
                directory="",
                created="",
                isolation=isolation,
                method={"name": method, "config": {"density": 0.25}},
                head={"at": "fc", "classes": 4},
                data={"examples": 128},
                metrics={"accuracy": 0.75},
                seconds=1.5,
                parents=before.parents(given.subnet),
                layers={},
                weights_sha256="",
                version=version,
            )
            record = replace(record, weights_sha256=digest_of(record, before.resolve(given.subnet), given.private))
            carry = {"fc.weight": torch.arange(20.0)} if method == "ewc" else None
            store.append(record, given, carry=carry)

        with store.lock():
            append("first", content(SPARSE, SPARSE, 3))
            append("Größe 二", content(SECOND_KEPT, SECOND_OWN, 100))
            append("third", content(THIRD_KEPT, THIRD_OWN, -9))
            append("own", replace(content(EVERYTHING, EVERYTHING, 0.5), private={}), "own", "independent")
            append("overwriting", content(EVERYTHING, EVERYTHING, 2), "none", "ewc")
            store.forget("first")
            store.checkpoint("next").save(TREE)
    (path / ".lock").unlink(missing_ok=True)


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
