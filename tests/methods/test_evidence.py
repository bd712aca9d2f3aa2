"""No weight is chosen without evidence: backbones frozen at first, unused branches, layers that join late."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

import narrows as nw
from checkpoints import Memory, stop_at
from narrows.errors import ConfigError, OptimizerError
from narrows.methods import Extent
from narrows.methods.information import FisherAverage
from toys import MLP, TOYS, weights

STEPS = 240
GRADIENT_SCORED: dict[str, nw.Method] = {
    "laplace": nw.IBM(density=0.1),
    "price": nw.IBM(beta=1e-4),
    "multiplicative": nw.IBM(density=0.1, estimator="variational"),
    "additive": nw.IBM(density=0.1, estimator="variational", gates="additive"),
    "magnitude-ib": nw.Magnitude(density=0.1, score="ib"),
    "packnet-ib": nw.PackNet(keep=0.1, score="ib"),
}
DRAWN: dict[str, nw.Method] = {
    "wsn": nw.WSN(density=0.2),
    "wsn-gradual": nw.WSN(density=0.2, schedule="gradual"),
    "wsn-ib": nw.WSN(density=0.2, score="ib"),
    "supsup": nw.SupSup(),
    "hat": nw.HAT(),
}


class Net(nn.Module):
    """Digits; a backbone, a layer after it, and a branch that the forward may leave out."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
        self.branch = nn.Linear(48, 48)
        self.top = nn.Linear(48, 48)
        self.head = nn.Linear(48, 10)
        self.detached, self.branched = False, True

    def forward(self, x: Tensor) -> Tensor:
        x = self.backbone(x)
        x = x.detach() if self.detached else x
        x = x + torch.relu(self.branch(x)) if self.branched else x
        return self.head(torch.relu(self.top(x)))


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    found = load_digits()
    return torch.tensor(found.data).float() / 16, torch.tensor(found.target)


Freeze = Callable[[nw.Task, torch.optim.Optimizer, bool], None]


def toggled(task: nw.Task, _: torch.optim.Optimizer, frozen: bool) -> None:
    task.model.backbone.requires_grad_(not frozen)


def detached(task: nw.Task, _: torch.optim.Optimizer, frozen: bool) -> None:
    task.model.detached = frozen


def no_gradients(task: nw.Task, _: torch.optim.Optimizer, frozen: bool) -> None:
    for param in task.model.backbone.parameters():
        param.grad = None if frozen else param.grad


def zero_gradients(task: nw.Task, _: torch.optim.Optimizer, frozen: bool) -> None:
    for param in task.model.backbone.parameters():
        param.grad.mul_(0 if frozen else 1)


def no_rate(_: nw.Task, optimizer: torch.optim.Optimizer, frozen: bool) -> None:
    optimizer.param_groups[0]["lr"] = 0.0 if frozen else 6e-3


BEFORE_FORWARD = {"toggled": toggled, "detached": detached, "no rate": no_rate}
BEFORE_STEP = {"no gradients": no_gradients, "zero gradients": zero_gradients}


def trained(
    path: Path, method: nw.Method, data: tuple[Tensor, Tensor], freeze: str = "", until: int = 0, net: Any = None
) -> tuple[float, Any]:
    """Accuracy on other digits of the task as it is loaded, and its record."""
    torch.manual_seed(0)
    store = nw.TaskStore.create(path / "store", Net() if net is None else net, head="head")
    x, y = data
    with store.begin("t", method, head=nn.Linear(48, 10)) as task:
        groups: Any = None
        if freeze == "no rate":
            rest = [param for name, param in task.model.named_parameters() if not name.startswith("backbone")]
            groups = [{"params": list(task.model.backbone.parameters())}, {"params": rest}]
        if freeze == "toggled":
            task.model.backbone.requires_grad_(False)
        plan = {"total_steps": STEPS, "examples": 1000, "batch_size": 64}
        optimizer = task.optimizer(torch.optim.Adam, groups, lr=6e-3, **plan)
        for step in range(STEPS):
            rows = torch.randint(1000, (64,))
            if freeze in BEFORE_FORWARD:
                BEFORE_FORWARD[freeze](task, optimizer, step < until)
            with task.sample():
                F.cross_entropy(task.model(x[rows]), y[rows]).backward()
            if freeze in BEFORE_STEP:
                BEFORE_STEP[freeze](task, optimizer, step < until)
            optimizer.step()
            optimizer.zero_grad()
        record = task.commit()
    loaded = store.load("t")
    loaded.detached = False
    return float((loaded(x[1000:]).argmax(1) == y[1000:]).float().mean()), record


