"""What is committed is what was trained: load gives it to the bit, or the commit says what would be lost."""

from __future__ import annotations

import copy
import functools
import gc
import random
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import prune

import narrows as nw
from narrows.errors import ModelMismatchError, NarrowsError, OptimizerError
from toys import MLP, TOYS, files, hooked, logits, same, state

METHOD = nw.IBM(density=0.5, prune_every=2)
STEPS = 10
X, Y = MLP.batch(16, 2)


class Net(nn.Module):
    """Two layers around a middle of one's own; the head comes last."""

    def __init__(self, middle: nn.Module | None = None) -> None:
        super().__init__()
        self.one, self.middle, self.head = nn.Linear(6, 12), middle or nn.Identity(), nn.Linear(12, 2)

    def forward(self, x: Any) -> Any:
        return self.head(self.middle(torch.relu(self.one(x))))


def store_of(path: Path, model: nn.Module) -> nw.TaskStore:
    return nw.TaskStore.create(path / "store", model, head="head")


def begin(store: nw.TaskStore, method: nw.Method = METHOD) -> nw.Task:
    return store.begin("t", method, head=nn.Linear(12, 2))


def train(task: nw.Task, steps: int = STEPS, model: nn.Module | None = None, **options: Any) -> torch.optim.Optimizer:
    plan = {"lr": 0.05, "total_steps": STEPS, "examples": 16, "batch_size": 16} | options
    optimizer = task.optimizer(torch.optim.SGD, **plan)
    go_on(task, optimizer, steps, model)
    return optimizer


def go_on(task: nw.Task, optimizer: torch.optim.Optimizer, steps: int = 1, model: nn.Module | None = None) -> None:
    for _ in range(steps):
        with task.sample():
            F.cross_entropy((task.model if model is None else model)(X), Y).backward()
        optimizer.step()
        optimizer.zero_grad()


def committed(path: Path, model: nn.Module, method: nw.Method = METHOD) -> tuple[nw.TaskStore, nw.Task]:
    torch.manual_seed(3)
    store = store_of(path, model)
    with begin(store, method) as task:
        train(task)
        task.commit()
    return store, task


def refused(path: Path, model: nn.Module, error: type[NarrowsError], message: str, spoil: Any = None) -> None:
    """The commit is refused, nothing is written, and the task stays open."""
    store = store_of(path, model)
    before = files(store.path)
    with begin(store) as task:
        train(task)
        if spoil is not None:
            spoil(task.model)
        for _ in range(2):
            with pytest.raises(error, match=message):
                task.commit()
    assert files(store.path) == before


# State dicts that are not what they seem


class HandsOutCopies(Net):
    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return {name: value.detach().clone() for name, value in super().state_dict(*args, **kwargs).items()}


class Renames(Net):
    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return {f"net.{name}": value for name, value in super().state_dict(*args, **kwargs).items()}


class LeavesOut(Net):
    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return {name: value for name, value in super().state_dict(*args, **kwargs).items() if "one" not in name}


def with_a_hook() -> nn.Module:
    def copies(_: nn.Module, state: dict[str, Any], *__: Any) -> None:
        for name in list(state):
            state[name] = state[name].detach().clone()

    model = Net(nn.BatchNorm1d(12))
    model.register_state_dict_post_hook(copies)
    return model


@pytest.mark.parametrize("make", [HandsOutCopies, Renames, LeavesOut, with_a_hook])
def test_a_state_dict_of_ones_own_is_no_matter(tmp_path: Path, make: Callable[[], nn.Module]) -> None:
    store, task = committed(tmp_path, make())
    loaded = store.load("t")
    names = ["one.weight", "one.bias", "head.weight", "head.bias"]
    assert [name for name, _ in loaded.named_parameters() if "middle" not in name] == names
    for one, other in zip(task.model.named_parameters(), loaded.named_parameters(), strict=True):
        assert one[0] == other[0]
        assert torch.equal(one[1], other[1])
    assert torch.equal(logits(loaded, X), logits(task.model, X))
    assert [spec.name for spec in store.shared] == ["one.weight"]
    assert store.verify(deep=True) == []


