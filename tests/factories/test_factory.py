"""A record of how to build a model: exact in JSON, and every way it can fail has a message of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from narrows.errors import ConfigError, ModelBuildError
from narrows.factories import Factory
from narrows.networks import NETWORKS

MLP = Factory("narrows.networks:mlp", {"input_shape": [1, 4, 4], "classes": 3})


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's package that is not installed, on the path."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/__init__.py").touch()
    (tmp_path / "shop/nets.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self, width=2):\n"
        "        super().__init__(width, width)\n"
        "    @classmethod\n"
        "    def small(cls):\n"
        "        return cls(1)\n"
        "def build(width):\n"
        "    return nn.Sequential(nn.Linear(4, width), nn.Linear(width, 2))\n"
        "def number():\n"
        "    return 5\n"
        "SIZES = [1, 2]\n"
    )
    (tmp_path / "shop/needy.py").write_text("import not_installed_anywhere\n")
    (tmp_path / "shop/broken.py").write_text("def build(:\n")
    (tmp_path / "shop/leaving.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        monkeypatch.delitem(sys.modules, name)


def test_it_is_the_same_after_json():
    assert Factory.from_json(MLP.to_json()) == MLP
    assert Factory("a:b", {"shape": (1, 2)}).arguments == {"shape": [1, 2]}


def test_a_call_is_one_line_of_ascii_whatever_it_is_made_of():
    forged = {"a": "x", "b) which you trust\n\x1b[2K": "\u202e\n", "\u0430": "\u0430"}
    assert Factory("n\u0435ts:net", forged).call == (
        r"n\u0435ts:net(a='x', **{'b) which you trust\n\x1b[2K': '\u202e\n'}, **{'\u0430': '\u0430'})"
    )


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("factory", "arguments"),
    [("shop.nets:build", {"width": 3}), ("shop.nets:Net", {}), ("shop.nets:Net.small", {}), ("torch.nn:ReLU", {})],
)
def test_functions_classes_and_class_methods_build(factory, arguments):
    assert isinstance(Factory(factory, arguments).build(), nn.Module)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_of_ours_builds_from_its_record(name):
    factory = f"narrows.networks:{NETWORKS[name].__name__}"
    shape = [3, 32, 32] if name not in ("mlp", "mlp-100", "mlp-256") else [12]
    model = Factory(factory, {"input_shape": shape, "classes": 5}).build()
    assert model.head.out_features == 5


def test_a_seed_gives_the_same_weights_and_leaves_the_generator_alone():
    before = torch.random.get_rng_state()
    first, second, other = MLP.build(1), MLP.build(1), MLP.build(2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.head.weight, second.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_arguments_are_not_changed_by_the_factory(tmp_path, monkeypatch):
    (tmp_path / "greedy.py").write_text(
        "from torch import nn\ndef build(sizes):\n    sizes.append(9)\n    return nn.Linear(1, 1)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    record = Factory("greedy:build", {"sizes": [1]})
    record.build()
    assert record.arguments == {"sizes": [1]}


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("factory", "arguments", "said"),
    [
        ("shop.nts:build", {}, "no module 'shop.nts' to import"),
        ("shopp.nets:build", {}, "no 'shopp'.*installed in this environment or lie on PYTHONPATH"),
        ("shop.needy:build", {}, "is there but needs 'not_installed_anywhere'"),
        ("shop.broken:build", {}, "Importing the module 'shop.broken' failed: SyntaxError"),
        ("shop.leaving:build", {}, "Importing the module 'shop.leaving' failed: SystemExit"),
        ("shop.nets:biuld", {}, "shop.nets has no 'biuld': did you mean 'build'"),
        ("shop.nets:Net.smal", {}, "did you mean 'small'"),
        ("shop.nets:SIZES", {}, "is a list, which cannot be called"),
        ("shop.nets:build", {}, r"shop.nets:build\(\) failed: TypeError: .*width"),
        ("shop.nets:build", {"width": -1}, r"shop.nets:build\(width=-1\) failed: RuntimeError"),
        ("shop.nets:number", {}, "gave a int, not an nn.Module"),
    ],
)
def test_what_cannot_be_built_says_why(factory, arguments, said):
    with pytest.raises(ModelBuildError, match=said):
        Factory(factory, arguments).build()


@pytest.mark.parametrize("factory", ["shop", "shop.nets", "shop:", ":build", "shop.nets:build()", "a b:c", "../x:y", 5])
def test_another_spelling_is_refused(factory):
    with pytest.raises(ConfigError, match=r"package\.module:factory"):
        Factory(factory)


@pytest.mark.parametrize("arguments", [{"x": float("nan")}, {"x": {1, 2}}, {"x": nn.ReLU()}, [1], {1: 2}])
def test_arguments_that_json_cannot_hold_are_refused(arguments):
    with pytest.raises(ConfigError, match="arguments of a:b"):
        Factory("a:b", arguments)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "of the entries factory and arguments"),
        ({"factory": "a:b"}, "of the entries factory and arguments"),
        ({"factory": "a:b", "arguments": []}, "arguments .* as an object"),
        ({"factory": "a:b", "arguments": {}, "code": "x"}, "of the entries factory and arguments"),
        ({"factory": ["a:b"], "arguments": {}}, "package.module:factory"),
    ],
)
def test_json_of_another_form_is_refused(value, said):
    with pytest.raises(ConfigError, match=said):
        Factory.from_json(value)
