"""What frameworks do with optimizers: wrap, copy, combine and restore them. Nothing of it goes wrong unseen."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import narrows as nw
from narrows.errors import ModelMismatchError, OptimizerError
from narrows.training.step_hooks import UNSEEN
from toys import METHODS, MLP, learn, same, state, violations

STEPS = 8
PLAN: dict[str, Any] = {"total_steps": STEPS, "examples": 16, "batch_size": 8}
OWN = ["multiplicative", "wsn", "hat"]
"""Methods with parameters of their own."""


@pytest.fixture
def store(tmp_path: Path) -> nw.TaskStore:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    learn(store, "old", METHODS["laplace"])
    return store


@pytest.fixture
def begin(store: nw.TaskStore) -> Iterator[Callable[..., nw.Task]]:
    begun: list[nw.Task] = []

    def begin(method: str = "laplace") -> nw.Task:
        torch.manual_seed(3)
        begun.append(store.begin(f"new {len(begun)}", METHODS[method], head=MLP.head(4)))
        return begun[-1]

    yield begin
    for task in begun:
        task.abandon()


def backward(task: nw.Task, step: int = 0) -> Tensor:
    torch.manual_seed(step)
    x, y = MLP.batch(8, 4, seed=step % 2)
    with task.sample():
        loss = F.cross_entropy(task.model(x), y)
        loss.backward()
    return loss.detach()


def split(task: nw.Task) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Matrices, and the rest."""
    params = list(task.model.parameters())
    return [param for param in params if param.dim() == 2], [param for param in params if param.dim() != 2]


class TwoStep(torch.optim.Optimizer):
    """Climbs within `rho`, and lets an optimizer inside descend from there: sharpness-aware minimisation by hand."""

    def __init__(self, params: Any, kind: type[torch.optim.Optimizer], rho: float, **options: Any) -> None:
        super().__init__(params, {"rho": rho, **options})
        self.base_optimizer = kind(self.param_groups, **options)
        self.param_groups = self.base_optimizer.param_groups
        self.climbed: list[tuple[Tensor, Tensor]] = []

    @torch.no_grad()
    def first_step(self) -> None:
        found = [(param, group["rho"]) for group in self.param_groups for param in group["params"]]
        for param, rho in found:
            if param.grad is not None:
                self.climbed.append((param, param.clone()))
                param.add_(param.grad, alpha=rho)
        self.zero_grad()

    @torch.no_grad()
    def second_step(self) -> None:
        for param, value in self.climbed:
            param.data = value
        self.climbed = []
        self.base_optimizer.step()
        self.zero_grad()


@pytest.mark.parametrize("method", ["laplace", "wsn", "magnitude-ib"])
def test_two_step_sam_trains_by_the_optimizer_inside(begin: Any, store: nw.TaskStore, method: str) -> None:
    old = state(store.load("old"))
    task = begin(method)
    sam = TwoStep(task.model.parameters(), torch.optim.SGD, rho=0.05, lr=0.1)
    task.attach(sam.base_optimizer, **PLAN)
    for step in range(STEPS):
        backward(task, step)
        sam.first_step()
        backward(task, step)
        sam.second_step()
        assert violations(task) == []
    task.commit()
    assert same(state(store.load(task.name)), state(task.model))
    assert same(state(store.load("old")), old)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_that_no_step_is_seen_is_said_long_before_the_end(begin: Any, set_to_none: bool) -> None:
    task = begin()
    optimizer = task.optimizer(torch.optim.Adam, lr=0.01, **PLAN)
    another = torch.optim.SGD(task.model.parameters(), lr=0.01)

    def train(passes: int) -> None:
        for _ in range(passes):
            backward(task)
            another.step()
            another.zero_grad(set_to_none)

    train(UNSEEN)
    with pytest.raises(OptimizerError, match=r"Adam has not taken a step.*task\.attach\(sam\.base_optimizer"):
        train(1)
    optimizer.step()
    train(2 * UNSEEN)  # once one was seen, others may come now and then


def test_accumulating_for_long_is_no_step_unseen(begin: Any) -> None:
    task = begin()
    optimizer = task.optimizer(torch.optim.Adam, lr=0.01, **PLAN)
    for _ in range(2 * UNSEEN):
        backward(task)
    optimizer.step()


COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": pickle.dumps,
    "torch.save": lambda optimizer: torch.save(optimizer, io.BytesIO()),
    "with the model": lambda optimizer: copy.deepcopy({"model": nn.Linear(2, 2), "optimizer": [optimizer]}),
}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_which_would_train_without_isolation_is_refused(begin: Any, way: str) -> None:
    task = begin()
    optimizer = task.optimizer(torch.optim.Adam, lr=0.01, **PLAN)
    with pytest.raises(OptimizerError, match=r"copy of this Adam.*optimizer\.state_dict\(\) and task\.state\(\)"):
        COPIES[way](optimizer)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    with pytest.raises(OptimizerError, match="copy of this Adam"):
        COPIES[way](optimizer)
    task.abandon()
    COPIES[way](optimizer)  # an ordinary one again


class Wrapper(torch.optim.Optimizer):
    """Stands before an optimizer and passes everything on, as Accelerate's does."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    @property
    def param_groups(self) -> Any:
        return self.optimizer.param_groups

    @property
    def state(self) -> Any:
        return self.optimizer.state

    def step(self, closure: Any = None) -> Any:
        return self.optimizer.step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.optimizer.zero_grad(set_to_none)


def test_a_wrapper_without_a_copy_trains_the_task(begin: Any) -> None:
    task = begin("wsn")
    optimizer = torch.optim.Adam(task.model.parameters(), lr=0.01)
    with pytest.raises(OptimizerError, match=r"Wrapper .*the one inside"):
        task.attach(Wrapper(optimizer), **PLAN)
    wrapped = Wrapper(task.attach(optimizer, **PLAN))
    for step in range(STEPS):
        backward(task, step)
        wrapped.step()
        wrapped.zero_grad()
        assert violations(task) == []
    assert task.commit().history["steps"] == STEPS


class Telling(torch.optim.SGD):
    """Takes more than a closure, and hands the step on to its parent, whose hooks PyTorch runs too."""

    def step(self, closure: Any = None, scale: float = 1.0, *, told: list[Any] | None = None) -> Any:
        if told is not None:
            told.append((scale, closure is not None))
        return super().step(closure)


def test_whatever_else_a_step_is_given_reaches_it(begin: Any) -> None:
    task, told = begin("wsn"), []
    optimizer: Any = task.optimizer(Telling, lr=0.01, **PLAN)
    assert optimizer.step(lambda: backward(task), 2.0, told=told) is not None
    optimizer.step(closure=lambda: backward(task), scale=3.0, told=told)
    optimizer.step(scale=4.0, told=told)
    assert told == [(2.0, True), (3.0, True), (4.0, False)]
    assert task._attached.steps == 3
    with pytest.raises(TypeError, match="nonsense"):
        optimizer.step(nonsense=True)
    optimizer.step()
    assert task.commit().history["steps"] == 4


@pytest.mark.parametrize("method", ["laplace", "wsn", "hat"])
def test_a_step_that_calls_its_parents_is_one_step(begin: Any, method: str) -> None:
    trained = []
    for kind in (torch.optim.SGD, Telling):
        task = begin(method)
        steps(task, task.optimizer(kind, lr=0.1, momentum=0.9, **PLAN), range(STEPS))
        trained.append(state(task.model))
        task.abandon()
    assert same(*trained)


def test_embeddings_with_sparse_gradients_have_an_optimizer_of_their_own(tmp_path: Path) -> None:
    model = nn.Sequential(nn.EmbeddingBag(10, 6, sparse=True), nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    store = nw.TaskStore.create(tmp_path / "s", model, private=["0"])
    with store.begin("a", METHODS["laplace"]) as task:
        dense = [param for name, param in task.model.named_parameters() if name != "0.weight"]
        optimizers = [torch.optim.SparseAdam(task.model[0].parameters()), torch.optim.Adam(dense)]
        task.attach(*optimizers, **PLAN)
        for step in range(STEPS):
            words = torch.arange(8).reshape(4, 2) + step % 2
            F.cross_entropy(task.model(words), torch.arange(4) % 3).backward()
            for optimizer in optimizers:
                optimizer.step()
            task.model.zero_grad()
            assert violations(task) == []
        assert task.commit().history["steps"] == STEPS


@pytest.mark.parametrize("method", OWN)
def test_parameters_of_the_methods_own_have_names_where_others_have(begin: Any, method: str) -> None:
    task = begin(method)
    optimizer = torch.optim.Adam(task.model.named_parameters(), lr=0.01)
    task.attach(optimizer, **PLAN)
    names = [name for group in optimizer.param_groups for name in group["param_names"]]
    assert names[:3] == ["one.weight", "one.bias", "two.weight"]
    assert len(set(names)) == len(names) == sum(len(group["params"]) for group in optimizer.param_groups)
    assert all(name.startswith("narrows.") for name in names[6:])


def test_groups_of_the_methods_own_have_the_options_that_a_group_must_have(begin: Any) -> None:
    task = begin("hat")
    matrices, others = split(task)
    groups = [{"params": matrices, "rate": 1.0, "flag": True}, {"params": others, "rate": 0.5, "flag": False}]
    optimizer = task.attach(torch.optim.SGD(groups, lr=0.1), **PLAN)
    own = optimizer.param_groups[2]
    assert (own["rate"], own["flag"], own["lr"]) == (0.5, False, METHODS["hat"].gate_lr)


# --- several optimizers


def muon_and_adamw(task: nw.Task) -> list[torch.optim.Optimizer]:
    matrices, others = split(task)
    optimizers = [torch.optim.Muon(matrices, lr=0.02), torch.optim.AdamW(others, lr=0.01)]
    task.attach(*optimizers, **PLAN)
    return optimizers


@pytest.mark.parametrize("method", OWN)
def test_the_methods_own_parameters_go_to_the_optimizer_that_can_train_them(begin: Any, method: str) -> None:
    muon, adamw = muon_and_adamw(begin(method))
    assert len(muon.param_groups) == 1
    assert len(adamw.param_groups) > 1


@pytest.mark.parametrize(("kind", "options"), [(torch.optim.LBFGS, {}), (torch.optim.Muon, {"lr": 0.1})])
def test_an_optimizer_that_would_leave_them_untrained_is_refused(begin: Any, kind: Any, options: Any) -> None:
    task = begin("wsn")
    for param in split(task)[1]:
        param.requires_grad_(False)
    with pytest.raises(OptimizerError, match="parameters of its own"):
        task.attach(kind(split(task)[0], **options), **PLAN)


def test_a_round_of_several_optimizers_is_one_step(begin: Any) -> None:
    task = begin()
    optimizers = muon_and_adamw(task)
    for step in range(STEPS):
        backward(task, step)
        for optimizer in optimizers if step % 2 else reversed(optimizers):
            optimizer.step()
        task.model.zero_grad()
        assert task._attached.steps == step + 1
        assert violations(task) == []
    history = task.commit().history
    assert (history["steps"], history["optimizer"], history["lr"]) == (STEPS, "Muon and AdamW", 0.02)


def test_optimizers_together_train_each_parameter_once(begin: Any) -> None:
    task = begin()
    matrices, others = split(task)
    with pytest.raises(OptimizerError, match=r"does not train one\.bias, two\.bias, head\.bias\. Use"):
        task.attach(torch.optim.Adam(matrices), torch.optim.Adam(matrices[:1]), **PLAN)
    with pytest.raises(OptimizerError, match=r"^one\.bias: trained by two optimizers"):
        task.attach(torch.optim.Adam([*matrices, others[0]]), torch.optim.Adam(others), **PLAN)
    muon_and_adamw(task)


def test_half_a_round_is_neither_stored_nor_trained_on(begin: Any) -> None:
    task = begin("hat")
    muon, adamw = muon_and_adamw(task)
    backward(task)
    muon.step()
    for early in (muon.step, task.sample, task.state, task.commit):
        with pytest.raises(OptimizerError, match="Muon has stepped and AdamW has not"):
            early()
    with pytest.raises(OptimizerError, match="Only the first optimizer"):
        adamw.step(lambda: backward(task))
    adamw.step()
    assert violations(task) == []
    task.commit()


def test_gradients_that_change_within_a_round_are_refused(begin: Any) -> None:
    task = begin()
    muon, adamw = muon_and_adamw(task)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    with task.sample():
        scaler.scale(task.model(MLP.batch(8, 4)[0]).square().mean()).backward()
    scaler.step(muon)
    with pytest.raises(OptimizerError, match=r"gradients of AdamW changed.*scaler\.unscale_\(optimizer\)"):
        scaler.step(adamw)


@pytest.mark.parametrize("skipped", [0, 1])
@pytest.mark.parametrize("method", ["laplace", "magnitude-ib", "wsn", "wsn-ib", "packnet-ib", "ewc", "hat"])
def test_an_optimizer_that_the_scaler_skips_takes_no_part_in_the_round(begin: Any, method: str, skipped: int) -> None:
    task = begin(method)
    params = [list(task.model.one.parameters()), [*task.model.two.parameters(), *task.model.head.parameters()]]
    optimizers = [torch.optim.Adam(part, lr=0.02) for part in params]
    task.attach(*optimizers, **PLAN)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for step in range(STEPS):
        torch.manual_seed(step)
        x, y = MLP.batch(8, 4, seed=step % 2)
        with task.sample():
            scaler.scale(F.cross_entropy(task.model(x), y)).backward()
            if step == 2:
                params[skipped][0].grad.fill_(float("inf"))
        before = state(task.model)
        for optimizer in optimizers:
            scaler.unscale_(optimizer)
        for optimizer in optimizers:
            scaler.step(optimizer)
        scaler.update()
        task.model.zero_grad()
        assert violations(task) == []
        assert all(bool(value.isfinite().all()) for value in state(task.model).values())
        unmoved = [torch.equal(before[name], value) for name, value in state(task.model).items() if "bias" in name]
        assert unmoved == ([False] * 3 if step != 2 else [not skipped, bool(skipped), bool(skipped)])
        assert task._attached.steps == step + 1
    task.commit()


# --- going on


KINDS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "Adam": lambda params: torch.optim.Adam(params, lr=0.02),
    "SGD": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    "Adagrad": lambda params: torch.optim.Adagrad(params, lr=0.02, initial_accumulator_value=0.1),
    "RMSprop": lambda params: torch.optim.RMSprop(params, lr=0.01),
}


def steps(task: nw.Task, optimizer: torch.optim.Optimizer, numbers: range) -> None:
    for step in numbers:
        backward(task, step)
        optimizer.step()
        task.model.zero_grad()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["laplace", "multiplicative", "wsn", "hat", "packnet"])
def test_a_frameworks_checkpoint_goes_on_with_the_tasks_state_and_not_without(
    begin: Any, method: str, kind: str
) -> None:
    task = begin(method)
    optimizer = task.attach(KINDS[kind](task.model.parameters()), **PLAN)
    steps(task, optimizer, range(4))
    file = io.BytesIO()
    kept = {"model": task.model.state_dict(), "optimizer": optimizer.state_dict(), "narrows": task.state()}
    torch.save(kept, file)
    steps(task, optimizer, range(4, STEPS))
    task._learner.finish()
    expected = state(task.model)
    task.abandon()
    file.seek(0)
    kept = torch.load(file, weights_only=True)
    for right in (False, True):
        task = begin(method)
        optimizer = task.attach(KINDS[kind](task.model.parameters()), **PLAN)
        task.model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        if not right:
            with pytest.raises(OptimizerError, match=r"begins anew.*task\.load_state\(...\) before the first step"):
                steps(task, optimizer, range(4, STEPS))
            task.abandon()
            continue
        task.load_state(kept["narrows"])
        steps(task, optimizer, range(4, STEPS))
        task._learner.finish()
        assert same(state(task.model), expected)
        assert task.commit().history["steps"] == STEPS


@pytest.mark.parametrize("kind", KINDS)
def test_an_optimizer_with_steps_behind_it_is_no_tasks(begin: Any, kind: str) -> None:
    task = begin()
    optimizer = KINDS[kind](task.model.parameters())
    backward_plain(task)
    optimizer.step()
    with pytest.raises(OptimizerError, match=f"{kind} has taken steps already"):
        task.attach(optimizer, **PLAN)
    task.attach(KINDS[kind](task.model.parameters()), **PLAN)


def backward_plain(task: nw.Task) -> None:
    F.cross_entropy(*(part if index else task.model(part) for index, part in enumerate(MLP.batch(8, 4)))).backward()


def test_a_model_over_several_devices_is_refused_before_training(begin: Any) -> None:
    task = begin()
    task.model.two.to("meta")
    with pytest.raises(ModelMismatchError, match=r"one\.weight on cpu, two\.weight on meta"):
        task.optimizer(torch.optim.Adam, lr=0.1, **PLAN)


def bfloat16() -> AbstractContextManager[Any]:
    return torch.autocast("cpu", torch.bfloat16)


@pytest.mark.parametrize("method", ["additive", "multiplicative", "hat"])
def test_each_forward_in_one_autocast_has_the_noise_of_its_own(begin: Any, method: str) -> None:
    task = begin(method)
    optimizer = task.optimizer(torch.optim.SGD, lr=0.5, **PLAN)
    x, y = MLP.batch(8, 4)

    def gradients(*, together: bool) -> list[Tensor]:
        torch.manual_seed(9)
        optimizer.zero_grad()
        with bfloat16() if together else nullcontext():
            for _ in range(2):
                with task.sample():
                    with nullcontext() if together else bfloat16():
                        loss = F.cross_entropy(task.model(x), y)
                    loss.backward()
        return [param.grad.clone() for group in optimizer.param_groups for param in group["params"]]

    assert all(map(torch.equal, gradients(together=True), gradients(together=False)))
