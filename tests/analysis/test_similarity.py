"""Linear CKA: 1 for the same up to rotation and scale, 0 for what has nothing in common, whatever the width."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import narrows as nw
import toys
from narrows.analysis.labelled import Labelled
from narrows.analysis.similarity import cka, evenly, features, gram, similarity


def test_features_without_anything_in_common_are_near_zero_even_when_wide():
    draw = torch.Generator().manual_seed(0)
    grams = [gram(torch.randn(128, 1000, generator=draw)) for _ in range(3)]
    found = cka(grams)
    assert torch.equal(found, found.T)
    assert found.diagonal().tolist() == pytest.approx([1, 1, 1])
    assert float((found - torch.eye(3)).abs().max()) < 0.05


def test_constant_features_are_not_compared():
    draw = torch.Generator().manual_seed(0)
    found = cka([gram(torch.randn(16, 3, generator=draw)), gram(torch.ones(16, 3))])
    assert found[0, 0] == pytest.approx(1)
    assert torch.isnan(found[0, 1])
    assert torch.isnan(found[1, 1])


@pytest.mark.parametrize("kind", toys.TOYS)
def test_every_network_has_features(kind, tmp_path):
    toy = toys.TOYS[kind]
    store = nw.TaskStore.create(tmp_path / "s", toy.make(), head=toy.place)
    for name in ("a", "b"):
        toys.learn(store, name, nw.IBM(density=0.4, prune_every=2), toy)
    head = None if toy.width is None else "head"
    x, y = toy.batch(24, 3)
    data = Labelled(x, y, "regression" if toy.width is None else "classification")
    assert features(store.load("a"), head, data).shape == (24, 2 if toy.width is None else toy.width)
    found = similarity({name: (store.load(name), head) for name in ("a", "b")}, {"a": data})
    assert found.cka[0][0] == pytest.approx(1)
    assert found.cka[0][1] == found.cka[1][0]
    assert -0.5 <= found.cka[0][1] <= 1.0001


def test_tasks_that_cannot_take_each_others_inputs_are_not_compared():
    networks = {"a": (nn.Sequential(nn.Linear(2, 3)), None), "b": (nn.Sequential(nn.Linear(5, 3)), None)}
    found = similarity(networks, {"a": Labelled(torch.randn(8, 2), torch.zeros(8).long())})
    assert found.cka[0][0] == pytest.approx(1)
    assert found.cka[0][1] is None
    assert found.cka[1][1] is None


def test_too_few_examples_say_nothing():
    networks = {"a": (nn.Sequential(nn.Linear(2, 3)), None)}
    assert similarity(networks, {"a": Labelled(torch.randn(3, 2), torch.zeros(3).long())}).cka == ((None,),)


def test_tasks_are_chosen_evenly():
    assert evenly("abc", 5) == ("a", "b", "c")
    assert evenly("abcdefg", 1) == ("a",)
    assert evenly([str(n) for n in range(200)], 32)[-1] == "199"
    assert len(set(evenly([str(n) for n in range(200)], 32))) == 32
