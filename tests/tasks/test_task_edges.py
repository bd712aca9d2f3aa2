"""Models and optimizers at the edges: sparse gradients, bfloat16 weights, fused steps, the caller's own head."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn

import narrows as nw
from narrows.cli.screen import Screen
from narrows.cli.tables import task_row, tasks_table
from narrows.data.batches import Batches
from narrows.errors import CapacityError, ModelMismatchError, OptimizerError
from narrows.tasks.heads import Head
from narrows.training import ProgressBar, Step
from toys import MLP, learn, same, state


def embedding(sparse: bool) -> nn.Module:
    return nn.Sequential(nn.Embedding(6, 4, sparse=sparse), nn.Flatten(), nn.Linear(8, 3))


def test_a_sparse_gradient_is_refused_with_the_name_of_the_parameter(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "s", embedding(sparse=True))
    words, labels = torch.tensor([[0, 1], [2, 3]]), torch.tensor([0, 1])
    with store.begin("t", nw.IBM(density=0.5)) as task:
        optimizer = task.optimizer(torch.optim.SGD, lr=0.1, total_steps=4)
        nn.functional.cross_entropy(task.model(words), labels).backward()
        with pytest.raises(OptimizerError, match=r"0\.weight has a sparse gradient.*private"):
            optimizer.step()


def test_a_sparse_embedding_may_be_private(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "s", embedding(sparse=True), private=["0"])
    words, labels = torch.tensor([[0, 1], [2, 3]]), torch.tensor([0, 1])
    with store.begin("t", nw.IBM(density=0.5)) as task:
        task.fit([(words, labels)], nw.Training(4, optimizer=torch.optim.SGD), progress=False)
        task.commit()
        assert same(state(task.model), state(store.load("t")))


def test_the_callers_head_is_copied(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "s", MLP.make(), head=MLP.place)
    head = MLP.head(2)
    before = state(head)
    with store.begin("t", nw.IBM(density=0.5), head=head) as task:
        task.fit([MLP.batch(16, 2)], nw.Training(4), progress=False)
        task.commit()
    assert same(before, state(head))


def test_bfloat16_weights_keep_their_fisher_in_float32(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "s", MLP.make().to(torch.bfloat16), head=MLP.place)
    x, y = MLP.batch(16, 2)
    with store.begin("t", nw.IBM(density=0.5), head=MLP.head(2).to(torch.bfloat16)) as task:
        task.fit([(x.to(torch.bfloat16), y)], nw.Training(6), progress=False)
        record = task.commit()
        assert same(state(task.model), state(store.load("t")))
    kept = sum(layer["used"] for layer in record.layers.values())
    assert kept == int(0.5 * sum(spec.numel for spec in store.shared))
    assert all(layer["nats"] > 0 for layer in record.layers.values())


def test_a_fused_step_that_unscales_by_itself_is_refused(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "s", MLP.make(), head=MLP.place)
    x, y = MLP.batch(16, 2)
    with store.begin("t", nw.IBM(density=0.5), head=MLP.head(2)) as task:
        optimizer = task.optimizer(torch.optim.Adam, lr=1e-3, total_steps=4)
        nn.functional.cross_entropy(task.model(x), y).backward()
        optimizer.grad_scale = torch.tensor(2.0)  # what GradScaler sets on a fused optimizer
        with pytest.raises(OptimizerError, match="fused=False"):
            optimizer.step()


def test_an_abandoned_first_task_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    store = nw.TaskStore.create(tmp_path / "s", model)
    before = (store.path / "store.json").read_bytes()
    with store.begin("t", nw.IBM(density=0.5), head=Head("0", nn.Linear(4, 8))):
        pass
    with pytest.raises(CapacityError, match="leaves no weight"):
        store.begin("t", nw.IBM(new=0.001, reuse=0.0), head=Head("0", nn.Linear(4, 8)))
    assert (store.path / "store.json").read_bytes() == before
    with store.begin("t", nw.IBM(density=0.5), head=Head("2", nn.Linear(8, 3))) as task:
        task.fit([(torch.randn(9, 4), torch.arange(9) % 3)], nw.Training(4), progress=False)
        task.commit()
    assert [spec.name for spec in nw.TaskStore.open(store.path, model).shared] == ["0.weight"]


def test_a_head_in_the_place_of_all_that_is_shared_is_refused(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "s", nn.Sequential(nn.Linear(4, 3)))
    with store.begin("whole", nw.IBM(density=0.5)) as task:
        task.fit([(torch.randn(9, 4), torch.arange(9) % 3)], nw.Training(4), progress=False)
        task.commit()
    with pytest.raises(ModelMismatchError, match="no parameter left to share"):
        store.begin("head", nw.IBM(density=0.5), head=Head("0", nn.Linear(4, 2)))


def test_what_changed_since_begin_is_refused_before_training(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "s", MLP.make(), head=MLP.place)
    with store.begin("t", nw.IBM(density=0.5), head=MLP.head(2)) as task:
        task.model.double()
        with pytest.raises(ModelMismatchError, match=r"one\.weight is float64 .* now and was float32"):
            task.optimizer(torch.optim.Adam, lr=1e-3, total_steps=4)


def test_gates_do_not_pile_up_gradients_where_the_model_is_zeroed(tmp_path: Path) -> None:
    """`model.zero_grad()` does not know the gates; a loop that uses it ends as one that zeroes the optimizer."""
    ends = []
    for number, zeroes_model in enumerate((False, True)):
        store = nw.TaskStore.create(tmp_path / str(number), MLP.make(), head=MLP.place)
        x, y = MLP.batch(16, 2)
        torch.manual_seed(3)  # of the head and of the noise
        method = nw.IBM(density=0.5, estimator="variational")
        with store.begin("t", method, head=MLP.head(2)) as task:
            optimizer = task.optimizer(torch.optim.SGD, lr=1e-2, total_steps=6, examples=16)
            for _ in range(6):
                with task.sample():
                    nn.functional.cross_entropy(task.model(x), y).backward()
                optimizer.step()
                (task.model if zeroes_model else optimizer).zero_grad()
            task.commit()
        ends.append(state(store.load("t")))
    assert same(*ends)


@pytest.mark.parametrize("ratio", ["none", "features"])
def test_fit_takes_each_epoch_of_the_batches_once(tmp_path: Path, ratio: str) -> None:
    store = nw.TaskStore.create(tmp_path / "s", MLP.make(), head=MLP.place)
    x, y = MLP.batch(16, 2)
    batches = Batches(x, y, 8, shuffle=True)
    with store.begin("t", nw.make_method("ibm", {"density": 0.5, "ratio": ratio}), head=MLP.head(2)) as task:
        task.fit(batches, nw.Training(3), progress=False)
    assert batches.epoch == 3


def test_a_name_that_looks_like_markup_is_only_a_name(tmp_path: Path) -> None:
    with ProgressBar("shop [/x]", Console(file=io.StringIO(), force_terminal=True)) as bar:
        bar(Step(1, 2, 0, 1, 0.5, 1e-3))
    store = nw.TaskStore.create(tmp_path / "s", MLP.make(), head=MLP.place)
    learn(store, "shop [/x]", nw.IBM(density=0.4, prune_every=2))
    written = io.StringIO()
    Screen(file=written, width=100).print(tasks_table([task_row(record, 1, 1) for record in store.tasks()]))
    assert "shop [/x]" in written.getvalue()
