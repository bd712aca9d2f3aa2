"""States and values of weights, drawn: counts agree with the account, cells with the masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import narrows as nw
import toys
from narrows.analysis.picture import Picture, pooled_sums
from narrows.analysis.states import STATES, layer_states, magnitudes, states_of, walked_to
from narrows.errors import UnknownNameError
from narrows.store.compose import weights_of

REFINING = nw.IBM(new=0.1, reuse=0.3, prune_every=2)


def made(path, toy, method=REFINING, tasks=2):
    store = nw.TaskStore.create(path, toy.make(), head=toy.place)
    for number in range(tasks):
        toys.learn(store, f"t{number}", method, toy)
    return store


@pytest.mark.parametrize("kind", toys.TOYS)
def test_counts_of_states_are_those_of_the_account(kind, tmp_path):
    store = made(tmp_path / "s", toys.TOYS[kind])
    before = toys.files(store.path)
    for task in ("t0", "t1"):
        account = {layer.name: layer for layer in store.explain(task)}
        for found in layer_states(store, task):
            counts = dict(zip(STATES, found.counts, strict=True))
            layer = account[found.layer]
            assert sum(found.counts) == layer.weights == found.codes.numel()
            assert counts["claimed"] + counts["again"] == layer.claimed
            assert counts["reused"] == layer.reused
        for shown in magnitudes(store, task):
            assert shown.kept == account[shown.layer].used
    assert toys.files(store.path) == before


@pytest.mark.parametrize("name", ["independent", "finetune", "wsn", "supsup"])
def test_tasks_of_every_isolation_have_states(name, tmp_path):
    store = made(tmp_path / "s", toys.MLP, toys.METHODS[name])
    account = {layer.name: layer for layer in store.explain("t1")}
    for found in layer_states(store, "t1"):
        assert sum(found.counts[2:]) == account[found.layer].used


def test_a_weight_that_an_earlier_task_has_is_told_from_a_free_one(tmp_path):
    store = made(tmp_path / "s", toys.MLP)
    reader = store.directory
    first, second = (reader.subnet(name).claimed_masks() for name in ("t0", "t1"))
    codes = {found.layer: found.codes for found in states_of(walked_to(reader, "t1"))}
    for name, used in reader.subnet("t1").kept_masks().items():
        held = first[name]
        expected = {
            "free": ~used & ~held,
            "passed": ~used & held,
            "reused": used & ~second[name],
            "claimed": second[name] & ~held,
            "again": second[name] & held,
        }
        for code, state in enumerate(STATES):
            assert torch.equal(codes[name] == code, expected[state])
    assert any(bool((found == STATES.index("again")).any()) for found in codes.values())


def test_small_layers_are_drawn_weight_by_weight_and_large_ones_pooled(tmp_path):
    store = made(tmp_path / "s", toys.MLP)
    (found,) = (found for found in layer_states(store, "t1") if found.layer == "one.weight")
    assert found.cells().pixels.argmax(-1).tolist() == found.codes.tolist()
    pooled = found.cells(3, 2)
    assert pooled.shape == (3, 2, 5)
    assert pooled.values.sum(-1) == pytest.approx(np.ones((3, 2)), abs=0.02)


def test_values_are_those_of_the_loaded_network(tmp_path):
    store = made(tmp_path / "s", toys.MLP)
    values = weights_of(store.directory, "t1")[0]["one.weight"]
    (shown,) = magnitudes(store, "t1", layer="one.weight")
    assert shown.signed.values == pytest.approx(values.numpy(), abs=float(values.abs().max()) / 127)
    assert (shown.signed.pixels == 128)[values.numpy() == 0].all()
    kept = values[values != 0].abs()
    assert shown.quantiles[-1] == float(kept.max().double())


def test_sums_over_cells_lose_nothing():
    matrix = np.random.default_rng(0).normal(size=(37, 53))
    assert pooled_sums(matrix, 10, 7).shape == (10, 7)
    assert pooled_sums(matrix, 10, 7).sum() == pytest.approx(matrix.sum())
    assert np.array_equal(pooled_sums(matrix, 37, 60), matrix)


def test_a_picture_of_nothing_is_zero():
    assert Picture.signed(np.zeros((2, 2))).pixels.tolist() == [[128, 128], [128, 128]]
    assert Picture.of(np.zeros((2, 2)), 0, 0).values.tolist() == [[0, 0], [0, 0]]


def test_an_unknown_task_is_named_with_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="t1"):
        layer_states(made(tmp_path / "s", toys.MLP), "t11")
