"""Learning all tasks of a stream at once, for methods with `together`, and putting each into the store.

Every task has a network: weights that tasks share in the store are the same tensors in all of them, the
rest (head, biases, norms) is each task's own, as for every other method. A batch holds one task's examples; each
epoch has every task's batches, all in random order, so there are as many steps as one task after another takes.
Once trained, the networks are written to a file, and the tasks committed from that: a run cut off before
starts again, a run cut off after goes on with the same networks, and none ever mixes two trainings.

Holds every task's training data at once. Does not know how streams are made or results kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from narrows.benchmarks.environment import StepClock
from narrows.data.batches import Batches
from narrows.data.seeds import TASK_ORDER, generator
from narrows.errors import StoreError
from narrows.methods import Method
from narrows.store import durable, outside, tensors_file
from narrows.subnet import digest
from narrows.tasks import TaskStore
from narrows.training import Callback, Training, train

_FIGURES, _CHECK = "figures", "check"
_MOST = 1 << 40  # bytes


class Together(nn.Module):
    """One network for each task, with the weights `shared` (names) in common.

    Takes (task, inputs) for what a task's network takes inputs for.

    >>> networks = [nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)) for _ in range(3)]
    >>> together = Together(networks, ["0.weight"])
    >>> together((1, torch.zeros(5, 4))).shape, networks[0][0].weight is networks[2][0].weight
    (torch.Size([5, 2]), True)
    """

    def __init__(self, networks: Sequence[nn.Module], shared: Iterable[str]) -> None:
        super().__init__()
        for name in shared:
            parameter = networks[0].get_parameter(name)
            module, _, leaf = name.rpartition(".")
            for network in networks[1:]:
                setattr(network.get_submodule(module), leaf, parameter)
        self.networks = nn.ModuleList(networks)

    def forward(self, inputs: tuple[int, Tensor]) -> Tensor:
        task, x = inputs
        out: Tensor = self.networks[task](x)
        return out


class Mixed:
    """The batches of several tasks, ((task, inputs), labels), in an order drawn anew for each pass."""

    def __init__(self, batches: Sequence[Batches], seed: int) -> None:
        self._batches, self._seed, self._epoch = batches, seed, 0

    def __len__(self) -> int:
        return sum(len(batches) for batches in self._batches)

    def __iter__(self) -> Iterator[tuple[tuple[int, Tensor], Tensor]]:
        tasks = [task for task, batches in enumerate(self._batches) for _ in range(len(batches))]
        order = torch.randperm(len(tasks), generator=generator(self._seed, TASK_ORDER, self._epoch))
        self._epoch += 1
        sources = [iter(batches) for batches in self._batches]
        for position in order.tolist():
            task = tasks[position]
            x, y = next(sources[task])
            yield (task, x), y


@dataclass(frozen=True, eq=False)
class Member:
    """One of the tasks learned together.

    Attributes:
        network: the network it starts from, head in place.
        head: where its head is.
        batches: of its training data.
        untrained: test accuracy of `network` before training, which is also where the task starts.
        data: what is written down of its data.
    """

    name: str
    network: nn.Module
    head: str
    batches: Batches
    untrained: float
    data: dict[str, Any]


@dataclass(frozen=True)
class Trained:
    """All tasks' networks after training, and what it cost.

    Attributes:
        networks: state dict of each task's network, on the CPU.
        steps: optimizer steps of all tasks together.
        seconds: of training, data loading included.
        step_seconds: median of a step.
        losses: mean of each epoch, over all tasks.
    """

    networks: tuple[Mapping[str, Tensor], ...]
    steps: int
    seconds: float
    step_seconds: float
    losses: tuple[float, ...]

    def share(self) -> dict[str, Any]:
        """What is written down with each task: an equal share of the steps and seconds."""
        count = len(self.networks)
        return {
            "steps": self.steps / count,
            "seconds": round(self.seconds / count, 3),
            "step_seconds": self.step_seconds,
            "losses": [round(loss, 5) for loss in self.losses],
        }

    def save(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Writes it to `path`, durably and all at once. `identity`: plain JSON that names the run."""
        tensors = {f"{task}/{name}": value for task, state in enumerate(self.networks) for name, value in state.items()}
        figures = [self.steps, self.seconds, self.step_seconds, *self.losses]
        tensors[_FIGURES] = torch.tensor(figures, dtype=torch.float64)
        tensors[_CHECK] = _check(tensors, identity)
        outside.replace(path, tensors_file.encode(tensors, path.name))

    @classmethod
    def load(cls, path: Path, identity: Mapping[str, Any]) -> Trained:
        """What `save` wrote.

        Raises:
            StoreError: the file is damaged, or of another run.
        """
        remedy = "delete it, and the run trains again"
        tensors = tensors_file.decode(durable.read(path, str(path), _MOST, remedy), str(path), remedy)
        check = tensors.pop(_CHECK, None)
        if check is None or not torch.equal(check, _check(tensors, identity)):
            raise StoreError(f"{path} is of another run, or damaged. Delete it to train again, or use another --out.")
        steps, seconds, step_seconds, *losses = tensors.pop(_FIGURES).tolist()
        networks: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            task, _, name = key.partition("/")
            networks.setdefault(int(task), {})[name] = value
        ordered = tuple(networks[task] for task in sorted(networks))
        return cls(ordered, int(steps), seconds, step_seconds, tuple(losses))