def frozen_for_half(path: Path, method: nw.Method, digits: tuple[Tensor, Tensor], freeze: str, least: float) -> None:
    accuracy, record = trained(path, method, digits, freeze, STEPS // 2)
    assert accuracy > least
    assert all(layer["used"] for layer in record.layers.values())
    assert record.history["prune_from"] >= STEPS // 2, "the history says when it was, not when it was planned"


@pytest.mark.filterwarnings("ignore:.*had no gradient in")
@pytest.mark.parametrize("freeze", [*BEFORE_FORWARD, *BEFORE_STEP])
def test_a_backbone_frozen_for_the_first_half_keeps_its_accuracy(
    tmp_path: Path, digits: tuple[Tensor, Tensor], freeze: str
) -> None:
    """Without waiting: .10, .10, .81, .10, .10; never frozen: .89; dense: .90."""
    frozen_for_half(tmp_path, nw.IBM(density=0.1), digits, freeze, 0.85)


@pytest.mark.parametrize("method", GRADIENT_SCORED.values(), ids=GRADIENT_SCORED)
def test_every_method_that_scores_by_gradients_waits_for_them(
    tmp_path: Path, digits: tuple[Tensor, Tensor], method: nw.Method
) -> None:
    frozen_for_half(tmp_path, method, digits, "toggled", 0.5)  # .10 without waiting


def test_what_was_never_frozen_is_pruned_when_it_was_planned(tmp_path: Path, digits: tuple[Tensor, Tensor]) -> None:
    accuracy, record = trained(tmp_path, nw.IBM(density=0.1), digits)
    assert accuracy > 0.85
    assert (record.history["prune_from"], record.history["prune_until"]) == (12, 144)


def unused() -> Net:
    net = Net()
    net.branched = False
    return net


@pytest.mark.parametrize("method", GRADIENT_SCORED.values(), ids=GRADIENT_SCORED)
def test_a_branch_that_is_not_used_is_named_with_the_remedy_and_nothing_is_committed(
    tmp_path: Path, digits: tuple[Tensor, Tensor], method: nw.Method
) -> None:
    with (
        pytest.warns(UserWarning, match=r"branch\.weight had no gradient in \d+ steps.*error if there is none at step"),
        pytest.raises(OptimizerError, match=r"branch\.weight had no gradient in 1(92|80) steps.*private=.*set it to 0"),
    ):
        trained(tmp_path, method, digits, net=unused())
    assert not nw.TaskStore.open(tmp_path / "store").tasks()


def test_the_remedies_for_a_branch_that_is_not_used(tmp_path: Path, digits: tuple[Tensor, Tensor]) -> None:
    net = unused()
    torch.nn.init.zeros_(net.branch.weight)
    assert trained(tmp_path / "zero", nw.IBM(density=0.1), digits, net=net)[0] > 0.85
    net.branch.requires_grad_(False)
    assert trained(tmp_path / "fixed", nw.IBM(density=0.1), digits, net=net)[0] > 0.85


def test_a_layer_that_starts_at_0_and_is_frozen_is_waited_for() -> None:
    shared = weights({"a": (6, 5), "b": (4, 6)})
    with torch.no_grad():
        shared.params[0].zero_()
    shared.params[0].requires_grad_(False)
    learner: Any = nw.IBM(density=0.3).learner(shared, Extent(40), None)
    for step in range(40):
        if step == 15:
            shared.params[0].requires_grad_(True)
        for param in shared.params:
            param.grad = torch.randn_like(param) if param.requires_grad else None
        learner.before_step()
        with torch.no_grad():
            for param in shared.params:
                param.sub_(0 if param.grad is None else param.grad)
        learner.after_step()
        assert step >= 15 or all(bool(mask.all()) for mask in learner.masks)
    assert int(learner.masks[0].sum()) > 0


@pytest.mark.filterwarnings("ignore:.*had no gradient in")
def test_a_layer_that_gets_its_first_gradient_late_is_chosen_by_it(
    tmp_path: Path, digits: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(task: nw.Task, _: torch.optim.Optimizer, frozen: bool) -> None:
        task.model.branched = not frozen

    monkeypatch.setitem(BEFORE_FORWARD, "late", late)
    _, record = trained(tmp_path, nw.IBM(density=0.1), digits, "late", 100)
    assert record.layers["branch.weight"]["used"]
    assert record.history["prune_from"] > 100


def test_training_that_ends_before_the_first_gradient_is_refused(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    with store.begin("t", nw.IBM(density=0.5), head=MLP.head(2)) as task:
        task.model.one.requires_grad_(False)
        optimizer = task.optimizer(torch.optim.SGD, lr=0.1, total_steps=1000)
        x, y = MLP.batch(8, 2)
        F.cross_entropy(task.model(x), y).backward()
        optimizer.step()
        with pytest.raises(OptimizerError, match=r"one\.weight had no gradient in 1 steps"):
            task.commit()
    assert not store.tasks()


@pytest.mark.parametrize("method", DRAWN.values(), ids=DRAWN)
def test_where_a_drawn_choice_was_never_learned_it_is_said(
    tmp_path: Path, digits: tuple[Tensor, Tensor], method: nw.Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_evidence.STEPS", 4)
    with pytest.warns(UserWarning, match=rf"{method.name}: branch\.weight had no gradient in all of training"):
        trained(tmp_path, method, digits, net=unused())


@pytest.mark.parametrize("name", ["multiplicative", "hat"])
def test_gates_without_a_gradient_hold_still(name: str) -> None:
    """Their price alone would shut them."""
    shared = weights({"a": (6, 5), "b": (4, 6)})
    learner: Any = (GRADIENT_SCORED | DRAWN)[name].learner(shared, Extent(100, 64, 8), None)
    groups = [group["params"] for group in learner.parameter_groups()]
    gates = [gate for group in groups for gate in group]
    before = [gate.detach().clone() for gate in gates]
    optimizer = torch.optim.Adam([{"params": shared.params}, {"params": gates}], lr=0.1)
    for _ in range(3):
        with learner.sample():
            shared.params[1].sum().backward()
        learner.before_step()
        optimizer.step()
        learner.after_step()
    moved = [not torch.equal(gate.detach(), value) for gate, value in zip(gates, before, strict=True)]
    if name == "hat":  # two of each parameter: of what goes out, and of what comes in
        assert moved[:2] == [False, False]
        assert any(moved[2:])
    else:  # begun anew as long as the other waits
        assert moved[0] is False


def flat(values: list[Tensor]) -> Tensor:
    return torch.cat([value.flatten() for value in values])


@pytest.mark.parametrize("nothing", [None, 0.0], ids=["none", "zeros"])
@pytest.mark.parametrize("decay", [0.95, 0.5, 0.0])
def test_an_average_counts_the_gradients_of_its_own_parameter(decay: float, nothing: float | None) -> None:
    """F is the mean of the squared gradients there were, weighed by decay^(steps ago), whatever was in between."""
    shared = weights({"a": (3, 2), "b": (4,), "c": (2, 2)})
    fisher = FisherAverage(shared, "ibm", decay)
    seen = {"a": lambda _: True, "b": lambda step: step < 5 or step > 60, "c": lambda step: step % 7 == 3}
    sums, shares = [torch.zeros(param.shape).double() for param in shared.params], [0.0] * 3
    last = list(zip(sums, shares, strict=True))
    for step in range(80):
        for at, (name, param) in enumerate(zip(shared.names, shared.params, strict=True)):
            has = seen[name](step)
            param.grad = torch.randn_like(param) if has else None if nothing is None else torch.zeros_like(param)
            weighed = (1 - decay) * has
            sums[at] = decay * sums[at] + (weighed * param.grad.double() ** 2 if has else 0)
            shares[at] = decay * shares[at] + weighed
            if decay == 0 and not has:  # all of an average without memory is its last gradient
                sums[at], shares[at] = last[at]
        last = list(zip(sums, shares, strict=True))
        fisher.add()
        for param, score, total, share in zip(shared.params, fisher.scores(shared.params), sums, shares, strict=True):
            expected = param.detach().double() ** 2 * (total / share if share else 1.0)
            torch.testing.assert_close(score.double(), expected, rtol=2e-4, atol=1e-12)


def test_a_layer_without_a_gradient_for_long_counts_in_full_and_gives_way_to_the_next_one() -> None:
    shared = weights({"a": (50,), "b": (50,)})
    fisher, ones = FisherAverage(shared, "ibm", 0.95), [torch.ones(50), torch.ones(50)]
    for step in range(2000):
        shared.params[0].grad = torch.full((50,), 3.0)
        shared.params[1].grad = torch.full((50,), 2.0) if step < 5 else None
        fisher.add()
    torch.testing.assert_close(flat(fisher.scores(ones)), flat([torch.full((50,), 9.0), torch.full((50,), 4.0)]))
    shared.params[1].grad = torch.full((50,), 5.0)
    fisher.add()
    torch.testing.assert_close(fisher.scores(ones)[1], torch.full((50,), 25.0))


def test_units_that_never_fire_are_no_cause_for_a_word(tmp_path: Path) -> None:
    """Their weights have no gradient, and leave first, the smallest before the others."""
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    with store.begin("t", nw.IBM(density=0.8, prune_every=1), head=MLP.head(2)) as task:
        with torch.no_grad():
            task.model.one.bias[:8] = -1000.0  # half of the first layer is dead
        task.fit([MLP.batch(16, 2)], nw.Training(20), progress=False)
        kept = task._learner.masks[0][:8]
        first = MLP.make().one.weight[:8].abs()
        assert 0 < int(kept.sum()) < kept.numel()
        assert first[kept].min() >= first[~kept].max()
        task.commit()


def test_wsn_takes_the_largest_weights_where_there_is_no_gradient() -> None:
    shared = weights({"a": (10, 12), "b": (4, 20)})
    dense = shared.params[0].detach().clone()
    learner: Any = nw.WSN(density=0.25, score="ib").learner(shared, Extent(), None)
    for _ in range(3):
        shared.params[1].grad = torch.randn(4, 20)
        learner.before_step()
        learner.after_step()
    kept = learner.masks[0]
    size = dense.abs()
    assert int(kept.sum()) == 30
    assert size[kept].min() >= size[~kept].max()


@pytest.mark.parametrize("name", ["laplace", "multiplicative", "packnet-ib", "wsn-ib"])
def test_a_task_interrupted_while_it_waits_ends_where_it_would_have_ended(tmp_path: Path, name: str) -> None:
    method, ends = (GRADIENT_SCORED | DRAWN)[name], []
    for stops in ([], [4], [12, 17]):
        store = nw.TaskStore.create(tmp_path / str(stops), TOYS["batchnorm"].make(), head="head")
        memory = Memory()
        for stop in [*stops, 0]:
            torch.manual_seed(3)
            with store.begin("t", method, head=nn.Linear(8, 3)) as task:
                task.model.one.requires_grad_(not stops or stop == 17 or (stop == 0 and stops[-1] > 10))

                def thaw(step: Any, task: nw.Task = task) -> None:
                    task.model.one.requires_grad_(step.step >= 10)

                if not stops:
                    task.model.one.requires_grad_(False)
                batches = [TOYS["batchnorm"].batch(8, 3, seed) for seed in range(4)]
                try:
                    calls = [thaw, stop_at(stop)] if stop else [thaw]
                    task.fit(
                        batches,
                        nw.Training(6, examples=32, batch_size=8),
                        checkpoint=memory,
                        callbacks=calls,
                        progress=False,
                    )
                except KeyboardInterrupt:
                    continue
                task.commit()
        ends.append({key: value.clone() for key, value in store.load("t").state_dict().items()})
    for end in ends[1:]:
        assert all(torch.equal(ends[0][key], end[key]) for key in end)


def test_a_checkpoint_of_an_earlier_form_is_refused_and_not_misread(tmp_path: Path) -> None:
    store, memory = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place), Memory()
    batches = [MLP.batch(8, 2)]
    with (
        pytest.raises(KeyboardInterrupt),
        store.begin("t", nw.IBM(density=0.5), head=MLP.head(2)) as task,
    ):
        task.fit(batches, nw.Training(6), checkpoint=memory, callbacks=[stop_at(3)], progress=False)
    memory.tree["plan"]["format"] = 1
    with (
        store.begin("t", nw.IBM(density=0.5), head=MLP.head(2)) as task,
        pytest.raises(ConfigError, match="format was 1 and is 4"),
    ):
        task.fit(batches, nw.Training(6), checkpoint=memory, progress=False)