class ExtraState(nn.Module):
    def get_extra_state(self) -> Tensor:
        return torch.ones(1)

    def set_extra_state(self, state: Any) -> None: ...

    def forward(self, x: Tensor) -> Tensor:
        return x


class AddsCopies(Net):
    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return {f"net.{name}": value.clone() for name, value in super().state_dict(*args, **kwargs).items()}


@pytest.mark.parametrize(
    ("model", "name"), [(lambda: Net(ExtraState()), r"middle\._extra_state"), (AddsCopies, r"net\.one\.weight")]
)
def test_state_that_only_the_state_dict_has_is_refused(tmp_path: Path, model: Any, name: str) -> None:
    with pytest.raises(ModelMismatchError, match=f"state dict holds '{name}'.*register_buffer"):
        store_of(tmp_path, model())
    assert not (tmp_path / "store").exists()


def test_a_head_with_state_that_only_its_state_dict_has_is_refused(tmp_path: Path) -> None:
    store = store_of(tmp_path, Net())
    with pytest.raises(ModelMismatchError, match=r"head\.1\._extra_state"):
        store.begin("t", METHOD, head=nn.Sequential(nn.Linear(12, 2), ExtraState()))


# State outside the state dict


class Scaled(nn.Module):
    """Follows the mean size of what it sees in a buffer that the state dict leaves out."""

    def __init__(self, always: bool = False) -> None:
        super().__init__()
        self.always = always
        self.register_buffer("size", torch.ones(()), persistent=False)
        self.register_buffer("causal", torch.ones(3, 3).tril(), persistent=False)  # never changes

    def forward(self, x: Tensor) -> Tensor:
        if self.training or self.always:
            self.size = 0.9 * self.size + 0.1 * x.detach().abs().mean()
        return x / self.size


@pytest.mark.parametrize("always", [False, True])
def test_a_buffer_that_the_state_dict_leaves_out_is_kept_where_training_changed_it(
    tmp_path: Path, always: bool
) -> None:
    store, task = committed(tmp_path, Net(Scaled(always)))
    kept = store.directory.content("t").private
    assert "middle.size" in kept
    assert "middle.causal" not in kept
    again = nw.TaskStore.open(store.path, Net(Scaled(always)))
    assert kept["middle.size"] == task.model.middle.size
    assert again.load("t").middle.size == task.model.middle.size
    assert torch.equal(logits(again.load("t"), X), logits(task.model, X))
    assert store.verify(deep=True) == []


class Cached(nn.Module):
    """A table made when it is first needed, as long as is needed."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", None, persistent=False)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.table is None or len(self.table) < len(x):
            self.table = torch.arange(len(x), dtype=x.dtype)
        return x + self.table[: len(x), None]


def test_a_cache_and_a_counter_are_made_anew_and_no_matter(tmp_path: Path) -> None:
    store, task = committed(tmp_path, Net(Cached()))
    assert "middle.table" not in store.directory.content("t").private
    assert torch.equal(logits(store.load("t"), X), logits(task.model, X))


class InitialisedByData(nn.Module):
    """An ActNorm whose flag is a plain attribute: a fresh copy takes its scale from the first batch it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.ready = nn.Parameter(torch.ones(12)), False

    def forward(self, x: Tensor) -> Tensor:
        if not self.ready:
            self.scale.data = 1 / (x.detach().abs().mean(0) + 0.1)
            self.ready = True
        return x * self.scale


