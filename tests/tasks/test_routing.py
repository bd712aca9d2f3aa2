"""An input of unknown task: which task it is given to, and what cannot be ranked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import narrows as nw
from narrows.errors import ConfigError, DataError, RoutingError, UnknownNameError
from narrows.tasks.confidence import CannotBeRanked, confidence
from toys import MLP, TOYS, Toy, learn, same, state
from trainings import training

METHOD = nw.IBM(density=0.4, prune_every=2)
NORM = TOYS["batchnorm"]


def store_of(tmp_path: Path, toy: Toy, **tasks: int) -> nw.TaskStore:
    store = nw.TaskStore.create(tmp_path / "store", toy.make(), head=toy.place)
    for name, classes in tasks.items():
        learn(store, name, METHOD, toy, classes)
    return store


def entropy(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.distributions.Categorical(logits=model(x)).entropy()


def test_tasks_are_ranked_by_the_entropy_of_their_outputs(tmp_path: Path) -> None:
    store, (x, _) = store_of(tmp_path, MLP, two=2, three=3, seven=7), MLP.batch(5, 2)
    routing = store.route(x)
    expected = {
        name: 1 - entropy(store.load(name), x) / math.log(classes)
        for name, classes in {"two": 2, "three": 3, "seven": 7}.items()
    }
    assert [score for _, score in routing.ranking] == sorted((score for _, score in routing.ranking), reverse=True)
    for name, score in routing.ranking:
        assert math.isclose(score, float(expected[name].mean()), abs_tol=1e-6)
    assert routing.best == max(expected, key=lambda name: float(expected[name].mean())) == routing.ranking[0][0]
    assert routing.margin == routing.ranking[0][1] - routing.ranking[1][1]
    singly = [max(expected, key=lambda name: float(expected[name][example])) for example in range(5)]
    assert list(routing.examples) == singly
    assert (routing.left_out, routing.by) == ({}, "entropy")


def test_an_example_goes_where_it_would_go_alone(tmp_path: Path) -> None:
    store, (x, _) = store_of(tmp_path, NORM, a=2, b=3, c=3), NORM.batch(6, 2)
    for by in ("entropy", "statistics"):
        together = store.route(x, by=by)
        assert together.examples == tuple(store.route(row[None], by=by).best for row in x)


def test_a_mixed_batch_is_ranked_by_the_shares_of_its_examples(tmp_path: Path) -> None:
    store, (x, _) = store_of(tmp_path, MLP, a=2, b=3, c=3), MLP.batch(8, 2)
    routing = store.route(x, batch=False)
    assert routing.examples == store.route(x).examples
    assert dict(routing.ranking) == {name: routing.examples.count(name) / 8 for name in ("a", "b", "c")}


def test_statistics_tell_tasks_apart_by_their_inputs(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", NORM.make(), head=NORM.place)
    for shift, name in enumerate(("a", "b", "c")):
        x, y = NORM.batch(32, 2)
        with store.begin(name, METHOD, head=NORM.head(2)) as task:
            task.fit([(x + 3 * shift, y)], nw.Training(25))
            task.commit()
    for shift, name in enumerate(("a", "b", "c")):
        routing = store.route(NORM.batch(16, 2, seed=9)[0] + 3 * shift, by="statistics")
        assert routing.best == name
        assert routing.ranking[0][1] <= 0


def test_images_and_vectors_have_statistics(tmp_path: Path) -> None:
    toy = TOYS["grouped"]
    store = store_of(tmp_path, toy, a=2, b=2)
    x, _ = toy.batch(4, 2)
    routing = store.route(x, by="statistics")
    norm = store.load(routing.best)
    with torch.no_grad():
        seen = norm.one(x)
    mean, deviation = seen.mean((0, 2, 3)), seen.std((0, 2, 3), correction=0)
    layer = norm.norm
    gap = (mean - layer.running_mean) ** 2 + (deviation - layer.running_var.sqrt()) ** 2
    assert math.isclose(-routing.ranking[0][1], float((gap / (layer.running_var + layer.eps)).mean()), rel_tol=1e-4)


def test_what_has_no_softmax_is_left_out_with_the_reason(tmp_path: Path) -> None:
    store = store_of(tmp_path, MLP, a=2, b=3)
    learn_as(store, "price", 1, loss=lambda out, _: out.square().mean())
    learn_as(store, "tags", 4, data={"schema": {"target": {"kind": "multilabel"}}})
    learn_as(store, "sizes", 4, data={"kind": "regression"})
    x, _ = MLP.batch(3, 2)
    routing = store.route(x)
    assert {name for name, _ in routing.ranking} == {"a", "b"}
    assert routing.left_out == {
        "price": "it gives outputs (3, 1) and not the logits of two classes or more",
        "tags": "it is multi-label, which has no softmax",
        "sizes": "it is a regression, which has no softmax",
    }
    with pytest.raises(RoutingError, match=r"Of 2 tasks 1 can be ranked, and two are needed\. 'price' is left out: it"):
        store.route(x, names=["a", "price"])
    with pytest.raises(RoutingError, match=r"Of 5 tasks 0 .* no BatchNorm with running statistics"):
        store.route(x, by="statistics")


def learn_as(store: nw.TaskStore, name: str, outputs: int, data: Any = None, **options: Any) -> None:
    x, y = MLP.batch(8, outputs)
    with store.begin(name, METHOD, head=MLP.head(outputs)) as task:
        task.fit([(x, y)], training(6, options), **options)
        task.commit(data=data)


def test_a_head_that_the_store_cannot_build_is_given_or_left_out(tmp_path: Path) -> None:
    store = store_of(tmp_path, MLP, a=2, b=3)
    head = nn.Sequential(nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 2))
    with store.begin("made", METHOD, head=head) as task:
        task.fit([MLP.batch(8, 2)], nw.Training(6))
        task.commit()
    x, _ = MLP.batch(3, 2)
    assert store.route(x).left_out == {"made": "the store cannot build its head; give networks={'made': ...}"}
    routing = store.route(x, networks={"made": store.load("made", head=head)})
    assert {name for name, _ in routing.ranking} == {"a", "b", "made"}


def test_networks_loaded_before_are_used_and_left_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, (x, _) = store_of(tmp_path, NORM, a=2, b=3), NORM.batch(8, 2)
    networks = {name: store.load(name).train() for name in ("a", "b")}
    before = {name: state(network) for name, network in networks.items()}
    expected = store.route(x)
    monkeypatch.setattr(nw.TaskStore, "load", None)
    assert store.route(x, networks=networks) == expected
    for name, network in networks.items():
        assert same(state(network), before[name])
        assert all(module.training for module in network.modules())
        assert not any(module._forward_pre_hooks for module in network.modules())


def test_nothing_to_choose_between(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    x, _ = MLP.batch(3, 2)
    with pytest.raises(RoutingError, match=r"nothing to choose between: no task\. Two tasks are needed"):
        store.route(x)
    learn(store, "first", METHOD)
    with pytest.raises(RoutingError, match="only 'first'"):
        store.route(x)
    learn(store, "second", METHOD)
    with pytest.raises(RoutingError, match="only 'second'"):
        store.route(x, names=["second"])
    with pytest.raises(UnknownNameError, match="no task 'secnod': did you mean 'second'"):
        store.route(x, names=["first", "secnod"])
    with pytest.raises(ConfigError, match="'entropy' or 'statistics'; got 'energy'"):
        store.route(x, by="energy")


def test_input_that_a_network_cannot_take(tmp_path: Path) -> None:
    store = store_of(tmp_path, MLP, a=2, b=3)
    for x in (torch.zeros(3, 5), torch.zeros(3, 6, dtype=torch.long), {"words": torch.zeros(3)}, "text"):
        with pytest.raises(DataError, match=r"network of task 'a' cannot take the input .* names=\["):
            store.route(x)
    with pytest.raises(DataError, match="task 'a' gives NaN or infinite values"):
        store.route(torch.full((3, 6), torch.nan))
    with pytest.raises(DataError, match="no example to route"):
        store.route(torch.zeros(0, 6))


def test_confidence_compares_heads_of_different_sizes() -> None:
    for classes in (2, 5, 100):
        assert confidence(torch.zeros(3, classes)).batch == pytest.approx(0, abs=1e-6)
        assert confidence(torch.eye(classes) * 1e4).batch == 1
    assert confidence(torch.tensor([[0.0, -torch.inf]])).batch == 1
    pixels = torch.randn(2, 3, 4, 4)
    flat = confidence(pixels.permute(0, 2, 3, 1).reshape(-1, 3)).examples.reshape(2, 16).mean(1)
    assert torch.allclose(confidence(pixels).examples, flat)
    for outputs in (torch.zeros(3), torch.zeros(3, 1), [torch.zeros(3, 2)]):
        with pytest.raises(CannotBeRanked):
            confidence(outputs)
