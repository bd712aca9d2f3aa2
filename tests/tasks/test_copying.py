"""Networks as frameworks hand them over: unwrapped, or refused before anything is stored, with place and way."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import prune

import narrows as nw
from narrows.errors import ModelMismatchError
from narrows.store import StoreDirectory
from narrows.tasks.heads import Head
from narrows.tasks.partition import named_tensors
from narrows.tasks.sharing import shared_specs
from toys import MLP, learn, logits, same, state

METHOD = nw.IBM(density=0.4, prune_every=2)


def compiled(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")


@pytest.fixture
def group() -> Iterator[None]:
    """A process group of this process alone."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def with_weight_norm(model: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        nn.utils.weight_norm(model.two)


def with_spectral_norm(model: nn.Module) -> None:
    nn.utils.spectral_norm(model.two)
    model(MLP.batch(3, 2)[0])


def with_pruning(model: nn.Module) -> None:
    prune.l1_unstructured(model.two, "weight", amount=0.5)
    model(MLP.batch(3, 2)[0])


def with_computed(model: nn.Module) -> None:
    model.penalty = model.one.weight.square().sum()


def with_list_of_computed(model: nn.Module) -> None:
    model.two.penalties = [model.one.weight.square().sum()]


def with_lock(model: nn.Module) -> None:
    model.two.lock = threading.Lock()


def with_generator(model: nn.Module) -> None:
    model.batches = (number for number in range(3))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (with_weight_norm, r"'weight' of 'two' \(Linear\) holds what was computed.*parametrizations\.weight_norm"),
        (with_spectral_norm, r"'weight' of 'two' \(Linear\) holds what was computed.*parametrizations\.spectral_norm"),
        (with_pruning, r"'weight' of 'two' \(Linear\) holds what was computed.*prune\.remove\(module, 'weight'\)"),
        (with_computed, r"'penalty' of the model itself \(Sequential\) holds what was computed.*detach"),
        (with_list_of_computed, r"'penalties' of 'two' \(Linear\) holds what was computed.*detach"),
        (with_lock, r"'lock' of 'two' \(Linear\) \(cannot pickle.*__deepcopy__"),
        (with_generator, r"'batches' of the model itself \(Sequential\) \(cannot pickle.*__deepcopy__"),
    ],
)
def test_what_cannot_be_copied_is_named_with_the_way(
    tmp_path: Path, harm: Callable[[nn.Module], None], said: str
) -> None:
    model = MLP.make()
    harm(model)
    with pytest.raises(ModelMismatchError, match=said):
        nw.TaskStore.create(tmp_path / "store", model)
    assert not (tmp_path / "store").exists()