class Remembers(nn.Module):
    """A running mean kept as a plain tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = torch.zeros(12)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return x - self.mean


class Anneals(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def forward(self, x: Tensor) -> Tensor:
        self.steps += self.training
        return x * (1 + self.steps)


class OnlyTrained(nn.Module):
    """Cannot be asked before it was trained."""

    def __init__(self) -> None:
        super().__init__()
        self.mean: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean = x.detach().mean(0)
        return x - self.mean


@pytest.mark.parametrize(
    ("middle", "attribute"),
    [
        (InitialisedByData, "middle.ready"),
        (Remembers, "middle.mean"),
        (Anneals, "middle.steps"),
        (OnlyTrained, "middle.mean"),
    ],
)
def test_an_attribute_that_the_outputs_depend_on_is_named(tmp_path: Path, middle: Any, attribute: str) -> None:
    refused(tmp_path, Net(middle()), ModelMismatchError, rf"Different in a fresh copy: .*{attribute}.* register_buffer")


def test_the_same_with_buffers_is_kept(tmp_path: Path) -> None:
    class Buffered(Remembers):
        def __init__(self) -> None:
            super().__init__()
            del self.mean
            self.register_buffer("mean", torch.zeros(12))

    store, task = committed(tmp_path, Net(Buffered()))
    assert same(state(store.load("t")), state(task.model))
    assert torch.equal(logits(store.load("t"), X), logits(task.model, X))


def test_hooks_and_forwards_put_in_are_named(tmp_path: Path) -> None:
    def double(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        return 2 * output

    def wrap(model: nn.Module) -> None:
        model.one.forward = lambda x, f=model.one.forward: 2 * f(x)

    def other(model: nn.Module) -> None:
        model.middle = nn.Tanh()

    def hook(model: nn.Module) -> None:
        model.one.register_forward_hook(double)

    for spoil, named in ((hook, r"one\.forward_hooks"), (wrap, r"one\.forward"), (other, r"middle \(a Tanh\)")):
        refused(tmp_path / spoil.__name__, Net(), ModelMismatchError, rf"gives other outputs .*{named}", spoil)


def test_a_forward_wrapped_for_precision_is_let_through(tmp_path: Path) -> None:
    """As Accelerate wraps it for bfloat16: its outputs are rounded otherwise, and nothing else."""
    store = store_of(tmp_path, Net())
    with begin(store) as task:
        plain = task.model.forward

        @functools.wraps(plain)
        def half(x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return plain(x).float()

        task.model.forward = half  # type: ignore[method-assign]
        train(task)
        task.commit()
    assert not torch.equal(logits(store.load("t"), X), logits(task.model, X))
    torch.testing.assert_close(logits(store.load("t"), X), logits(task.model, X), atol=0.05, rtol=0.05)


class Chance(nn.Module):
    """Draws in eval mode too, from a generator of its own or from PyTorch's."""

    def __init__(self, own: bool) -> None:
        super().__init__()
        self.own, self.times = own, 0

    def forward(self, x: Tensor) -> Tensor:
        self.times += 1
        return x * (random.SystemRandom().random() if self.own else torch.rand(1))


def test_what_draws_from_the_global_generators_is_compared(tmp_path: Path) -> None:
    store, _ = committed(tmp_path, Net(Chance(own=False)))
    assert store.verify(deep=True) == []


def test_what_gives_other_outputs_each_time_cannot_be_compared_and_says_so(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"other outputs each time.*could not be compared.*middle\.times"):
        committed(tmp_path, Net(Chance(own=True)))


def test_nothing_seen_and_an_attribute_changed_says_so(tmp_path: Path) -> None:
    store = store_of(tmp_path, Net())
    with begin(store) as task:
        train(task, model=nn.Sequential(task.model.one, task.model.head))
        task.model.middle.temperature = 2.0
        with pytest.warns(UserWarning, match=r"not seen what the network was called with.*middle\.temperature"):
            task.commit()


def test_the_comparison_leaves_no_trace(tmp_path: Path) -> None:
    store = store_of(tmp_path, Net(Scaled(always=True)))
    with begin(store) as task:
        train(task)
        before, size, chance = state(task.model), task.model.middle.size.clone(), torch.get_rng_state()
        task.commit()
    assert same(state(task.model), before)
    assert task.model.middle.size == size
    assert task.model.training
    assert not hooked(task.model)
    assert torch.equal(torch.get_rng_state(), chance)