def learn_together(
    store: TaskStore,
    method: Method,
    members: Sequence[Member],
    path: Path,
    *,
    identity: Mapping[str, Any],
    training: Training,
    seed: int,
    device: str,
    listening: AbstractContextManager[Callback | None],
) -> None:
    """Trains all tasks at once, or takes what was trained from `path`, and commits those not in the store yet.

    Args:
        members: all tasks, in the store's order; their networks are trained.
        path: where the trained networks are kept until the caller deletes them.
        identity: plain JSON that names the run.
        training: how, over the batches of all tasks.
        listening: entered while it trains; gives a callback for its steps.

    Raises:
        StoreError: some tasks are in the store and `path` is not there, or what it holds is not this run's.
        NonFiniteError: the loss is NaN or infinite.
    """
    done = len(store.tasks())
    if path.exists():
        trained = Trained.load(path, identity)
    elif done:
        raise StoreError(
            f"{path} is gone, and only {done} of {len(members)} tasks had been committed from it. Use another --out."
        )
    else:
        names = [spec.name for spec in store.shared]
        with listening as callback:
            callbacks = [callback] if callback else []
            trained = train_together(members, names, training, seed=seed, device=device, callbacks=callbacks)
        trained.save(path, identity)
    for member, network in list(zip(members, trained.networks, strict=True))[done:]:
        member.network.load_state_dict(network)
        figures = trained.share() | {"start_accuracy": member.untrained, "untrained": member.untrained}
        store.put(member.name, member.network, head=member.head, method=method, metrics=figures, data=member.data)


def train_together(
    members: Sequence[Member],
    shared: Iterable[str],
    training: Training,
    *,
    seed: int,
    device: str = "cpu",
    callbacks: Iterable[Callback] = (),
) -> Trained:
    """Trains every task's network with those of the others.

    Args:
        shared: names of the parameters that the networks have in common.
        seed: of the order of the batches.
    """
    model = Together([member.network for member in members], shared).to(device)
    batches = Mixed([member.batches for member in members], seed)
    clock = StepClock(device)
    log = train(model, batches, training, callbacks=[clock, *callbacks])
    states = tuple(
        {name: value.detach().cpu().clone() for name, value in member.network.state_dict().items()}
        for member in members
    )
    return Trained(states, log.steps, log.seconds, clock.median(), tuple(log.losses))


def _check(tensors: Mapping[str, Tensor], identity: Mapping[str, Any]) -> Tensor:
    """SHA-256 of the tensors and of what run they are of."""
    text = json.dumps(identity, sort_keys=True) + digest(tensors, {})
    return torch.tensor(list(hashlib.sha256(text.encode()).digest()), dtype=torch.uint8)
