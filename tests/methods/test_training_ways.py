"""Every method under autocast, a scaled loss, clipping, accumulation: isolated to the bit, gone on with exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import narrows as nw
from checkpoints import Memory, stop_at
from toys import METHODS, MLP, learn, same, state, violations

WAYS: dict[str, dict[str, Any]] = {
    "bfloat16": {"amp": "bfloat16"},
    "float16": {"amp": "float16", "clip": 1.0},
    "accumulate": {"accumulate": 3},
    "clip": {"clip": 0.1},
}
BATCHES = [MLP.batch(8, 3, seed) for seed in range(5)]
EPOCHS, STOP = 4, 5


def train(store: nw.TaskStore, method: nw.Method, way: str, checkpoint: Any = None, **options: Any) -> dict[str, Any]:
    training = nw.Training(
        EPOCHS,
        lr=0.02,
        optimizer=torch.optim.AdamW,
        options={"weight_decay": 0.1},
        examples=40,
        batch_size=8,
        **WAYS[way],
    )
    with store.begin("new", method, head=MLP.head(3)) as task:
        calls = [lambda _: broken.extend(violations(task)), *options.pop("callbacks", ())]
        broken: list[str] = []
        try:
            fit = task.fit(BATCHES, training, checkpoint=checkpoint, callbacks=calls)
        finally:
            assert not broken
        assert fit.steps + fit.skipped == EPOCHS * (2 if "accumulate" in WAYS[way] else 5)
        if options.get("commit"):
            task.commit()
        return state(task.model)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", METHODS)
def test_older_tasks_stay_and_training_goes_on_exactly(tmp_path: Path, name: str, way: str) -> None:
    method = METHODS[name]
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    learn(store, "old", method)
    older = state(store.load("old"))
    memory = Memory()
    torch.manual_seed(1)
    with pytest.raises(KeyboardInterrupt):
        train(store, method, way, memory, callbacks=[stop_at(STOP)])
    torch.manual_seed(9)
    resumed = train(store, method, way, memory)
    torch.manual_seed(1)
    assert same(train(store, method, way, commit=True), resumed)
    assert same(state(store.load("new")), resumed)
    if method.isolation != "none":
        assert same(state(store.load("old")), older)
