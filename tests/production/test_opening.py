"""A store opens from its path alone where its model may be built, and not at all where it may not."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import narrows as nw
from narrows.errors import DamagedStoreError, ModelMismatchError, StoreMissingError, UntrustedModelError
from narrows.factories import Factory
from narrows.factories.trust import trusted_file
from narrows.networks import mlp
from narrows.production import init, model_record, open_store
from narrows.store import commit
from narrows.store.header import header_from_json

ARGUMENTS = {"input_shape": [4], "classes": 2, "hidden": [8]}
NETS = "from torch import nn\ndef build(width):\n    return nn.Sequential(nn.Linear(4, width), nn.Linear(width, 2))\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "shop_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "shop_nets", raising=False)
    return tmp_path


def say(store: Path, model: object) -> None:
    """Puts another record of the model into a store, as somebody who made the store could have."""
    header = header_from_json((store / "store.json").read_bytes())
    commit.write_header(store, dataclasses.replace(header, model=model))


def test_a_store_opens_from_its_path_alone(tmp_path):
    init(tmp_path / "store", "narrows.networks:mlp", ARGUMENTS, head="head")
    store = open_store(tmp_path / "store")
    with store.begin("a", nw.IBM(density=0.5), head=nn.Linear(8, 3)) as task:
        task.fit([(torch.randn(6, 4), torch.arange(6) % 3)], nw.Training(4), progress=False)
        task.commit()
    assert open_store(tmp_path / "store").load("a")(torch.zeros(1, 4)).shape == (1, 3)
    assert model_record(tmp_path / "store") == Factory("narrows.networks:mlp", ARGUMENTS)


def test_what_a_user_made_is_trusted_and_the_same_store_from_a_stranger_is_not(package, monkeypatch):
    init(package / "store", "shop_nets:build", {"width": 3})
    open_store(package / "store")
    trusted_file().unlink()
    monkeypatch.delitem(sys.modules, "shop_nets")
    with pytest.raises(UntrustedModelError, match=r"shop_nets:build\(width=3\)"):
        open_store(package / "store")
    assert "shop_nets" not in sys.modules
    open_store(package / "store", trust=True)
    open_store(package / "store")


def test_a_hostile_store_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    init("store", "narrows.networks:mlp", ARGUMENTS)
    for factory, arguments in (
        ("os:system", {"command": "touch owned"}),
        ("builtins:exec", {"source": "open('owned', 'w')"}),
        ("narrows.networks:base.torch.os.system", {"command": "touch owned"}),
    ):
        say(Path("store"), {"factory": factory, "arguments": arguments, "head": None})
        with pytest.raises(UntrustedModelError):
            open_store("store")
    assert not Path("owned").exists()


def test_one_of_our_networks_at_a_hostile_size_takes_no_memory(tmp_path):
    init(tmp_path / "store", "narrows.networks:mlp", ARGUMENTS)
    huge = {"factory": "narrows.networks:mlp", "arguments": ARGUMENTS | {"hidden": [1_000_000] * 2}, "head": None}
    say(tmp_path / "store", huge)
    with pytest.raises(ModelMismatchError, match="more than the 512 that the store has for its model"):
        open_store(tmp_path / "store")


@pytest.mark.parametrize("model", [{}, {"factory": "a:b"}, {"factory": "a b", "arguments": {}, "head": None}])
def test_a_record_of_another_form_is_damage(model, tmp_path):
    init(tmp_path / "store", "narrows.networks:mlp", ARGUMENTS)
    say(tmp_path / "store", model)
    with pytest.raises(DamagedStoreError, match=r"store\.json is not valid"):
        open_store(tmp_path / "store")


def test_a_store_without_a_record_says_what_to_do(tmp_path):
    nw.TaskStore.create(tmp_path / "store", mlp((4,), 2))
    assert model_record(tmp_path / "store") is None
    with pytest.raises(ModelMismatchError, match=r"TaskStore\.open\(path, model\)"):
        open_store(tmp_path / "store")
    with pytest.raises(StoreMissingError):
        open_store(tmp_path / "nowhere")


def test_a_factory_that_has_changed_since_says_what_differs(package, monkeypatch):
    init(package / "store", "shop_nets:build", {"width": 3})
    (package / "shop_nets.py").write_text(NETS.replace("width, 2", "width, 20"))
    monkeypatch.delitem(sys.modules, "shop_nets")
    with pytest.raises(ModelMismatchError, match=r"1\.weight is float32 \(20, 3\) in the model, float32 \(2, 3\)"):
        open_store(package / "store", trust=True)


def test_a_store_begins_from_the_weights_given(tmp_path):
    trained = mlp((4,), 2, (8,))
    save_file(trained.state_dict(), tmp_path / "w.safetensors")
    store = init(tmp_path / "store", "narrows.networks:mlp", ARGUMENTS, weights=tmp_path / "w.safetensors")
    base = store.directory.base()
    assert all(torch.equal(base[name], value) for name, value in trained.state_dict().items())


def test_nothing_is_made_where_something_does_not_fit(tmp_path):
    save_file(mlp((5,), 2, (8,)).state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ModelMismatchError, match="of another shape"):
        init(tmp_path / "store", "narrows.networks:mlp", ARGUMENTS, weights=tmp_path / "w.safetensors")
    with pytest.raises(ModelMismatchError, match="no module 'haed'"):
        init(tmp_path / "store", "narrows.networks:mlp", ARGUMENTS, head="haed")
    assert not (tmp_path / "store").exists()


def test_the_record_stands_in_store_json_as_plain_json(tmp_path):
    init(tmp_path / "store", "narrows.networks:mlp", ARGUMENTS, head="head")
    written = json.loads((tmp_path / "store/store.json").read_text())
    assert written["head"] == "head"
    assert written["model"] == {"factory": "narrows.networks:mlp", "arguments": ARGUMENTS}


OWN = """
import torch
from torch import nn
class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 9, bias=False)
        self.words, self.w = nn.Embedding(9, 6), nn.Parameter(torch.ones(6, 6))
        self.head.weight = self.words.weight
def own():
    return Own()
def wrapped():
    return torch.compile(Own(), backend="eager")
"""


def test_what_tasks_share_is_said_when_the_store_is_made(package):
    (package / "shop_own.py").write_text(OWN)
    with pytest.raises(ModelMismatchError, match=r"the same tensor as 'words\.weight'"):
        init(package / "store", "shop_own:own", shared=["w"], head="head")
    with pytest.raises(ModelMismatchError, match=r"private=\['haed'\] names nothing.*did you mean 'head'"):
        init(package / "store", "shop_own:own", private=["haed"])
    assert not (package / "store").exists()
    store = init(package / "store", "shop_own:own", shared=["w"], private=["head"], head="head")
    assert [spec.name for spec in store.shared] == ["w"]


def test_a_factory_that_compiles_gives_the_network_itself(package):
    (package / "shop_own.py").write_text(OWN)
    init(package / "store", "shop_own:wrapped", shared=["w"])
    assert [spec.name for spec in open_store(package / "store").shared] == ["w", "head.weight"]
