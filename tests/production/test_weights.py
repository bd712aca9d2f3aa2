"""Weights come from files of tensors only, and say what does not fit."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from narrows.errors import ModelMismatchError, WeightsError
from narrows.production import load_weights
from narrows.production.weights import put_weights


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def save(model: nn.Module, path, form: str) -> None:
    state = model.state_dict()
    if form == "safetensors":
        save_file(state, path)
        return
    wrapped = {
        "plain": state,
        "state_dict": {"state_dict": state, "epoch": 3},
        "model": {"model": state, "lr": 0.1},
        "nested": {"model": {"state_dict": state}},
        "parallel": {"state_dict": {f"module.{name}": value for name, value in state.items()}},
        "compiled": {f"module._orig_mod.{name}": value for name, value in state.items()},
    }
    torch.save(wrapped[form], path)


@pytest.mark.parametrize("form", ["safetensors", "plain", "state_dict", "model", "nested", "parallel", "compiled"])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin"])
def test_every_usual_form_gives_the_same_model(form, suffix, tmp_path):
    path = tmp_path / f"w{'.safetensors' if form == 'safetensors' else suffix}"
    trained, fresh = network(), network()
    save(trained, path, form)
    put_weights(fresh, load_weights(path), path)
    for name, value in trained.state_dict().items():
        assert torch.equal(value, fresh.state_dict()[name])


def test_a_whole_pickled_model_is_refused_and_says_how_to_save(tmp_path):
    torch.save(network(), tmp_path / "m.pt")
    with pytest.raises(WeightsError, match=r"torch.save\(model.state_dict\(\)"):
        load_weights(tmp_path / "m.pt")


class Evil:
    def __reduce__(self):
        return (eval, ("open('owned', 'w').close()",))


def test_code_in_a_file_of_weights_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Evil()}, tmp_path / "m.pt")
    with pytest.raises(WeightsError):
        load_weights(tmp_path / "m.pt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_damaged_file_is_named(suffix, tmp_path):
    path = tmp_path / f"w{suffix}"
    save(network(), path, "safetensors" if suffix == ".safetensors" else "plain")
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match="w" + suffix):
            load_weights(path)


@pytest.mark.parametrize(
    ("held", "said"),
    [([1, 2], "holds a list"), ({}, "holds a dict, and no"), ({"epoch": 3}, "no tensors: epoch")],
)
def test_what_is_no_state_dict_says_what_it_is(held, said, tmp_path):
    torch.save(held, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=said):
        load_weights(tmp_path / "w.pt")


def test_a_missing_file_and_an_unknown_suffix(tmp_path):
    with pytest.raises(WeightsError, match="no file of weights"):
        load_weights(tmp_path / "w.pt")
    (tmp_path / "w.onnx").touch()
    with pytest.raises(WeightsError, match=r"neither .safetensors nor"):
        load_weights(tmp_path / "w.onnx")


def test_what_does_not_fit_is_listed():
    weights = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Identity(), nn.Linear(5, 2)).state_dict()
    with pytest.raises(ModelMismatchError) as misfit:
        put_weights(network(), weights, "w.pt")
    said = str(misfit.value)
    assert "missing: 2.weight, 2.bias" in said
    assert "unexpected: 3.weight, 3.bias" in said
    assert "0.weight is (5, 4) there and (3, 4) in the model" in said
    assert "and 1 more" in said


def test_a_model_is_untouched_by_weights_that_do_not_fit():
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    weights = network().state_dict()
    del weights["2.bias"]
    with pytest.raises(ModelMismatchError, match=r"missing: 2\.bias"):
        put_weights(model, weights)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_tied_weights_may_stand_under_one_name():
    model = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    model["b"].weight = model["a"].weight
    weights = {name: value.clone() for name, value in model.state_dict().items() if name != "b.weight"}
    put_weights(model, weights)


def test_weights_that_are_not_finite_are_refused():
    weights = network().state_dict()
    weights["0.weight"][0, 0] = float("nan")
    with pytest.raises(WeightsError, match=r"NaN or infinite values: 0\.weight"):
        put_weights(network(), weights)


class Inside(nn.Module):
    """A network that keeps another one as `model`, or under another name."""

    def __init__(self, name: str = "model") -> None:
        super().__init__()
        self.add_module(name, network())


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "_orig_mod.module.", "module.model._orig_mod.", "model.model."]
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_prefixes_of_wrappers_are_taken_off_in_any_order(prefix, suffix, tmp_path):
    trained = network()
    named = {f"{prefix}{name}": value for name, value in trained.state_dict().items()}
    (save_file if suffix == ".safetensors" else torch.save)(named, tmp_path / f"w{suffix}")
    for fresh in (network(), Inside()):
        put_weights(fresh, load_weights(tmp_path / f"w{suffix}"))
        inside = fresh.model if isinstance(fresh, Inside) else fresh
        assert all(torch.equal(value, inside.state_dict()[name]) for name, value in trained.state_dict().items())


def test_a_prefix_that_is_the_models_own_stays():
    model = Inside()
    model.head = nn.Linear(4, 3, bias=False)
    model.head.weight = model.model[0].weight
    trained = {name: value + 1 for name, value in model.state_dict().items() if name != "head.weight"}
    put_weights(model, trained)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in trained.items())


def test_a_prefix_that_remains_is_named():
    theirs = {f"model.net.{name}": value for name, value in network().state_dict().items()}
    with pytest.raises(ModelMismatchError, match=r"all names there begin with 'net\.', which would have to go"):
        put_weights(network(), theirs)
    with pytest.raises(ModelMismatchError, match=r"all names of the model begin with 'net\.'"):
        put_weights(Inside("net"), network().state_dict())
    with pytest.raises(ModelMismatchError) as misfit:
        put_weights(Inside("net"), {"net.0.weight": torch.zeros(3, 4)})
    assert "begin with" not in str(misfit.value)
