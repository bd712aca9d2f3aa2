"""The value `Training`: what it refuses, what it does to the steps, and the calls of before that it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import narrows as nw
from checkpoints import Memory, stop_at
from narrows.errors import ConfigError, NonFiniteError
from narrows.training import Training, train
from toys import MLP, same, state

X, Y = torch.randn(12, 3), torch.arange(12) % 2
METHOD = nw.IBM(density=0.4, prune_every=2)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number, at least 1; got 0"),
        ({"epochs": 2.5}, r"epochs must be a whole number, at least 1; got 2\.5"),
        ({"epochs": None}, "epochs must be a whole number, at least 1; got None"),
        ({"accumulate": 0}, "accumulate must be a whole number"),
        ({"accumulate": None}, "accumulate must be a whole number"),
        ({"patience": True}, "patience must be a whole number"),
        ({"batch_size": -1}, "batch_size must be a whole number"),
        ({"lr": 0.0}, r"lr must be a number above 0; got 0\.0"),
        ({"lr": float("nan")}, "lr must be a number above 0"),
        ({"clip": -1}, "clip must be a number above 0; got -1"),
        ({"amp": "fp16"}, "amp must be 'bfloat16', 'float16', or None .*; got 'fp16'"),
        ({"schedule": "linear"}, "schedule must be 'cosine', 'constant', or a function"),
        ({"loss": "mse"}, "loss must be a function"),
        ({"options": {"lr": 0.1}}, "options has lr, which is a value of its own"),
        ({"options": {"momentun": 0.9}}, "'momentun', which Adam does not take. It takes lr, betas"),
    ],
)
def test_values_out_of_range(said: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Training(**{"epochs": 2, **said})


def twins() -> list[nn.Module]:
    models = [nn.Linear(3, 2) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    return models


def test_accumulated_batches_are_one_step_of_their_mean() -> None:
    one, other = twins()
    sgd = {"optimizer": torch.optim.SGD, "lr": 0.1, "schedule": "constant"}
    small = [(X[at : at + 2], Y[at : at + 2]) for at in range(0, 10, 2)]
    log = train(one, small, Training(2, accumulate=2, **sgd))
    large = [(X[:4], Y[:4]), (X[4:8], Y[4:8]), (X[8:10], Y[8:10])]  # the last group of an epoch has one batch
    expected = train(other, large, Training(2, **sgd))
    assert log.steps == expected.steps == 6
    assert log.losses == pytest.approx(expected.losses)
    torch.testing.assert_close(one.weight, other.weight)


def test_a_long_gradient_is_shortened() -> None:
    one, other = twins()
    before = state(one)
    train(one, [(X, Y)], Training(1, lr=1.0, optimizer=torch.optim.SGD, clip=0.01))
    moved = torch.cat([(value - before[name]).flatten() for name, value in state(one).items()])
    assert moved.norm() == pytest.approx(0.01, rel=1e-3)
    train(other, [(X, Y)], Training(1, lr=1.0, optimizer=torch.optim.SGD, clip=1e6))
    plain = twins()[0]
    plain.load_state_dict(before)
    train(plain, [(X, Y)], Training(1, lr=1.0, optimizer=torch.optim.SGD))
    assert same(state(other), state(plain))


def test_what_is_computed_in_half_precision_is_trained_in_float32() -> None:
    seen: list[torch.dtype] = []

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        seen.append(outputs.dtype)
        return F.cross_entropy(outputs, targets)

    model = nn.Linear(3, 2)
    for amp in (None, "bfloat16", "float16"):
        train(model, [(X, Y)], Training(1, lr=0.1, amp=amp, loss=loss))
    assert seen == [torch.float32, torch.bfloat16, torch.float16]
    assert model.weight.dtype == torch.float32
    with pytest.raises(ConfigError, match="weights are float16: keep them in float32"):
        train(model.half(), [(X, Y)], Training(1, lr=0.1, amp="float16"))


def overflowing(*steps: int) -> Any:
    """A loss whose gradient is not finite at these passes, from 1."""
    passes = iter(range(1, 100))

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        value = F.cross_entropy(outputs, targets)
        return value + (outputs.sum() * 0).sqrt() if next(passes) in steps else value

    return loss


def test_steps_that_overflow_are_passed_over_and_counted(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    rates: list[float] = []
    with store.begin("task", METHOD, head=MLP.head(3)) as task:
        training = Training(3, lr=0.02, amp="float16", loss=overflowing(1, 5))
        weights = state(task.model)
        calls = [lambda step: rates.append(step.lr), lambda step: step.step > 1 or same(weights, state(task.model))]
        fit = task.fit([MLP.batch(8, 3, seed) for seed in range(3)], training, callbacks=calls)
        assert (fit.steps, fit.skipped, len(fit.losses)) == (7, 2, 3)
        assert task._attached.steps == 7
        assert task.history().steps == 7
    assert rates[0] == rates[1] == 0.02  # the schedule keeps to the steps that were taken
    assert len(rates) == 9


def test_a_loss_that_is_not_finite_is_no_matter_of_scale() -> None:
    with pytest.raises(NonFiniteError, match="at step 1"):
        train(nn.Linear(3, 2), [(X * torch.inf, Y)], Training(1, lr=0.1, amp="float16"))


def test_the_scale_of_the_loss_goes_on(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    memory = Memory()
    training = Training(3, lr=0.02, amp="float16", loss=overflowing(1))
    with store.begin("task", METHOD, head=MLP.head(3)) as task, pytest.raises(KeyboardInterrupt):
        task.fit([MLP.batch(8, 3)] * 3, training, checkpoint=memory, callbacks=[stop_at(4)])
    assert memory.tree["steps"]["scaler"]["scale"] == 2.0**15  # halved once
    assert (memory.tree["position"]["steps"], memory.tree["position"]["skipped"]) == (3, 1)
    with store.begin("task", METHOD, head=MLP.head(3)) as task:
        with pytest.raises(ConfigError, match='amp was "float16" and is null'):
            task.fit([MLP.batch(8, 3)] * 3, Training(3, lr=0.02, loss=overflowing()), checkpoint=memory)
        fit = task.fit(
            [MLP.batch(8, 3)] * 3, Training(3, lr=0.02, amp="float16", loss=overflowing(1)), checkpoint=memory
        )
    assert (fit.steps, fit.skipped) == (7, 2)
    assert memory.tree["steps"]["scaler"]["scale"] == 2.0**14


def test_the_method_is_told_what_a_step_averages_over(tmp_path: Path) -> None:
    store = nw.TaskStore.create(tmp_path / "store", MLP.make(), head=MLP.place)
    with store.begin("task", METHOD, head=MLP.head(3)) as task:
        task.fit([MLP.batch(8, 3)] * 5, Training(4, batch_size=8, examples=40, accumulate=2))
        schedule = task.history().schedule
    assert (schedule.total_steps, schedule.batch_size, schedule.examples) == (12, 16, 40)


def test_calls_as_they_were_before_go_on_with_a_warning(tmp_path: Path) -> None:
    def trained(name: str, **said: Any) -> dict[str, Tensor]:
        torch.manual_seed(0)
        store = nw.TaskStore.create(tmp_path / name, MLP.make(), head=MLP.place)
        with store.begin("task", METHOD, head=MLP.head(3)) as task:
            task.fit([MLP.batch(8, 3)] * 3, **said)
            return state(task.model)

    options = {"weight_decay": 0.1}
    now = trained("now", training=Training(2, lr=0.01, schedule="constant", options=options), progress=False)
    with pytest.warns(
        DeprecationWarning, match=r"fit\(cosine=.*now.*Training\(epochs=\.\.\., lr=\.\.\., options=\.\.\., schedule="
    ):
        assert same(trained("then", epochs=2, lr=0.01, cosine=False, weight_decay=0.1, progress=False), now)
    with pytest.raises(ConfigError, match="'momentun', which Adam does not take"):
        trained("wrong", epochs=2, momentun=0.9)
    with pytest.raises(ConfigError, match="fit takes no lr beside a Training"):
        trained("both", training=Training(2), lr=0.1)
    store = nw.TaskStore.create(tmp_path / "adopting", MLP.make())
    batches = [MLP.batch(8, 2)] * 3
    with pytest.warns(DeprecationWarning, match="is now") as told:
        found = nw.adopt(store, "first", batches, epochs=2, data={"rows": 8})
    assert [str(one.message).partition(" is now ")[0] for one in told] == ["adopt(data=...)", "adopt(epochs=...)"]
    assert (found.fit.steps, found.record.data) == (6, {"rows": 8})
    with pytest.warns(DeprecationWarning, match="what adopt gives itself"):
        assert found.adoption is found
