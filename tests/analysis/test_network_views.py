"""First-layer filters, connections and attribution, on every kind of network."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import torch
from torch import nn

import narrows as nw
import toys
from narrows.analysis.attribution import leaning
from narrows.analysis.connections import connections
from narrows.analysis.filters import first_filters
from narrows.analysis.inputs import TaskInputs, inputs_of
from narrows.analysis.labelled import Labelled
from narrows.analysis.layers import layers_of
from narrows.analysis.states import walked_to
from narrows.data import CategoryColumn, NumberColumn, Schema, TableInputs, Target
from narrows.subnet import SubNetwork

METHOD = nw.IBM(density=0.4, prune_every=2)


@pytest.fixture(scope="module", params=list(toys.TOYS))
def learned(request, tmp_path_factory):
    """(toy, network, what it keeps, head's path, examples) of a task on each toy network."""
    toy = toys.TOYS[request.param]
    store = nw.TaskStore.create(tmp_path_factory.mktemp("toy") / "s", toy.make(), head=toy.place)
    toys.learn(store, "a", METHOD, toy)
    x, y = toy.batch(16, 3)
    data = Labelled(x, y, "regression" if toy.width is None else "classification")
    return toy, store.load("a"), walked_to(store.directory, "a").own, None if toy.width is None else "head", data


def test_no_view_changes_the_network(learned):
    _, model, subnet, head, data = learned
    model.train()
    model.one.weight.requires_grad_(False) if hasattr(model, "one") else None
    before, asking = toys.state(model), [param.requires_grad for param in model.parameters()]
    leaning(model, subnet.parts, data)
    connections("a", model, subnet, head=head, sample=data.x)
    assert toys.same(before, toys.state(model))
    assert not toys.hooked(model)
    assert all(module.training for module in model.modules())
    assert [param.requires_grad for param in model.parameters()] == asking
    model.eval().requires_grad_()


def test_every_kept_weight_goes_into_one_unit_and_comes_from_one_input(learned):
    _, model, subnet, _, _ = learned
    for layer in layers_of(model, subnet.parts):
        mask = subnet.kept_mask(layer.parameter).double()
        assert layer.per_unit(mask).sum() == layer.per_input(mask).sum() == mask.sum()


def test_connections_count_the_kept_weights_of_every_layer(learned):
    _, model, subnet, head, data = learned
    found = connections("a", model, subnet, head=head, sample=data.x)
    assert {layer.parameter for layer in found.layers} == set(subnet.parts)
    for layer in found.layers:
        assert sum(layer.kept_in) == len(subnet.parts[layer.parameter].kept)
        if layer.reader is not None:
            assert len(layer.kept_on) == len(layer.kept_in)
    assert sum(found.inputs.kept) == len(subnet.parts[found.inputs.parameter].kept)
    json.dumps(asdict(found), allow_nan=False)


def test_every_layer_that_is_called_has_units_that_it_leans_on(learned):
    toy, model, subnet, _, data = learned
    found = leaning(model, subnet.parts, data)
    layers = {layer.layer for layer in found.layers}
    uncalled = {"attention"}  # its input projection is a function; the output one is called as a module of its own
    assert {layer.name for layer in layers_of(model, subnet.parts)} - layers <= uncalled
    assert (found.inputs == () and found.pixels is None) == bool(toy.words)
    for layer in found.layers:
        assert max(layer.units) > 0
    json.dumps(asdict(found), allow_nan=False)


def test_leaning_is_a_mean_over_examples_whatever_the_batch(learned):
    _, model, subnet, _, data = learned
    whole, parts = (leaning(model, subnet.parts, Labelled(data.x, data.y, data.kind, batch=batch)) for batch in (16, 3))
    assert whole.inputs == pytest.approx(parts.inputs, rel=1e-3, abs=1e-6)
    for one, other in zip(whole.layers, parts.layers, strict=True):
        assert one.units == pytest.approx(other.units, rel=2e-3, abs=1e-6)


def test_a_unit_that_leans_on_nothing_kept_is_dead():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 2))
    masks = {"0.weight": torch.ones(3, 1, 3, 3).bool(), "3.weight": torch.ones(4, 12).bool()}
    masks["0.weight"][1] = False  # nothing into the second channel
    masks["3.weight"][:, 8:] = False  # nothing on from the third
    with torch.no_grad():
        for name, mask in masks.items():
            model.get_parameter(name).mul_(mask)
    subnet = SubNetwork.of_masks(masks)
    found = connections("a", model, subnet, head="5", inputs=TaskInputs.of_shape((1, 4, 4)))
    conv, linear = found.layers
    assert (conv.reader, conv.dead, conv.kept_on) == ("3", (1, 2), (16, 16, 0))
    assert (linear.reader, linear.dead) == ("5", ())
    data = Labelled(torch.randn(32, 1, 4, 4), torch.arange(32) % 2)
    assert set(leaning(model, subnet.parts, data).layers[0].silent) >= {2}


