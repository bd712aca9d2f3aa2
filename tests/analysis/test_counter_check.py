"""The counter-check finds what was suppressed on purpose, and leaves a healthy task alone."""

from __future__ import annotations

import math

import pytest
import torch
from blind import Blind, labelled, store
from torch import nn

import narrows as nw
import toys
from narrows.analysis.check_results import CheckOptions
from narrows.analysis.counter_check import counter_check, findings
from narrows.analysis.edits import holding, moved, noisy
from narrows.analysis.labelled import Labelled
from narrows.analysis.scoring import compare, outcome, outcome_of, sign_test
from narrows.analysis.states import walked_to
from narrows.errors import DataError
from narrows.production.scores import classification_scores, multilabel_scores, regression_scores
from narrows.subnet import Composition, SubNetwork, positions_of
from narrows.training import accuracy

QUICK = CheckOptions(draws=2, sizes=(0.1, 0.3), steps=2)


def checked(made: nw.TaskStore, task: str = "shop", data: Labelled | None = None, **options):
    return counter_check(
        made.load(task), walked_to(made.directory, task).own, data or labelled(), options=CheckOptions(**options)
    )


@pytest.mark.parametrize("late", [False, True], ids=["from the first step", "when training is over"])
def test_a_feature_that_was_dropped_on_purpose_is_found(late, tmp_path):
    found = checked(store(tmp_path / "s", Blind(late=late)))
    assert [finding.layer for finding in found.findings] == ["0.weight"]
    (finding,) = found.findings
    assert finding.change.gain > 0.2
    assert finding.class_change is not None
    assert finding.class_change.gain > 0.2
    assert "may have been suppressed wrongly" in finding.text()
    assert f'"{finding.class_change.group}"' in finding.text()
    tried = found.layers[0].moved
    assert abs(tried.control.gain) < 0.1 < tried.advantage.gain  # training what was kept brings nothing


@pytest.mark.parametrize("method", [Blind(columns=0), nw.IBM(density=0.5), nw.IBM(density=0.1)], ids=repr)
def test_a_healthy_task_is_not_accused(method, tmp_path):
    found = checked(store(tmp_path / "s", method))
    assert found.baseline > 0.9
    assert found.findings == ()


def test_a_density_that_is_too_low_is_found(tmp_path):
    torch.manual_seed(0)
    made = nw.TaskStore.create(tmp_path / "s", nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 4)), head="2")
    x = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
    y = x[:, :4].argmax(1)
    with made.begin("shop", nw.IBM(density=3 / 144), head=nn.Linear(24, 4)) as task:
        task.fit([(x, y)], nw.Training(120, lr=0.02))
        task.commit()
    assert checked(made, data=Labelled(x, y)).findings


def test_the_score_as_it_is_is_the_accuracy_to_the_last_bit(tmp_path):
    made, data = store(tmp_path / "s", nw.IBM(density=0.5)), labelled()
    model = made.load("shop")
    assert checked(made).baseline == accuracy(model, data.batches())
    assert checked(made).baseline == accuracy(model, [(data.x, data.y)])


@pytest.mark.parametrize("kind", toys.TOYS)
def test_every_network_can_be_checked_and_stays_as_it_is(kind, tmp_path):
    toy = toys.TOYS[kind]
    made = nw.TaskStore.create(tmp_path / "s", toy.make(), head=toy.place)
    for name in ("a", "b"):
        toys.learn(made, name, nw.IBM(density=0.4, prune_every=2), toy)
    files = toys.files(made.path)
    before = Composition(made.shared)
    before.add("a", "shared", made.directory.subnet("a"))
    held = before.masks()
    model, subnet = made.load("b"), walked_to(made.directory, "b").own
    used = subnet.kept_masks()
    x, y = toy.batch(24, 3)
    data = Labelled(x, y, "regression" if toy.width is None else "classification")
    state = toys.state(model)
    found = counter_check(model, subnet, data, earlier=before, options=QUICK)
    assert toys.same(state, toys.state(model))
    assert not toys.hooked(model)
    assert toys.files(made.path) == files
    assert [layer.layer for layer in found.layers] == list(used)
    assert found == counter_check(model, subnet, data, earlier=before, options=QUICK)
    for layer in found.layers:
        offered = int((held[layer.layer] & ~used[layer.layer]).sum())
        assert (layer.kept, layer.offered) == (int(used[layer.layer].sum()), offered)
        assert (layer.put_back is None) == (offered == 0)


def test_many_layers_are_looked_at_where_least_is_kept(tmp_path):
    made = store(tmp_path / "s", Blind())
    found = checked(made, layers=1)
    assert [layer.layer for layer in found.layers] == ["0.weight"]
    assert found.left_out == ("2.weight",)