def test_figures_are_those_of_the_loaded_network(tmp_path: Path) -> None:
    asked: list[nn.Module] = []

    def figures(network: nn.Module) -> dict[str, Any]:
        asked.append(network)
        return {"sum": float(logits(network, X).sum())}

    store = store_of(tmp_path, Net(nn.BatchNorm1d(12)))
    with begin(store) as task:
        train(task)
        record = task.commit(metrics=figures, data=figures)
    assert asked[0] is asked[1] is not task.model
    assert not asked[0].training
    assert same(state(asked[0]), state(store.load("t")))
    assert record.metrics == record.data == {"sum": float(logits(store.load("t"), X).sum())}


# Weights changed after the last step

MOVED = r"one\.weight changed after the last optimizer step.*task\.load_state\(\)"


@pytest.mark.parametrize("method", ["ibm", "wsn", "supsup", "packnet", "hat", "variational"])
def test_an_earlier_epoch_put_back_by_its_state_dict_is_said(tmp_path: Path, method: str) -> None:
    made: dict[str, nw.Method] = {
        "ibm": METHOD,
        "wsn": nw.WSN(density=0.3),
        "supsup": nw.SupSup(density=0.3),
        "packnet": nw.PackNet(keep=0.3),
        "hat": nw.HAT(gate_lr=0.1),
        "variational": nw.IBM(density=0.4, estimator="variational", prune_every=2),
    }
    store = store_of(tmp_path, Net())
    with begin(store, made[method]) as task:
        optimizer = train(task, 2, lr=0.5)
        best = copy.deepcopy(task.model.state_dict())
        go_on(task, optimizer, STEPS - 2)
        task.model.load_state_dict(best)
        with pytest.warns(UserWarning, match=MOVED):
            task.commit()
    assert same(state(store.load("t")), state(task.model))


def test_a_state_put_back_by_load_state_is_what_is_committed(tmp_path: Path) -> None:
    store = store_of(tmp_path, Net())
    with begin(store) as task:
        optimizer = train(task, 8)
        assert task.settled
        best, weights = copy.deepcopy(task.state()), state(task.model)
        go_on(task, optimizer, 2)
        task.load_state(best)
        task.commit()
    assert same(state(store.load("t")), weights)


@pytest.mark.parametrize("through_data", [False, True])
def test_an_average_from_where_the_sub_network_stands_is_what_is_committed(tmp_path: Path, through_data: bool) -> None:
    store = store_of(tmp_path, Net(nn.BatchNorm1d(12)))
    with begin(store) as task:
        optimizer = train(task, 7)
        assert task.settled
        averaged = torch.optim.swa_utils.AveragedModel(task.model, use_buffers=True)
        for _ in range(3):
            go_on(task, optimizer)
            averaged.update_parameters(task.model)
        if through_data:
            for param, mean in zip(task.model.parameters(), averaged.module.parameters(), strict=True):
                param.data.copy_(mean.data)
            for buffer, mean in zip(task.model.buffers(), averaged.module.buffers(), strict=True):
                buffer.copy_(mean)
        else:
            task.model.load_state_dict(averaged.module.state_dict())
        task.commit()
    assert same(state(store.load("t")), state(averaged.module))
    assert torch.equal(logits(store.load("t"), X), logits(averaged.module, X))


def test_an_average_over_all_of_training_is_said(tmp_path: Path) -> None:
    store = store_of(tmp_path, Net())
    with begin(store) as task:
        optimizer = train(task, 1)
        averaged = torch.optim.swa_utils.AveragedModel(task.model)
        for _ in range(STEPS - 1):
            go_on(task, optimizer)
            averaged.update_parameters(task.model)
        for param, mean in zip(task.model.parameters(), averaged.module.parameters(), strict=True):
            param.data.copy_(mean.data)  # which no version counter sees
        with pytest.warns(UserWarning, match=MOVED):
            task.commit()


# Parameters put in the place of others


def replaced(model: nn.Module) -> None:
    model.one.weight = nn.Parameter(torch.zeros(12, 6))


