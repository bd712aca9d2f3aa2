"""What tasks share, what each keeps for itself, and the heads they bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import narrows as nw
from narrows.errors import ModelMismatchError
from narrows.tasks.heads import Head
from narrows.tasks.partition import matches, named_tensors
from toys import METHODS, MLP, TOYS, learn, logits, same, state

METHOD = nw.IBM(density=0.4, prune_every=2)


def create(tmp_path: Path, model: nn.Module, **options: Any) -> nw.TaskStore:
    return nw.TaskStore.create(tmp_path / "store", model, **{"head": "head"} | options)


def shared(store: nw.TaskStore) -> list[str]:
    return [spec.name for spec in store.shared]


def test_what_is_shared(tmp_path: Path) -> None:
    expected = {
        "mlp": ["one.weight", "two.weight", "head.weight"],
        "grouped": ["one.weight", "two.weight", "head.weight"],
        "attention": [
            *("attention.in_proj_weight", "attention.out_proj.weight"),
            *("up.weight", "down.weight", "head.weight"),
        ],
        "lstm": ["lstm.weight_ih_l0", "lstm.weight_hh_l0", "head.weight"],
        "tied": ["words.weight", "hidden.weight", "head.weight"],
        "regression": ["one.weight", "two.weight"],
    }
    for name, names in expected.items():
        store = nw.TaskStore.create(tmp_path / name, TOYS[name].make())
        assert sorted(shared(store)) == sorted(names)
    store = nw.TaskStore.create(tmp_path / "named", MLP.make(), private=["o*", "head.weight"])
    assert shared(store) == ["two.weight"]


def test_patterns_match_whole_names_and_modules() -> None:
    assert matches("blocks.0.gate.weight", ["blocks.*.gate"])
    assert matches("norm1.weight", ["norm*"])
    assert not matches("one.weight", ["on", "weight", "ONE"])


def test_private_parts_are_whole_and_each_tasks_own(tmp_path: Path) -> None:
    store = create(tmp_path, MLP.make(), private=["one"])
    for name in ("a", "b"):
        task = learn(store, name, METHOD)
        assert (task.model.one.weight != 0).all()
    a, b = (store.directory.content(name).private for name in ("a", "b"))
    assert a.keys() == b.keys() == {"one.weight", "one.bias", "two.bias", "head.weight", "head.bias"}
    assert not torch.equal(a["one.weight"], b["one.weight"])


def test_parameters_that_are_not_trained_stay(tmp_path: Path) -> None:
    model = MLP.make()
    model.one.requires_grad_(False)
    store = create(tmp_path, model)
    assert "one.weight" not in shared(store)
    for name in ("a", "b"):
        learn(store, name, METHOD)
        loaded = store.load(name)
        assert torch.equal(loaded.one.weight, model.one.weight)
        assert torch.equal(loaded.one.bias, model.one.bias)
        assert not loaded.one.weight.requires_grad
        assert not store.directory.content(name).private.keys() & {"one.weight", "one.bias"}


def test_buffers_are_each_tasks_own_and_may_hold_infinity(tmp_path: Path) -> None:
    model = TOYS["batchnorm"].make()
    model.register_buffer("mask", torch.full((3,), -torch.inf))
    model.register_buffer("scratch", torch.zeros(3), persistent=False)
    store = create(tmp_path, model)
    learn(store, "a", METHOD, TOYS["batchnorm"])
    mean = store.load("a").norm.running_mean.clone()
    learn(store, "b", METHOD, TOYS["batchnorm"], epochs=12)
    assert torch.equal(store.load("a").norm.running_mean, mean)
    assert store.load("a").norm.num_batches_tracked == 12
    assert store.load("b").norm.num_batches_tracked == 24
    assert torch.isinf(store.load("b").mask).all()


def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    toy = TOYS["tied"]
    store = create(tmp_path, toy.make())
    task = learn(store, "a", METHOD, toy)
    for model in (task.model, store.load("a")):
        assert model.decoder.weight is model.words.weight
    assert "decoder.weight" not in named_tensors(toy.make())


def test_nothing_to_share(tmp_path: Path) -> None:
    for model, private in ((nn.BatchNorm1d(3), ()), (MLP.make(), ("*",)), (MLP.make().requires_grad_(False), ())):
        with pytest.raises(ModelMismatchError, match="no parameter to share"):
            create(tmp_path, model, private=private, head=None)
        assert not (tmp_path / "store").exists()
    store = create(tmp_path, nn.Sequential(nn.Linear(4, 2)), head=None)
    with pytest.raises(ModelMismatchError, match="no parameter left to share"):
        store.begin("a", METHOD, head=Head("0", nn.Linear(4, 3)))
    assert shared(store) == ["0.weight"]


def custom(classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, classes))


def test_a_head_of_ones_own_making(tmp_path: Path) -> None:
    store = create(tmp_path, MLP.make())
    learn(store, "plain", METHOD)
    with store.begin("made", METHOD, head=custom(5)) as task:
        task.fit([MLP.batch(8, 5)], nw.Training(6))
        task.commit()
    x, _ = MLP.batch(4, 5)
    with pytest.raises(ModelMismatchError, match=r"a Sequential, .*store\.load\('made', head=Sequential\(\.\.\.\)\)"):
        store.load("made")
    loaded = store.load("made", head=custom(5))
    assert same(state(loaded), state(task.model))
    assert torch.equal(logits(loaded, x), logits(task.model, x))
    with pytest.raises(ModelMismatchError, match=r"head\.2\.weight is float32 \(4, 4\)"):
        store.load("made", head=custom(4))
    with pytest.raises(ModelMismatchError, match=r"head\.0\.bias"):
        store.load("made", head=nn.Linear(16, 5))


@pytest.mark.parametrize("method", ["laplace", "wsn", "independent", "finetune"])
def test_heads_at_different_places(tmp_path: Path, method: str) -> None:
    """The first task settles what is shared; a later one may bring more modules, or fewer, of its own."""
    store = create(tmp_path, MLP.make())
    heads: dict[str, Any] = {
        "usual": nn.Linear(16, 3, bias=False),
        "deeper": Head("two", nn.Linear(16, 16)),
        "none": None,
    }
    trained = {}
    for name, head in heads.items():
        with store.begin(name, METHODS[method], head=head) as task:
            task.fit([MLP.batch(8, 2)], nw.Training(8))
            record = task.commit()
        trained[name] = state(task.model)
        used = {layer.name: layer.used for layer in task.explain()}
        assert (used["two.weight"] == 0) == (name == "deeper")
        assert {key: layer["used"] for key, layer in record.layers.items()} == used
        if method != "finetune":
            assert all(same(state(store.load(known)), trained[known]) for known in trained)
        assert same(state(store.load(name)), trained[name])
    assert shared(store) == ["one.weight", "two.weight"]
    assert store.load("usual").head.bias is None
    assert store.load("none").head.out_features == 2
    assert store.verify(deep=True) == []


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes(tmp_path: Path, dtype: torch.dtype) -> None:
    store = create(tmp_path, MLP.make().to(dtype))
    trained = {}
    for name in ("a", "b"):
        with store.begin(name, METHOD, head=nn.Linear(16, 3, dtype=dtype)) as task:
            x, y = MLP.batch(8, 3)
            task.fit([(x.to(dtype), y)], nw.Training(8))
            task.commit()
        trained[name] = state(task.model)
        assert all(same(state(store.load(known)), trained[known]) for known in trained)
    assert store.verify(deep=True) == []


def test_methods_mix_in_one_store(tmp_path: Path) -> None:
    store = create(tmp_path, MLP.make())
    trained: dict[str, Any] = {}
    overwritten: dict[str, Any] = {}
    for name, method in [*METHODS.items(), ("finetune again", METHODS["finetune"])]:
        if method.isolation == "none":
            forgotten = [known for known in trained if METHODS[known].isolation == "none"]
            overwritten |= {known: trained.pop(known) for known in forgotten}
        trained[name] = state(learn(store, name, method).model)
        assert all(same(state(store.load(known)), trained[known]) for known in trained)
        assert not any(same(state(store.load(known)), overwritten[known]) for known in overwritten)
    assert set(overwritten) == {name for name, method in METHODS.items() if method.isolation == "none"}
    assert store.verify(deep=True) == []
    records = {record.name: record for record in store.tasks()}
    assert not records["independent"].parents
    assert "independent" not in records["wsn"].parents


def test_a_task_that_reuses_nothing_verifies(tmp_path: Path) -> None:
    store = create(tmp_path, MLP.make())
    learn(store, "a", METHOD)
    learn(store, "b", nw.IBM(new=0.2, reuse=0.0))
    assert store.tasks()[1].parents == ()
    assert store.verify(deep=True) == []


def test_what_is_written_down(tmp_path: Path) -> None:
    store = create(tmp_path, MLP.make())
    with store.begin("a", METHOD, head=MLP.head(3)) as task:
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*MLP.batch(20, 3)), batch_size=8)
        fit = task.fit(loader, nw.Training(2))
        assert fit.steps == 6
        record = task.commit(metrics={"accuracy": 0.5}, data={"rows": 20})
    assert (record.metrics, record.data, record.seconds) == ({"accuracy": 0.5}, {"rows": 20}, round(fit.seconds, 3))
    assert nw.make_method(record.method["name"], record.method["config"]) == METHOD
    expected = {"path": "head", "kind": "Linear", "in_features": 16, "out_features": 3, "bias": True}
    assert record.head == expected
    assert store.explain("a") == task.explain()


def test_a_generator_of_batches_lasts_for_all_epochs(tmp_path: Path) -> None:
    store = create(tmp_path, MLP.make())
    with store.begin("a", METHOD, head=MLP.head(3)) as task:
        assert task.fit((MLP.batch(8, 3, seed) for seed in range(3)), nw.Training(4)).steps == 12


def test_the_ratio_is_measured_while_fitting(tmp_path: Path) -> None:
    toy, densities = TOYS["grouped"], {}
    for ratio in ("none", "features", "inverse"):
        store = nw.TaskStore.create(tmp_path / ratio, toy.make(), head=toy.place)
        learn(store, "a", nw.IBM(density=0.4, ratio=ratio, prune_every=2), toy)
        layers = store.explain("a")
        assert all((layer.ratio is None) == (ratio == "none") for layer in layers)
        densities[ratio] = layers[0].density - layers[1].density
        ranks = [layer.ratio for layer in layers]
    assert ranks[0] != ranks[1]
    assert densities["features"] != densities["inverse"]