def test_a_layer_of_which_nothing_is_kept_is_no_trouble():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        model[0].weight.zero_()
    data = Labelled(torch.randn(20, 3), torch.arange(20) % 2)
    (layer,) = counter_check(
        model, SubNetwork.of_masks({"0.weight": torch.zeros(4, 3).bool()}), data, options=QUICK
    ).layers
    assert (layer.perturbed, layer.removed, layer.put_back) == ((), None, None)
    assert layer.moved is not None
    assert layer.moved.control_size == 0


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_handful_of_examples_proves_nothing(count, tmp_path):
    data = labelled().take(torch.arange(count))
    assert checked(store(tmp_path / "s", Blind()), data=data).findings == ()


@pytest.mark.parametrize("dropped", [False, True])
def test_only_the_weights_let_go_move(dropped):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3))
    mask = torch.rand(3, 4) > 0.5
    kept, free = positions_of(mask.flatten()), mask ^ dropped
    own = model[0].weight.detach().clone()
    data = Labelled(torch.randn(64, 4), torch.arange(64) % 3)
    value, size = moved(model, model[0].weight, kept, data, (0.1, 0.3), 2, dropped=dropped)
    assert size > 0
    assert torch.equal(value[~free], own[~free])
    assert not torch.equal(value[free], own[free])
    assert torch.equal(model[0].weight, own)


def test_noise_leaves_dropped_weights_alone_and_is_the_same_for_a_seed():
    weight = torch.randn(5, 5) * (torch.arange(25).reshape(5, 5) % 2)
    assert torch.equal(noisy(weight, 0.3, 1), noisy(weight, 0.3, 1))
    assert not torch.equal(noisy(weight, 0.3, 1), noisy(weight, 0.3, 2))
    assert (noisy(weight, 0.3, 1)[weight == 0] == 0).all()


def test_a_weight_is_put_back_when_measuring_fails():
    weight = nn.Parameter(torch.randn(3))
    own = weight.detach().clone()
    with pytest.raises(ZeroDivisionError), holding(weight, torch.zeros(3)):
        raise ZeroDivisionError
    assert torch.equal(weight, own)


def test_scores_are_those_of_evaluate():
    draw = torch.Generator().manual_seed(0)
    outputs, labels = torch.randn(40, 3, generator=draw), torch.arange(40) % 3
    found = outcome_of(outputs, Labelled(torch.zeros(40, 1), labels))
    assert found.score == classification_scores(outputs, labels)["accuracy"]
    numbers = torch.randn(40, 3, generator=draw)
    found = outcome_of(outputs, Labelled(torch.zeros(40, 1), numbers, "regression"))
    assert found.score == pytest.approx(regression_scores(outputs, numbers, "abc")["r2"])
    holds = (torch.rand(40, 3, generator=draw) > 0.5).float()
    found = outcome_of(outputs, Labelled(torch.zeros(40, 1), holds, "multilabel"))
    assert found.score == pytest.approx(multilabel_scores(outputs, holds)["micro_f1"])


@pytest.mark.parametrize("kind", ["classification", "regression", "multilabel"])
def test_the_standard_error_is_the_spread_over_samples(kind):
    draw = torch.Generator().manual_seed(0)
    scores, errors = [], []
    for _ in range(300):
        truth = torch.randn(100, 2, generator=draw)
        outputs = truth + 0.7 * torch.randn(100, 2, generator=draw)
        y = {"classification": truth.argmax(1), "regression": truth, "multilabel": (truth > 0).float()}[kind]
        found = outcome_of(outputs, Labelled(torch.zeros(100, 1), y, kind))
        scores.append(found.score)
        errors.append(found.error)
    spread = float(torch.tensor(scores).std())
    assert sum(errors) / 300 == pytest.approx(spread, rel=0.25)


def test_a_shift_from_one_class_to_another_is_no_finding():
    y = torch.arange(400) % 2
    before = outcome_of(torch.tensor([[1.0, 0.0]]).repeat(400, 1), Labelled(torch.zeros(400, 1), y))
    after = outcome_of(torch.tensor([[0.0, 1.0]]).repeat(400, 1), Labelled(torch.zeros(400, 1), y))
    assert compare(before, after).gain == 0
    assert compare(before, after).p == pytest.approx(0.5, abs=0.03)


def test_chance_of_gains_is_exact():
    assert sign_test(10, 0) == 2**-10
    assert sign_test(700, 700) == pytest.approx(0.5, abs=0.02)
    assert math.isclose(sign_test(3, 1), 5 / 16)


def test_outputs_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="outputs"):
        outcome(nn.Flatten(0), Labelled(torch.zeros(4, 1), torch.zeros(4).long()))
    with pytest.raises(DataError, match="above 0"):
        Labelled(torch.zeros(0, 1), torch.zeros(0).long())
    with pytest.raises(DataError, match="none of a multilabel"):
        Labelled(torch.zeros(2, 1), torch.zeros(2).long(), "multilabel")


def test_a_threshold_of_nothing_finds_nothing(tmp_path):
    found = checked(store(tmp_path / "s", Blind()))
    assert findings(found.layers[0], found.score, 0.0) == ()