def another_head(model: nn.Module) -> None:
    model.head = nn.Linear(12, 2)


def parametrized(model: nn.Module) -> None:
    nn.utils.parametrizations.weight_norm(model.one)


def pruned(model: nn.Module) -> None:
    prune.l1_unstructured(model.one, "weight", amount=0.5)


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (replaced, r"one\.weight"),
        (another_head, r"head\.weight, head\.bias"),
        (parametrized, r"one\.weight"),
        (pruned, r"one\.weight"),
    ],
)
def test_a_parameter_put_in_the_place_of_another_is_named(tmp_path: Path, spoil: Any, name: str) -> None:
    """At the next step, and at the commit."""
    with begin(store_of(tmp_path / "step", Net())) as task:
        optimizer = train(task, 2)
        spoil(task.model)
        with pytest.raises(OptimizerError, match=rf"{name}: replaced after the optimizer was made"):
            go_on(task, optimizer)
    refused(tmp_path / "commit", Net(), NarrowsError, name, spoil)


def test_a_module_that_comes_later_is_named(tmp_path: Path) -> None:
    def add(model: nn.Module) -> None:
        model.extra = nn.Linear(2, 2)

    refused(
        tmp_path, Net(), ModelMismatchError, r"extra\.bias came with .* after the task was begun; extra\.weight", add
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda model: model.half(), r"head\.bias is float16 .* now and was float32 .*use autocast"),
        (lambda model: model.to(torch.bfloat16), r"head\.bias is bfloat16 "),
        (lambda model: model.double(), r"head\.bias is float64 "),
        (lambda model: model.head.half(), r"head\.bias is float16 "),
    ],
)
def test_another_dtype_is_refused(tmp_path: Path, spoil: Any, message: str) -> None:
    refused(tmp_path, Net(), ModelMismatchError, message, spoil)


# Further networks that must come back as they were trained


class HeadOfTheBody(Net):
    """The head shares the first layer's bias, under two names."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(12, 12))
        self.middle.bias = self.one.bias


class Twice(Net):
    def __init__(self) -> None:
        super().__init__(nn.Sequential(layer := nn.Linear(12, 12), nn.Tanh(), layer))


class Views(Net):
    """Two buffers in one piece of memory."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("both", torch.zeros(24))
        self.register_buffer("part", self.both[:12])

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.one(x))
        if self.training:
            self.part.mul_(0.9).add_(0.1 * hidden.detach().mean(0))
        return self.head(hidden - self.both[:12])


class Listed(Net):
    def __init__(self) -> None:
        super().__init__()
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(12)), nn.Parameter(torch.eye(12))])

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.one(x)) @ self.scales[1] * self.scales[0])


def spectral() -> nn.Module:
    return Net(nn.utils.parametrizations.spectral_norm(nn.Linear(12, 12)))


def channels_last() -> nn.Module:
    return Net(nn.Sequential(nn.Unflatten(1, (3, 2, 2)), nn.Conv2d(3, 3, 1), nn.Flatten()))


@pytest.mark.parametrize("make", [HeadOfTheBody, Twice, Views, Listed, spectral, channels_last])
def test_a_network_of_an_unusual_kind_comes_back_as_it_was_trained(tmp_path: Path, make: Any) -> None:
    said: dict[Any, dict[str, Any]] = {Listed: {"shared": ["scales.1"]}, spectral: {"private": ["middle"]}}
    store = nw.TaskStore.create(tmp_path / "store", make(), head="head", **said.get(make, {}))
    with begin(store) as task:
        if make is channels_last:
            task.model.to(memory_format=torch.channels_last)
        train(task)
        task.commit()
    loaded = nw.TaskStore.open(store.path, make()).load("t")
    assert same(state(loaded), state(task.model))
    if make is not channels_last:  # another layout may round otherwise
        assert torch.equal(logits(loaded, X), logits(task.model, X))


