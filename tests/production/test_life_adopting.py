"""Adopting a trained network on a user's own data: what it keeps, what it doubts, and that it can be interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import shop_data
from checkpoints import stop_at
from narrows.data import DataOptions, make_batches, read_training
from narrows.errors import DataError, TaskExistsError
from narrows.networks import mlp
from narrows.production import adopt, init, predict, verify_outputs
from narrows.training import Training

SHORT = Training(4, lr=3e-3, batch_size=8)
MLP = {"input_shape": [1, 6, 6], "classes": 2, "hidden": [24]}


def trained(data: Path, where: Path, epochs: int = 20) -> Path:
    """A network trained on those data, as a file of weights."""
    schema, examples = read_training(data)
    model = mlp((1, 6, 6), 2, (24,))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(epochs):
        for x, y in make_batches(schema, examples, 8, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    torch.save(model.state_dict(), where)
    return where


def test_a_trained_network_is_adopted_and_leaves_room(tmp_path):
    data = shop_data.images(tmp_path / "photos")
    weights = trained(data, tmp_path / "w.pt")
    store = init(tmp_path / "store", "narrows.networks:mlp", MLP, weights=weights)
    found = adopt(store, "light", data, density=0.2, training=SHORT)
    assert (found.before, found.after) == (1, 1)
    assert found.freed == pytest.approx(0.8, abs=0.01)
    assert not found.doubts
    assert "validation" not in found.record.metrics
    assert set(predict(store, "light", data).labels) == {"bright", "dark"}
    assert verify_outputs(store)[0].verdict == "same"
    with pytest.raises(TaskExistsError, match="Only an empty store can adopt"):
        adopt(store, "again", data)


def test_an_adopted_task_keeps_its_figures_on_validation_data(tmp_path):
    data = shop_data.images(tmp_path / "photos")
    store = init(tmp_path / "store", "narrows.networks:mlp", MLP, weights=trained(data, tmp_path / "w.pt"))
    kept = adopt(store, "light", data, valid=data, density=0.2, training=SHORT).record
    assert kept.metrics["validation"]["accuracy"] == kept.metrics["after"] == 1
    assert "validation" not in kept.data


def test_an_adopted_network_with_its_classes_in_another_order_is_doubted(tmp_path):
    data = shop_data.images(tmp_path / "photos")
    weights = trained(data, tmp_path / "w.pt")
    store = init(tmp_path / "store", "narrows.networks:mlp", MLP, weights=weights)
    swapped = DataOptions(classes=("dark", "bright"))
    found = adopt(store, "light", data, options=swapped, training=Training(1, lr=3e-3, batch_size=8))
    assert found.before == 0
    assert "its classes in another order" in found.doubts[0]


def test_a_head_of_another_size_is_not_adopted(tmp_path):
    store = init(tmp_path / "store", "narrows.networks:mlp", MLP, head="head")
    with pytest.raises(DataError, match="2 outputs and the data have 3"):
        adopt(store, "level", shop_data.arrays(tmp_path / "x.npz"))
    assert not store.tasks()


def test_an_interrupted_adoption_goes_on_to_the_same_weights(tmp_path):
    data = shop_data.images(tmp_path / "photos")
    weights = trained(data, tmp_path / "w.pt", epochs=3)
    options = {"density": 0.2, "training": SHORT, "options": DataOptions(holdout=0.25)}
    stores = [init(tmp_path / name, "narrows.networks:mlp", MLP, weights=weights) for name in ("whole", "parts")]
    expected = adopt(stores[0], "light", data, **options)
    with pytest.raises(KeyboardInterrupt):
        adopt(stores[1], "light", data, **options, callbacks=[stop_at(5)])
    found = adopt(stores[1], "light", data, **options)
    assert found.resumed
    assert found.record.weights_sha256 == expected.record.weights_sha256
    assert (found.before, found.after) == (expected.before, expected.after)
