"""Files of another store, behind hashes that fit, are not served: loading compares the digest of the commit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import narrows as nw
from narrows.errors import DamagedStoreError
from narrows.store import change, commit, tensors_file
from narrows.tasks import TaskStore
from toys import METHODS, TOYS, learn

TOY = TOYS["mlp"]


def swap_private(store: TaskStore, name: str) -> None:
    """Other private tensors for the task, as somebody may put them who can compute every hash."""
    ours = store.directory
    with ours.lock():
        private = {
            key: tensor + 1 if tensor.is_floating_point() else tensor for key, tensor in ours.private_of(name).items()
        }
        blobs = ours.blobs(name) | {"private.safetensors": tensors_file.encode(private, "private")}
        record, files = change.encode_task(ours.record(name), blobs, 77)
        tasks = tuple(change.ref_of(record, files) if ref.name == name else ref for ref in ours.header.tasks)
        forged = replace(ours.header, tasks=tasks, next_index=78)
        commit.apply(ours.path, ours.header, change.StoreChange(forged, {record.directory: files}))
    ours.reload()


@pytest.mark.parametrize("method", [nw.IBM(density=0.3, prune_every=2), METHODS["independent"], METHODS["finetune"]])
def test_swapped_private_tensors_are_not_served(tmp_path: Path, method: nw.Method) -> None:
    store = TaskStore.create(tmp_path / "s", TOY.make(), head=TOY.place)
    learn(store, "first", nw.IBM(density=0.3, prune_every=2))
    learn(store, "task", method)
    swap_private(store, "task")
    assert store.verify() == []
    with pytest.raises(DamagedStoreError, match="weights with which 'task' was committed"):
        store.load("task")
    assert isinstance(store.load("first"), torch.nn.Module)