@pytest.mark.parametrize("in_place", [False, True])
def test_a_compiled_network_comes_back_as_it_was_trained(tmp_path: Path, in_place: bool) -> None:
    store = store_of(tmp_path, Net())
    with begin(store) as task:
        if in_place:
            task.model.compile(backend="eager")
            train(task)
        else:
            train(task, model=torch.compile(task.model, backend="eager", fullgraph=True))
        task.commit()
    assert same(state(store.load("t")), state(task.model))


def test_outputs_in_any_form_are_compared(tmp_path: Path) -> None:
    class Several(Net):
        def forward(self, x: Any) -> Any:
            out = super().forward(x["x"])
            return {"logits": out, "more": (out, [self.middle.steps * out])}

    store = store_of(tmp_path, Several(Anneals()))
    with begin(store) as task:
        optimizer = task.optimizer(torch.optim.SGD, lr=0.05, total_steps=2)
        for _ in range(2):
            F.cross_entropy(task.model({"x": X, "length": 3})["logits"], Y).backward()
            optimizer.step()
        with pytest.raises(ModelMismatchError, match=r"middle\.steps"):
            task.commit()


@pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS)
def test_the_last_bit_of_every_output_agrees(tmp_path: Path, toy: Any) -> None:
    store = nw.TaskStore.create(tmp_path / "store", toy.make(), head=toy.place)
    with store.begin("t", METHOD, head=toy.head(3)) as task:
        task.fit([toy.batch(8, 3)], nw.Training(6, loss=toy.loss))
        task.commit()
    x, _ = toy.batch(5, 3, seed=4)
    assert torch.equal(logits(store.load("t"), x), logits(task.model, x))


# What stays of a task


@pytest.mark.parametrize("end", ["commit", "abandon"])
def test_a_task_that_is_over_keeps_its_model_only(tmp_path: Path, end: str) -> None:
    store = store_of(tmp_path, Net())
    with begin(store) as task:
        train(task)
        learner, seen = task._learner, task._attached.seen
        held = [weakref.ref(part) for part in (learner, *learner.masks, *learner.shared.values, *learner.shared.frozen)]
        del learner
        if end == "commit":
            task.commit()
    gc.collect()
    assert [part() for part in held] == [None] * len(held)
    assert not seen.calls
    assert all(param.grad is None for param in task.model.parameters())
    tensors = {id(part) for part in (*task.model.parameters(), *task.model.buffers())}
    assert {id(part) for part in _tensors_of(vars(task))} <= tensors
    for ask in (task.state, task.foundation, task.sample, lambda: task.settled, lambda: task.recorder):
        with pytest.raises(NarrowsError, match="committed or abandoned"):
            ask()
    if end == "commit":
        assert task.explain() == store.explain("t")


def _tensors_of(value: Any) -> list[Tensor]:
    found, seen, left = [], set(), [value]
    while left:
        part = left.pop()
        if id(part) in seen or isinstance(part, type | nw.TaskStore | str):
            continue
        seen.add(id(part))
        if isinstance(part, Tensor):
            found.append(part)
        elif isinstance(part, dict | list | tuple | set):
            left += [*part.values()] if isinstance(part, dict) else [*part]
        elif isinstance(part, nn.Module):
            left += [*part.parameters(), *part.buffers()]
        elif hasattr(part, "__dict__"):
            left.append(vars(part))
    return found


class Running(nn.Module):
    """Scales by what it keeps as an attribute, which a batch of zeros does not show."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.scale = nn.Linear(4, 3), 1.0

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.scale = 0.9 * self.scale + 0.1 * float(x.abs().max())
        return self.body(x * self.scale)


def test_an_attribute_that_the_first_batch_does_not_show_is_named_by_a_later_one(tmp_path):
    store = nw.TaskStore.create(tmp_path / "store", Running())
    x, y = torch.randn(32, 4) * 5, torch.arange(32) % 3
    with store.begin("a", nw.IBM(density=0.5)) as task:
        task.fit([(x * 0, y), *[(x, y)] * 9], nw.Training(4))
        with pytest.raises(ModelMismatchError, match="scale"):
            task.commit()
    assert not store.names()
