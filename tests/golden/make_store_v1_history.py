"""Makes tests/golden/store-v1-history: a task with the optional `history`, and one without; deterministic.

    PYTHONPATH=src python tests/golden/make_store_v1_history.py

Never run it over the kept store: that store is what every later narrows must still read.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

from make_store_v1 import base, first, record, second

from narrows.store import StoreDirectory, TensorSpec
from narrows.store.compose import digest, frozen_weights

HISTORY = {
    "version": 1,
    "steps": 120,
    "total_steps": 120,
    "epochs": 3,
    "examples": 2560,
    "batch_size": 64,
    "optimizer": "AdamW",
    "lr": 0.006,
    "cosine": True,
    "prune_from": 6,
    "prune_until": 72,
    "every": 32,
    "loss": "2.303,.8125,-,1.5e-05",
    "rate": ".006,.004,.002,6e-06",
    "new": "1,.5,.25,",
    "reused": "0,,,.125",
    "log_alpha_every": 64,
    "log_alpha": "-30,-4,-2.5,-1,-.5,-6,-5,-4,-3,-.25",
    "scores_every": 1,
    "scores": ".5,-,.75",
    "best_epoch": 2,
    "of a later narrows": {"colour": "blue"},
}


def make(path: Path) -> None:
    tensors = base()
    shared = [TensorSpec.of(name, tensors[name]) for name in ("conv.weight", "fc.weight")]
    with mock.patch("narrows.store.records.utc_now", return_value="2026-01-02T03:04:05+00:00"):
        store = StoreDirectory.create(path, tensors, shared, ["*.bias", "bn.*"])
        with store.lock():
            for name, content, history in (("first", first(), HISTORY), ("second", second(), None)):
                frozen = frozen_weights(store)
                parents = frozen.parents(content.used, content.claimed)
                whole = digest(frozen.bake(content), content.private)
                store.append(replace(record(name, "0", parents), weights_sha256=whole, history=history), content)
    (path / ".lock").unlink(missing_ok=True)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "store-v1-history")