def test_it_is_named_also_where_a_store_is_opened_and_of_a_head(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    model, head = MLP.make(), MLP.head(3)
    with_lock(model)
    with pytest.raises(ModelMismatchError, match="'lock' of 'two'"):
        nw.TaskStore.open(tmp_path / "store", model)
    head.lock = threading.Lock()
    with pytest.raises(ModelMismatchError, match="'lock' of the model itself"):
        store.begin("a", METHOD, head=head)
    learn(store, "a", METHOD)


def test_a_layer_without_a_shape_is_named(tmp_path: Path) -> None:
    for lazy, name in ((nn.LazyLinear(3), "0.weight"), (nn.LazyBatchNorm1d(), "0.weight")):
        with pytest.raises(ModelMismatchError, match=f"'{name}' has no shape yet"):
            nw.TaskStore.create(tmp_path / "store", nn.Sequential(lazy))
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    with pytest.raises(ModelMismatchError, match="'weight' has no shape yet"):
        store.begin("a", METHOD, head=nn.LazyLinear(3))


@pytest.mark.parametrize(
    "wrap",
    [compiled, nn.DataParallel, lambda model: compiled(nn.DataParallel(model))],
    ids=["compiled", "parallel", "both"],
)
def test_a_wrapped_network_is_stored_as_the_network_itself(tmp_path: Path, wrap: Callable[..., nn.Module]) -> None:
    model = MLP.make()
    store = nw.TaskStore.create(tmp_path / "store", wrap(model), head=MLP.place)
    assert store.directory.base().keys() == named_tensors(model).keys()
    store = nw.TaskStore.open(tmp_path / "store", wrap(model))
    with store.begin("a", METHOD, head=wrap(MLP.head(3))) as task:
        task.model = wrap(task.model)
        task.fit([MLP.batch(8, 3)], nw.Training(6), progress=False)
        record = task.commit()
    assert record.head is not None
    assert record.head["kind"] == "Linear"
    assert list(state(nw.TaskStore.open(tmp_path / "store", model).load("a"))) == list(state(model))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's compiler warns itself
@pytest.mark.parametrize("part", ["", "two"])
def test_a_store_that_was_made_of_a_compiled_network_goes_on(tmp_path: Path, part: str) -> None:
    model = MLP.make()
    if part:
        model.two = compiled(model.two)
    else:
        model = compiled(model)
    base = {name: tensor.detach() for name, tensor in named_tensors(model).items()}
    StoreDirectory.create(tmp_path / "store", base, shared_specs(model), ())
    store = nw.TaskStore.open(tmp_path / "store", model)
    assert list(state(store.network())) == list(base)
    with store.begin("a", METHOD, head=Head("head" if part else "_orig_mod.head", nn.Linear(16, 3))) as task:
        task.fit([MLP.batch(8, 3)], nw.Training(6), progress=False)
        task.commit()
    assert same(state(store.load("a")), state(task.model))


def test_a_network_with_a_wrapped_part_is_refused(tmp_path: Path) -> None:
    model = MLP.make()
    model.two = compiled(model.two)
    with pytest.raises(ModelMismatchError, match=r"module 'two' is wrapped in OptimizedModule.*torch\.compile\(task"):
        nw.TaskStore.create(tmp_path / "store", model)
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    with pytest.raises(ModelMismatchError, match="module 'two' is wrapped"):
        nw.TaskStore.open(tmp_path / "store", model)
    with store.begin("a", METHOD, head=MLP.head(3)) as task:
        task.model.two = compiled(task.model.two)
        with pytest.raises(ModelMismatchError, match="module 'two' is wrapped"):
            task.optimizer(torch.optim.Adam, lr=0.01, total_steps=4)


def test_a_network_compiled_in_place_is_as_it_was(tmp_path: Path) -> None:
    model = MLP.make()
    model.two.compile(backend="eager")
    store = nw.TaskStore.create(tmp_path / "store", model, head=MLP.place)
    learn(store, "a", METHOD)
    assert list(state(store.load("a"))) == list(state(MLP.make()))


def test_another_network_in_the_place_of_the_tasks_is_refused(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    with store.begin("a", METHOD, head=MLP.head(2)) as task:
        task.model = MLP.make()
        with pytest.raises(ModelMismatchError, match=r"another network, a Sequential, than the one that store\.begin"):
            task.optimizer(torch.optim.Adam, lr=0.01, total_steps=4)


@pytest.mark.usefixtures("group")
def test_distributed_data_parallel_of_one_process_trains_as_without(tmp_path: Path) -> None:
    x, y = MLP.batch(16, 3)
    trained = []
    for wrap in (lambda model: model, DistributedDataParallel):
        store = nw.TaskStore.create(tmp_path / str(len(trained)), wrap(MLP.make()), head=MLP.place)
        torch.manual_seed(0)
        with store.begin("a", METHOD, head=MLP.head(3)) as task:
            model = wrap(task.model)
            optimizer = task.attach(torch.optim.Adam(model.parameters(), lr=0.01), total_steps=8)
            for _ in range(8):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            task.commit()
        assert torch.equal(logits(store.load("a"), x), logits(task.model, x))
        trained.append(state(store.load("a")))
    assert same(*trained)


@pytest.mark.usefixtures("group")
def test_a_sharded_network_is_refused_before_anything_is_stored_or_trained(tmp_path: Path) -> None:
    mesh = init_device_mesh("cpu", (1,))
    whole, part = MLP.make(), MLP.make()
    fully_shard(whole, mesh=mesh)
    fully_shard(part.two, mesh=mesh)
    for model, said in ((whole, "the model itself"), (part, "'two'")):
        with pytest.raises(ModelMismatchError, match=rf"sharded over devices \(FSDP\): {said}"):
            nw.TaskStore.create(tmp_path / "store", model)
        assert not (tmp_path / "store").exists()
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    with pytest.raises(ModelMismatchError, match="sharded over devices"):
        nw.TaskStore.open(tmp_path / "store", part)
    with store.begin("a", METHOD, head=MLP.head(3)) as task:
        fully_shard(task.model, mesh=mesh)
        with pytest.raises(ModelMismatchError, match="sharded over devices"):
            task.optimizer(torch.optim.Adam, lr=0.01, total_steps=4)
    learn(store, "a", METHOD)