class Skips(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        x = self.one(x)
        return self.head(x + self.two(x))


def test_a_skip_connection_leaves_the_reader_open():
    model = Skips()
    subnet = SubNetwork.of_masks({name: torch.ones(4, 4).bool() for name in ("one.weight", "two.weight")})
    found = connections("a", model, subnet, head="head", inputs=TaskInputs((4,)))
    assert [layer.reader for layer in found.layers] == [None, "head"]
    assert found.layers[0].kept_on == ()


def test_gradient_times_input_is_the_effect_of_each_column_in_a_linear_network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2, bias=False))
    x, y = torch.randn(50, 3), torch.arange(50) % 2
    units = [float((model(x).detach()[:, c] * (y == c)).abs().mean()) for c in (0, 1)]
    expected = (model[0].weight.detach()[y] * x).abs().mean(0)
    found = leaning(model, ["0.weight"], Labelled(x, y))
    assert found.inputs == pytest.approx(expected.tolist(), rel=1e-3)
    assert found.layers[0].units == pytest.approx(units, rel=1e-3)


def test_filters_are_the_weights_of_the_first_layer(learned):
    toy, model, subnet, _, _ = learned
    found = first_filters("a", model, subnet, TaskInputs.of_shape(toy.shape))
    layer = layers_of(model, subnet.parts)[0]
    if toy.words or isinstance(layer.module, nn.LSTM | nn.MultiheadAttention) or toy.shape[0] == 4:
        assert found is None  # words, sequences, and images of four channels are no pictures
        return
    assert found.layer == layer.parameter
    weight = layer.weight.detach()
    shown = weight[list(found.units)]
    shown = shown.permute(0, 2, 3, 1) if shown.dim() == 4 else shown
    assert found.weights.values == pytest.approx(shown.double().numpy(), abs=float(weight.abs().max()) / 127)
    assert found.kept.pixels.sum() == 255 * len(subnet.parts[found.layer].kept)


def test_a_linear_layer_over_images_gives_small_images():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 5, 2))
    subnet = SubNetwork.of_masks({"1.weight": torch.ones(2, 60).bool()})
    found = first_filters("a", model, subnet, TaskInputs.of_shape((3, 4, 5)), most=1)
    assert (found.kind, found.weights.shape, found.count) == ("images", (1, 4, 5, 3), 2)
    (unit,) = found.units
    expected = model[1].weight.detach()[unit].reshape(3, 4, 5).permute(1, 2, 0).double().numpy()
    assert found.weights.values[0] == pytest.approx(expected, abs=0.01)


def test_a_table_has_its_columns_named():
    table = TableInputs((NumberColumn("age", 1.0, 0.0, 1.0),), (CategoryColumn("colour", ("red", "green")),), 4)
    schema = Schema(table, Target("classification", ("no", "yes"), ("y",), True, (), (), "asked for"))
    inputs = TaskInputs.of_schema(schema)
    assert inputs.names == ("age", "colour = red", "colour = green", "(zero 1)")
    model = nn.Sequential(nn.Linear(4, 2))
    subnet = SubNetwork.of_masks({"0.weight": torch.ones(2, 4).bool()})
    assert first_filters("a", model, subnet, inputs).columns == inputs.names
    assert connections("a", model, subnet, inputs=inputs).inputs.names == inputs.names
    assert (
        leaning(model, subnet.parts, Labelled(torch.randn(8, 4), torch.arange(8) % 2, inputs=inputs)).names
        == inputs.names
    )


def test_inputs_are_known_from_the_result_where_there_is_no_schema(tmp_path):
    store = nw.TaskStore.create(tmp_path / "s", toys.MLP.make(), head=toys.MLP.place)
    toys.learn(store, "a", METHOD)
    record = store.tasks()[0]
    assert inputs_of(record) is None
    assert inputs_of(record, {"input_shape": [1, 8, 8]}) == TaskInputs((1, 8, 8), "images")
    assert inputs_of(record, {"input_shape": "large"}) is None
