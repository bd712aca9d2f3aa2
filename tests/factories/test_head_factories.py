"""A head that a factory makes: `load` builds it again in any process, and only where the factory is trusted."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import narrows as nw
from narrows.errors import DamagedStoreError, ModelBuildError, ModelMismatchError, UntrustedModelError
from narrows.factories.trust import trusted_file
from narrows.store import change, commit
from toys import MLP, learn, logits, same, state

METHOD = nw.IBM(density=0.4, prune_every=2)
HEADS = """
from torch import nn
made = 4
class Halved(nn.Sequential):
    def forward(self, x):
        return super().forward(x) / 2
def make(classes, width=4):
    return Halved(nn.Linear(16, width), nn.ReLU(), nn.Linear(width, classes))
def linear(classes):
    return nn.Linear(16, classes)
def another():
    global made
    made += 1
    return Halved(nn.Linear(16, made))
"""
FIVE = nw.Factory("own_heads:make", {"classes": 5})


@pytest.fixture(autouse=True)
def _heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_heads.py").write_text(HEADS)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.fixture
def store(tmp_path: Path) -> nw.TaskStore:
    return nw.TaskStore.create(tmp_path / "store", MLP.make(), head="head")


def learn_with(store: nw.TaskStore, name: str, head: nw.Factory) -> nw.Task:
    with store.begin(name, METHOD, head=head) as task:
        task.fit([MLP.batch(8, 5)], nw.Training(4))
        task.commit()
    return task


def strange(store: nw.TaskStore) -> nw.TaskStore:
    """The store as somebody else opens it, who has imported nothing."""
    trusted_file().unlink(missing_ok=True)
    sys.modules.pop("own_heads", None)
    return nw.TaskStore.open(store.path, MLP.make())


def forge(store: nw.TaskStore, head: dict[str, Any]) -> None:
    """Another head in the record of the task "made", as somebody may put it who can compute every hash."""
    ours = store.directory
    with ours.lock():
        record = dataclasses.replace(ours.record("made"), head=head)
        number = ours.header.next_index
        record, files = change.encode_task(record, ours.blobs("made"), number)
        tasks = tuple(change.ref_of(record, files) if ref.name == "made" else ref for ref in ours.header.tasks)
        header = dataclasses.replace(ours.header, tasks=tasks, next_index=number + 1)
        commit.apply(ours.path, ours.header, change.StoreChange(header, {record.directory: files}))


def test_it_is_built_again_by_its_name(store: nw.TaskStore) -> None:
    task = learn_with(store, "made", FIVE)
    described = store.tasks()[0].head
    assert described == {"path": "head", "kind": "custom", "type": "Halved"} | FIVE.to_json()
    x, _ = MLP.batch(4, 5)
    loaded = store.load("made")
    assert same(state(loaded), state(task.model))
    assert torch.equal(logits(loaded, x), logits(task.model, x))
    learn(store, "plain", METHOD)
    for name in ("plain", "made", "made", "plain"):
        store.switch_(loaded, name)
        assert same(state(loaded), state(store.load(name)))
    assert {name for name, _ in store.route(x).ranking} == {"made", "plain"}


def test_in_another_process_the_store_and_the_network_are_enough(store: nw.TaskStore, tmp_path: Path) -> None:
    task = learn_with(store, "made", FIVE)
    script = (
        "import sys, torch, narrows as nw; from toys import MLP, state;"
        "torch.save(state(nw.TaskStore.open(sys.argv[1], MLP.make()).load('made')), sys.argv[2])"
    )
    places = ":".join([str(tmp_path), str(Path(__file__).parents[1]), *filter(None, sys.path)])
    environment = {"PYTHONPATH": places, "XDG_CONFIG_HOME": str(trusted_file().parents[1])}
    subprocess.run([sys.executable, "-c", script, store.path, tmp_path / "s.pt"], env=environment, check=True)
    assert same(torch.load(tmp_path / "s.pt"), state(task.model))


def test_what_a_stranger_named_is_not_imported(store: nw.TaskStore) -> None:
    task = learn_with(store, "made", FIVE)
    theirs = strange(store)
    for call in (lambda: theirs.load("made"), lambda: theirs.switch_(MLP.make(), "made")):
        with pytest.raises(UntrustedModelError, match=r"the head of task 'made' built by calling own_heads:make\(cl"):
            call()
    assert "own_heads" not in sys.modules
    given = nn.Sequential(nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 5))
    assert same(state(theirs.load("made", head=given)), state(task.model))
    assert "own_heads" not in sys.modules
    trusting = nw.TaskStore.open(store.path, MLP.make(), trust=True)
    assert same(state(trusting.load("made")), state(task.model))
    assert same(state(theirs.load("made")), state(task.model))  # it is remembered


@pytest.mark.parametrize(
    ("head", "error", "said"),
    [
        ({"factory": "os:system", "arguments": {"command": "touch owned"}}, UntrustedModelError, "os:system"),
        ({"factory": "narrows.networks:base.torch.os.system", "arguments": {}}, UntrustedModelError, "os.system"),
        (
            {
                "factory": "narrows.networks:mlp",
                "arguments": {"input_shape": [16], "classes": 5, "hidden": [10**6] * 2},
            },
            ModelMismatchError,
            "more than the 372 that the store has for the head of task 'made'",
        ),
        ({"factory": "own_heads:make"}, DamagedStoreError, "describes its head as"),
        ({"factory": "own_heads make", "arguments": {}}, DamagedStoreError, "describes its head as"),
        ({"factory": "own_heads:make", "arguments": [5]}, DamagedStoreError, "describes its head as"),
        ({"factory": ["own_heads:make"], "arguments": {}}, DamagedStoreError, "describes its head as"),
        ({"arguments": {}}, DamagedStoreError, "describes its head as"),
        ({"kind": "Linear", "factory": "os:system", "arguments": {}}, DamagedStoreError, "describes its head as"),
    ],
)
def test_a_forged_record_runs_nothing(
    store: nw.TaskStore, head: dict[str, Any], error: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn_with(store, "made", FIVE)
    forge(store, {"path": "head", "kind": "custom", "type": "Halved"} | head)
    monkeypatch.chdir(store.path.parent)
    theirs = strange(store)
    for call in (lambda: theirs.load("made"), lambda: theirs.switch_(MLP.make(), "made")):
        with pytest.raises(error, match=said):
            call()
    assert not Path("owned").exists()
    assert "own_heads" not in sys.modules


def test_initial_weights_follow_torchs_generator(store: nw.TaskStore) -> None:
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        with store.begin("a", METHOD, head=FIVE) as task:
            drawn.append(state(task.model.head))
    assert same(drawn[0], drawn[1])
    assert not same(drawn[0], drawn[2])


def test_a_plain_linear_needs_no_factory_later(store: nw.TaskStore) -> None:
    learn_with(store, "plain", nw.Factory("own_heads:linear", {"classes": 5}))
    assert strange(store).load("plain").head.out_features == 5
    assert "own_heads" not in sys.modules


def test_a_network_that_was_put_has_one_too(store: nw.TaskStore) -> None:
    model = MLP.make()
    model.head = FIVE.build()
    store.put("made", model, factory=FIVE)
    assert same(state(nw.TaskStore.open(store.path, MLP.make()).load("made")), state(model))
    with pytest.raises(ModelMismatchError, match=r"head\.2\.weight is float32 \(5, 4\) in the model"):
        store.put("other", model, factory=nw.Factory("own_heads:make", {"classes": 4}))


def test_a_factory_that_fails_or_makes_another_each_time_is_refused(store: nw.TaskStore) -> None:
    with pytest.raises(ModelBuildError, match=r"own_heads:make\(\) failed"):
        store.begin("a", METHOD, head=nw.Factory("own_heads:make"))
    with pytest.raises(ModelMismatchError, match=r"head\.0\.weight"):
        learn_with(store, "a", nw.Factory("own_heads:another"))
    assert store.names() == ()
