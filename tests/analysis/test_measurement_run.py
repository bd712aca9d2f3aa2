"""Measuring a run and a store of the user's own: the figures agree, nothing is changed, nothing stale is used."""

from __future__ import annotations

import json

import pytest
import torch

import narrows as nw
import shop_data
import toys
from narrows.analysis.check_results import CheckOptions
from narrows.analysis.labelled import Labelled
from narrows.analysis.measurement_run import MeasureOptions, measure
from narrows.analysis.measurements import Measurements
from narrows.analysis.providers import cache_file, run_subject, store_subject
from narrows.benchmarks.options import RunOptions
from narrows.benchmarks.runner import run
from narrows.data import DataOptions
from narrows.errors import DataError, StoreMissingError, UnknownNameError
from narrows.production import evaluate, init, learn
from narrows.store import StoreDirectory

QUICK = MeasureOptions(check=CheckOptions(draws=1, levels=(0.3,), sizes=(0.3,), steps=1), alike=32)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder of a short run."""
    out = tmp_path_factory.mktemp("run") / "out"
    options = RunOptions("permuted-digits", nw.IBM(density=0.04), epochs=1, tasks=3, network="mlp-100")
    run(options, out)
    return out


def test_a_run_is_measured_as_it_measured_itself(done):
    before = toys.files(done)
    store, data = run_subject(done)
    told = []
    found = measure(store, data, options=QUICK, progress=lambda *step: told.append(step))
    last = json.loads((done / "result.json").read_text())["R"][-1]
    assert [task.check.baseline for task in found.tasks] == last
    assert [task.examples for task in found.tasks] == [len(data[task.task]) for task in found.tasks]
    assert found.similarity.tasks == tuple(data)
    assert found.tasks[1].start == store.tasks()[1].metrics["start_accuracy"]
    assert told == [*((name, number, 4) for number, name in enumerate(data)), ("similarity", 3, 4)]
    assert toys.files(done) == before
    assert Measurements.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found


@pytest.mark.parametrize(
    "options",
    [
        {"stream": "permuted-digits", "first": 2},
        {"stream": "split-digits", "tasks": 2},
        {"stream": "split-digits", "first": 1},
        {"stream": "rotated-digits", "first": 2},
        {"stream": "rotated-digits", "tasks": 2},
        {"stream": "split-digits", "tasks": 2, "classes": 3, "holdout": 0.2},
    ],
    ids=str,
)
def test_the_stream_of_a_run_is_found_again(options, tmp_path):
    run(RunOptions(method=nw.IBM(), epochs=1, network="mlp-100", seed=3, **options), tmp_path / "out")
    store, data = run_subject(tmp_path / "out")
    last = json.loads((tmp_path / "out" / "result.json").read_text())["R"][-1]
    found = measure(store, data, options=QUICK)
    assert [task.check.baseline for task in found.tasks] == last


def test_a_second_time_nothing_is_measured_and_what_changed_is(done, tmp_path, monkeypatch):
    store, data = run_subject(done)
    cache = tmp_path / "measured.json"
    first = measure(store, data, options=QUICK, cache=cache)
    loads = []
    monkeypatch.setattr(type(store), "load", lambda *_: loads.append(1))
    assert measure(store, data, options=QUICK, cache=cache) == first
    assert loads == []
    monkeypatch.undo()
    changed = {name: data[name] for name in data}
    name = "permutation-02"
    changed[name] = changed[name].take(torch.arange(100))
    again = measure(store, changed, options=QUICK, cache=cache)
    assert again.task(name).examples == 100
    assert again.task("permutation-01") == first.task("permutation-01")
    other = measure(store, data, options=MeasureOptions(examples=50, check=QUICK.check), cache=cache)
    assert {(task.examples, task.given) for task in other.tasks} == {(50, 359)}


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"format": "narrows-measured", "version": 1, "entries": {"a": 1}}'])
def test_a_damaged_cache_is_as_good_as_none(damage, done, tmp_path):
    store, data = run_subject(done)
    cache = tmp_path / "measured.json"
    first = measure(store, {"permutation-01": data["permutation-01"]}, options=QUICK, cache=cache)
    saved = json.loads(cache.read_text())
    cache.write_text(damage)
    assert measure(store, {"permutation-01": data["permutation-01"]}, options=QUICK, cache=cache) == first
    saved["entries"] = {key: {"task": 1} for key in saved["entries"]}
    cache.write_text(json.dumps(saved))
    assert measure(store, {"permutation-01": data["permutation-01"]}, options=QUICK, cache=cache) == first


def test_what_was_measured_before_an_interruption_is_not_lost(done, tmp_path, monkeypatch):
    store, data = run_subject(done)
    cache = tmp_path / "measured.json"

    def interrupt(what, *_):
        if what == "permutation-02":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(store, data, options=QUICK, cache=cache, progress=interrupt)
    one = {"permutation-01": data["permutation-01"]}
    monkeypatch.setattr(type(store), "load", lambda *_: pytest.fail("measured again"))
    assert measure(store, one, options=QUICK, cache=cache).tasks[0].task == "permutation-01"


def test_a_cache_that_cannot_be_written_is_no_trouble(done, tmp_path):
    store, data = run_subject(done)
    one = {"permutation-01": data["permutation-01"]}
    assert measure(store, one, options=QUICK, cache=tmp_path / "nowhere" / "measured.json").tasks


def test_other_weights_under_the_same_name_are_measured_anew(tmp_path):
    x, y = toys.MLP.batch(64, 3)
    data, found = {"a": Labelled(x, y)}, []
    for number in (1, 2):
        store = nw.TaskStore.create(tmp_path / f"s{number}", toys.MLP.make(), head=toys.MLP.place)
        toys.learn(store, "a", nw.IBM(density=0.4, prune_every=2), epochs=6 * number)
        found.append(measure(store, data, options=QUICK, cache=tmp_path / "measured.json"))
    assert found[0].tasks[0].leaning != found[1].tasks[0].leaning


def test_other_data_than_those_of_the_run_are_refused(done, tmp_path):
    result = json.loads((done / "result.json").read_text())
    result["stream_description"]["tasks"][1]["test"] += 1
    (tmp_path / "result.json").write_text(json.dumps(result))
    with pytest.raises(DataError, match="tasks of result"):
        run_subject(tmp_path)
    with pytest.raises(StoreMissingError, match="narrows run"):
        run_subject(tmp_path / "nowhere")


def test_a_store_is_measured_on_the_users_own_files(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    store = init(
        tmp_path / "s", "narrows.networks:mlp", {"input_shape": [4], "classes": 2, "hidden": [16]}, head="head"
    )
    quick = {"epochs": 6, "batch_size": 8, "lr": 0.02, "method": nw.IBM(density=0.3)}
    sources = {}
    for name, target, kind in (("label", "label", "auto"), ("price", "price", "auto"), ("tags", "tags", "multilabel")):
        sources[name] = shop_data.table(tmp_path / f"{name}.csv", count=80, keep=(target,))
        learn(store, name, sources[name], options=DataOptions(target=target, kind=kind), **quick)
    sources["unfit"] = shop_data.table(tmp_path / "unfit.csv", keep=("price",))
    learn(store, "unfit", sources["label"], options=DataOptions(target="label"), **quick)
    before = toys.files(store.path)
    opened, data = store_subject(store.path, sources)
    found = measure(opened, data, options=QUICK, cache=cache_file(store.path))
    assert [task.task for task in found.tasks] == ["label", "price", "tags"]
    for name, score in (("label", "accuracy"), ("price", "r2"), ("tags", "micro_f1")):
        check = found.task(name).check
        assert check.score == score
        assert check.baseline == pytest.approx(evaluate(store, name, sources[name]).scores[score])
    assert found.task("label").check.baseline == evaluate(store, "label", sources["label"]).scores["accuracy"]
    assert found.task("label").leaning.names == ("a", "b", "colour = green", "colour = red")
    assert [left.task for left in found.left_out] == ["unfit"]
    assert "label" in found.left_out[0].reason
    assert found.similarity.tasks == ("label", "price", "tags")
    assert toys.files(store.path) == before
    assert StoreDirectory.open(store.path).verify() == []


def test_tasks_without_data_and_unknown_tasks(tmp_path):
    store = nw.TaskStore.create(tmp_path / "s", toys.MLP.make(), head=toys.MLP.place)
    assert measure(store, {}) == Measurements((), None, ())
    toys.learn(store, "returns", nw.IBM(density=0.4, prune_every=2))
    assert measure(store, {}) == Measurements((), None, ())
    x, y = toys.MLP.batch(8, 3)
    with pytest.raises(UnknownNameError, match="returns"):
        measure(store, {"return": Labelled(x, y)})


def test_a_head_that_the_store_cannot_build_leaves_its_task_out(tmp_path):
    store = nw.TaskStore.create(tmp_path / "s", toys.MLP.make(), head=toys.MLP.place)
    head = torch.nn.Sequential(torch.nn.Linear(16, 3))
    with store.begin("a", nw.IBM(density=0.4, prune_every=2), head=head) as task:
        task.fit([toys.MLP.batch(8, 3)], nw.Training(6))
        task.commit()
    x, y = toys.MLP.batch(8, 3)
    found = measure(store, {"a": Labelled(x, y)}, options=QUICK)
    assert found.tasks == ()
    assert "head" in found.left_out[0].reason


def test_a_measurement_of_another_version_is_refused():
    with pytest.raises(DataError, match="measure again"):
        Measurements.from_json({"format": "narrows-measured", "version": 0})
