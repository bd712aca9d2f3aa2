"""Batches that do not say how many they are, that come once, or in eval mode: said or saved, never guessed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

import narrows as nw
from checkpoints import Memory, stop_at
from narrows.errors import ConfigError, DataError, Interrupted
from toys import MLP, TOYS, same, state
from trainings import training

METHOD = nw.IBM(density=0.4, prune_every=2)
X, Y = MLP.batch(16, 3)


class Stream(IterableDataset[Any]):
    """Examples with noise, and a count of the passes."""

    def __init__(self) -> None:
        self.passes = 0

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        return ((x + 0.1 * torch.randn(()), y) for x, y in zip(X, Y, strict=True))


@pytest.fixture
def store(tmp_path: Path) -> nw.TaskStore:
    return nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)


def train(store: nw.TaskStore, batches: Any, **options: Any) -> tuple[dict[str, Any], nw.Fit]:
    torch.manual_seed(1)
    with store.begin("new", METHOD, head=MLP.head(3)) as task:
        fit = task.fit(batches, training(3, options), **options)
        return state(task.model), fit


def test_a_stream_is_passed_over_once_an_epoch_where_its_length_is_said(store: nw.TaskStore) -> None:
    stream = Stream()
    weights, fit = train(store, DataLoader(stream, 4), steps_per_epoch=4)
    assert (stream.passes, fit.steps) == (3, 12)
    counted = Stream()
    with pytest.warns(UserWarning, match=r"passed over once to count them: 4\. Say steps_per_epoch=4"):
        again, _ = train(store, DataLoader(counted, 4))
    assert counted.passes == 4
    assert same(again, weights)  # counting disturbs nothing


def test_an_endless_stream_is_drawn_on(store: nw.TaskStore) -> None:
    drawn: list[int] = []

    def endless() -> Iterator[Any]:
        while True:
            drawn.append(len(drawn))
            yield X[len(drawn) % 4 :: 4], Y[len(drawn) % 4 :: 4]

    assert train(store, endless(), steps_per_epoch=5)[1].steps == 15
    assert len(drawn) == 15


class Once(Stream):
    """A data set whose examples come once."""

    def __init__(self) -> None:
        super().__init__()
        self.left = iter(list(zip(X, Y, strict=True)))

    def __iter__(self) -> Iterator[Any]:
        return self.left


def test_a_stream_that_comes_once_is_said_to_be(store: nw.TaskStore) -> None:
    with pytest.raises(DataError, match="Epoch 2 has no batch"):
        train(store, DataLoader(Once(), 4), steps_per_epoch=4)
    with pytest.raises(DataError, match=r"no batch.*steps_per_epoch"), pytest.warns(UserWarning, match="count"):
        train(store, DataLoader(Once(), 4))
    with pytest.warns(UserWarning, match="After epoch 3 of 3 training has taken 5 steps"):  # it ends in the last epoch
        assert train(store, iter([(X, Y)] * 5), steps_per_epoch=2)[1].steps == 5


@pytest.mark.parametrize("steps", [0, -1])
def test_an_epoch_has_a_step(store: nw.TaskStore, steps: int) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        train(store, [(X, Y)], steps_per_epoch=steps)


def test_what_comes_once_cannot_be_gone_on_with_or_measured_first(store: nw.TaskStore) -> None:
    with pytest.raises(ConfigError, match="an iterator gives them once"):
        train(store, iter([(X, Y)] * 9), steps_per_epoch=3, checkpoint=Memory())
    method = nw.IBM(beta=1e-5, ratio="features", prune_every=2)
    with store.begin("new", method, head=MLP.head(3)) as task, pytest.raises(ConfigError, match="not an iterator"):
        task.fit(iter([(X, Y)] * 9), nw.Training(3, steps_per_epoch=3, examples=16, batch_size=16))


@pytest.mark.parametrize("stop", [4, 6])
def test_a_stream_of_a_length_that_is_said_is_gone_on_with(store: nw.TaskStore, stop: int) -> None:
    expected, fit = train(store, DataLoader(Stream(), 4), steps_per_epoch=4)
    memory = Memory()
    with pytest.raises(Interrupted):
        train(
            store,
            DataLoader(Stream(), 4),
            steps_per_epoch=4,
            checkpoint=memory,
            callbacks=[stop_at(stop, Interrupted)],
        )
    again, resumed = train(store, DataLoader(Stream(), 4), steps_per_epoch=4, checkpoint=memory)
    assert same(again, expected)
    assert resumed.losses == fit.losses


NORM = TOYS["batchnorm"]


def statistics(model: nn.Module) -> dict[str, Any]:
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


def test_a_frozen_batchnorm_keeps_its_statistics_to_the_bit(tmp_path: Path) -> None:
    network = NORM.make()
    network(NORM.batch(64, 3)[0])  # statistics that are not those of a new layer
    store = nw.TaskStore.create(tmp_path / "s", network, head="head")
    batches = [NORM.batch(8, 3, seed) for seed in (1, 2)]
    with store.begin("new", METHOD, head=NORM.head(3)) as task:
        task.model.norm.eval()
        before = statistics(task.model)
        task.fit(batches, nw.Training(4, patience=2), valid=batches)
        task.fit(batches, nw.Training(2))
        assert same(statistics(task.model), before)
        task.commit()
    assert same(statistics(store.load("new")), before)


def test_a_batchnorm_frozen_before_the_store_was_made_stays_so_and_an_evaluated_network_is_trained(
    tmp_path: Path,
) -> None:
    for name, evaluated in (("frozen", False), ("evaluated", True)):
        network = NORM.make()
        network.norm.eval()
        store = nw.TaskStore.create(tmp_path / name, network.eval() if evaluated else network, head="head")
        with store.begin("new", METHOD, head=NORM.head(3)) as task:
            assert task.model.training
            task.fit([NORM.batch(8, 3)], nw.Training(4))
            assert int(task.model.norm.num_batches_tracked) == (4 if evaluated else 0)


def test_a_checkpoint_is_of_the_layers_that_were_frozen(tmp_path: Path) -> None:
    store, memory = nw.TaskStore.create(tmp_path / "s", NORM.make(), head=NORM.place), Memory()

    def fit(*, frozen: bool, callbacks: Any = ()) -> int:
        with store.begin("new", METHOD, head=NORM.head(3)) as task:
            if frozen:
                task.model.norm.eval()
            return task.fit([NORM.batch(8, 3)], nw.Training(4), checkpoint=memory, callbacks=callbacks).steps

    with pytest.raises(Interrupted):
        fit(frozen=True, callbacks=[stop_at(2, Interrupted)])
    with pytest.raises(ConfigError, match=r"in eval mode was \[\"norm\"\] and is null"):
        fit(frozen=False)
    assert fit(frozen=True) == 4
