"""What every method promises of every network: old tasks stay as they are, and the account is true."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import narrows as nw
from narrows.methods import Learner
from narrows.store.compose import composed
from narrows.subnet import SubNetwork
from narrows.training import read_history
from toys import METHODS, TOYS, Toy, files, hooked, logits, same, state, violations

CLASSES = {"a": 3, "b": 5, "c": 2}
STEPS = 10


@dataclass
class Life:
    """A store that learned three tasks, and what was seen meanwhile."""

    toy: Toy
    method: nw.Method
    model: nn.Module
    before: dict[str, Tensor]
    store: nw.TaskStore
    broken: list[str] = field(default_factory=list)
    trained: dict[str, tuple[dict[str, Tensor], Tensor]] = field(default_factory=dict)
    loaded: dict[tuple[str, str], tuple[dict[str, Tensor], Tensor]] = field(default_factory=dict)
    on_disk: dict[str, dict[str, str]] = field(default_factory=dict)
    frozen: dict[str, int] = field(default_factory=dict)

    @property
    def refines(self) -> bool:
        """Whether the method may give a frozen weight a second value."""
        return bool(getattr(self.method, "refines", False))

    def gauge(self, learner: Learner) -> None:
        """Notes where what the learner tells of itself is not what its masks say, or is not cheap in chance."""
        chance, before = torch.get_rng_state(), [param.detach().clone() for param in learner.shared.params]
        sizes, alpha, total = learner.sizes(), learner.log_alpha(), learner.shared.total()
        used, claimed = (sum(int(mask.sum()) for mask in masks) for masks in (learner.masks, learner.claims))
        if (sizes.new, sizes.reused) != (claimed / total, (used - claimed) / total):
            self.broken.append(f"signals: {sizes} of {used}, {claimed}")
        if (alpha is not None) != (self.method.name == "ibm"):
            self.broken.append(f"log_alpha: {alpha}")
        if alpha is not None and (alpha.shape != (used,) or not bool(torch.isfinite(alpha).all())):
            self.broken.append(f"log_alpha of {used} weights: {alpha}")
        now = [param.detach() for param in learner.shared.params]
        if not torch.equal(chance, torch.get_rng_state()) or not all(map(torch.equal, before, now)):
            self.broken.append("signals: something moved")

    def look(self, model: nn.Module, name: str) -> tuple[dict[str, Tensor], Tensor]:
        x, _ = self.toy.batch(7, CLASSES[name], seed=9)
        out = logits(model, x)
        return state(model), out

    def learn(self, name: str) -> None:
        self.frozen[name] = sum(int(mask.sum()) for mask in composed(self.store.directory).masks().values())
        with self.store.begin(name, self.method, head=self.toy.head(CLASSES[name])) as task:
            if name == "c":
                batches = [self.toy.batch(8, CLASSES[name], seed) for seed in (1, 2)]
                checks = [lambda _: self.broken.extend(violations(task)), lambda _: self.gauge(task._learner)]
                check = {"callbacks": checks}
                task.fit(batches, nw.Training(STEPS // 2, loss=self.toy.loss, examples=16, batch_size=8), **check)
            else:
                self.train(task, name)
            task.commit()
        self.trained[name] = self.look(task.model, name)
        for known in self.store.directory.task_names():
            self.loaded[name, known] = self.look(self.store.load(known), known)
        self.on_disk[name] = files(self.store.path / "tasks")

    def train(self, task: nw.Task, name: str) -> None:
        plan = {"total_steps": STEPS, "examples": 16, "batch_size": 8, "weight_decay": 0.1}
        if name == "a":
            optimizer = task.optimizer(torch.optim.SGD, lr=0.05, momentum=0.9, **plan)
        else:
            optimizer = task.optimizer(torch.optim.AdamW, lr=0.01, **plan)
        self.broken += violations(task)
        for step in range(STEPS):
            x, y = self.toy.batch(8, CLASSES[name], seed=step % 2)
            with task.sample():
                self.toy.loss(task.model(x), y).backward()
            self.broken += violations(task)
            optimizer.step()
            optimizer.zero_grad()
            self.broken += violations(task)
            self.gauge(task._learner)

    def count(self, name: str, what: str) -> int:
        return sum(getattr(layer, what) for layer in self.store.explain(name))


EVERYWHERE = ("laplace", "hat")
"""On every network: the method taken where none is named, and the one that looks at layers and not at tensors."""
SOME = ("multiplicative", "magnitude-ib", "supsup", "wsn-ib", "packnet")
"""On a network of each kind: one of each family. The others are these with other options, or keep nothing apart."""
KINDS = ("mlp", "grouped", "batchnorm", "attention", "tied", "regression")
"""Dense, of filters, with running statistics, of several inputs, with a shared matrix, without a head."""
FEW = ("mlp", "tied")
NETWORKS = {method: KINDS if method in SOME else FEW for method in METHODS} | dict.fromkeys(EVERYWHERE, tuple(TOYS))
LIVES = [(toy, method) for method, toys in NETWORKS.items() for toy in toys]


@pytest.fixture(scope="module", params=LIVES, ids="-".join)
def life(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Life:
    toy, method = TOYS[request.param[0]], METHODS[request.param[1]]
    model = toy.make()
    life = Life(
        toy,
        method,
        model,
        state(model),
        nw.TaskStore.create(tmp_path_factory.mktemp("life") / "store", model, head=toy.place),
    )
    for name in CLASSES:
        life.learn(name)
    return life


def test_older_tasks_are_bit_identical(life: Life) -> None:
    forgets = life.method.isolation == "none"
    for known, then in (("a", "b"), ("a", "c"), ("b", "c")):
        first, now = life.loaded[known, known], life.loaded[then, known]
        assert same(first[0], now[0]) != forgets
        assert torch.equal(first[1], now[1]) != forgets
        assert life.on_disk[known].items() <= life.on_disk[then].items()


def test_load_gives_the_trained_model(life: Life) -> None:
    for name in CLASSES:
        trained, loaded = life.trained[name], life.loaded[name, name]
        assert same(trained[0], loaded[0])
        assert torch.equal(trained[1], loaded[1])
        model = life.store.load(name)
        assert not model.training
        assert not hooked(model)
        reference = copy.deepcopy(life.model)
        if life.toy.width is not None:
            reference.head = nn.Linear(life.toy.width, CLASSES[name])
        assert list(model.state_dict()) == list(reference.state_dict())
        assert type(model) is type(life.model)
        assert all(param.requires_grad for param in model.parameters())


def test_the_users_model_is_untouched(life: Life) -> None:
    assert same(life.before, state(life.model))
    assert life.model.training
    assert not hooked(life.model)
    assert all(param.grad is None for param in life.model.parameters())


def test_the_history_is_that_of_the_sub_network(life: Life) -> None:
    for record in life.store.tasks():
        history = read_history(record.history)
        assert history is not None
        assert [point.step for point in history.points] == list(range(1, STEPS + 1))
        start, stop = history.schedule.prune_from, history.schedule.prune_until
        assert (start is None) == (stop is None)
        if stop is not None:  # from there on, what is kept is what was committed
            used = sum(layer.used for layer in life.store.explain(record.name))
            total = sum(layer.weights for layer in life.store.explain(record.name))
            assert history.points[-1].density == pytest.approx(used / total, rel=1e-3)
            assert stop <= STEPS


def test_isolation_holds_at_every_step(life: Life) -> None:
    assert life.broken == []


def test_the_account_is_true(life: Life) -> None:
    subnets = {name: life.store.directory.subnet(name) for name in CLASSES}
    kept, own = (
        {name: masks(subnet) for name, subnet in subnets.items()}
        for masks in (SubNetwork.kept_masks, SubNetwork.claimed_masks)
    )
    total = sum(spec.numel for spec in life.store.shared)
    for position, record in enumerate(life.store.tasks()):
        earlier = list(CLASSES)[:position]
        reused_from = set()
        for layer in life.store.explain(record.name):
            used, claimed = (masks[record.name][layer.name] for masks in (kept, own))
            assert (layer.weights, layer.used, layer.claimed) == (used.numel(), int(used.sum()), int(claimed.sum()))
            assert layer.reused == int((used & ~claimed).sum())
            assert layer.density == layer.used / layer.weights
            assert layer.nats is None or layer.nats >= 0
            if life.method.isolation == "shared":
                reused, before = used & ~claimed, torch.zeros_like(used)
                for name in reversed(earlier):  # the latest that claimed a weight is whose value is reused
                    theirs = own[name][layer.name]
                    reused_from |= {name} if (reused & theirs & ~before).any() else set()
                    before |= theirs
                assert not (reused & ~before).any()
                assert life.refines or not (claimed & before).any()
        assert set(record.parents) == reused_from
        assert record.isolation == life.method.isolation
    claimed = sum(life.count(name, "claimed") for name in CLASSES)
    expected = {"shared": claimed / total, "own": 3.0, "none": 1.0}
    assert life.store.values_kept() == expected[life.method.isolation]
    assert life.store.verify(deep=True) == []


def test_budgets_are_met_exactly(life: Life) -> None:
    total = sum(spec.numel for spec in life.store.shared)
    for name in CLASSES:
        new, reused = life.count(name, "claimed"), life.count(name, "reused")
        if isinstance(life.method, nw.Magnitude) or (isinstance(life.method, nw.IBM) and not life.method.uses_price):
            budget = life.method.budget(total, life.frozen[name])
            assert new == budget.new
            # What is refined is not reused, and there may be too few frozen weights for both.
            spare = life.frozen[name] - new if life.refines else budget.reuse
            assert min(spare, budget.reuse) <= reused <= budget.reuse
        elif isinstance(life.method, nw.IBM):
            assert 0 < new + reused <= total
        elif isinstance(life.method, nw.WSN | nw.SupSup):
            layers = life.store.explain(name)
            assert [layer.used for layer in layers] == [max(1, int(0.3 * layer.weights)) for layer in layers]
        elif isinstance(life.method, nw.HAT):
            assert all(layer.used > 0 for layer in life.store.explain(name))
        elif isinstance(life.method, nw.PackNet):
            assert reused == life.frozen[name], "all of the frozen weights are in use"
        else:
            assert (new, reused) == (total, 0)


def test_one_example_at_a_time(life: Life) -> None:
    model = life.store.load("b")
    x, _ = life.toy.batch(4, CLASSES["b"], seed=3)
    one_by_one = torch.cat([logits(model, x[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(one_by_one, logits(model, x))


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_configuration_survives_json(method: nw.Method) -> None:
    config = json.loads(json.dumps(method.config()))
    assert nw.make_method(method.name, config) == method
    assert nw.METHODS[method.name] is type(method)
    as_text: dict[str, Any] = {key: str(value) for key, value in config.items()}
    assert nw.make_method(method.name, as_text) == method


def test_every_method_is_held_to_the_contract() -> None:
    assert {method.name for method in METHODS.values()} == set(nw.METHODS)
