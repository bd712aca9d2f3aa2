"""A store as plain dictionaries: who claimed which weight with which value. The model that the real one is held to."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch
from torch import Tensor

from narrows.store import TensorSpec

SPECS = (TensorSpec("a", (3, 3), "float32"), TensorSpec("b", (2, 2), "float32"))
COUNT = sum(spec.numel for spec in SPECS)
BASE = {"a": torch.zeros(3, 3), "b": torch.zeros(2, 2), "bias": torch.zeros(2)}
Values = dict[int, float]  # weight (its number over all shared parameters) -> value


@dataclass
class Held:
    """A task as the model knows it."""

    isolation: str
    method: str
    used: frozenset[int]
    claims: Values
    private: float


@dataclass
class Claims:
    """The tasks in order, the training state and the checkpoints."""

    tasks: dict[str, Held] = field(default_factory=dict)
    carry: tuple[str, float] | None = None
    checkpoints: dict[str, int] = field(default_factory=dict)

    def copy(self) -> Claims:
        return copy.deepcopy(self)

    def shared(self) -> list[str]:
        return [name for name, task in self.tasks.items() if task.isolation == "shared"]

    def claimants(self, weight: int) -> list[str]:
        """The shared tasks that claimed the weight, in order."""
        return [name for name in self.shared() if weight in self.tasks[name].claims]

    def source(self, name: str, weight: int) -> str:
        """The task whose value of the weight the shared task `name` has."""
        order = self.shared()
        return [other for other in self.claimants(weight) if order.index(other) <= order.index(name)][-1]

    def weights(self, name: str) -> Values:
        """The weights that a task has: the used ones; the rest are 0."""
        task = self.tasks[name]
        if task.isolation == "shared":
            return {weight: self.tasks[self.source(name, weight)].claims[weight] for weight in task.used}
        last = [other for other in self.tasks.values() if other.isolation == "none"][-1:]
        claims = last[0].claims if task.isolation == "none" else task.claims
        return {weight: claims.get(weight, 0.0) for weight in task.used}

    def parents(self, name: str) -> tuple[str, ...]:
        """The tasks that a shared task reuses weights of, in order."""
        found = {self.source(name, weight) for weight in self.tasks[name].used} - {name}
        return tuple(other for other in self.tasks if other in found)

    def frozen(self) -> Values:
        """The newest value of each weight that the next task must leave as it is."""
        claimed = {weight for name in self.shared() for weight in self.tasks[name].claims}
        return {weight: self.tasks[self.claimants(weight)[-1]].claims[weight] for weight in claimed}

    def kept(self) -> int:
        """Values that the shared tasks keep."""
        return sum(len(self.tasks[name].claims) for name in self.shared())

    def commit(self, name: str, task: Held, carry: float | None) -> None:
        self.tasks[name] = task
        if carry is not None:
            self.carry = (task.method, carry)
        elif self.carry and self.carry[0] == task.method:
            self.carry = None

    def forget(self, name: str) -> None:
        """Each weight that it claimed goes to the first later task that has the value from it."""
        order = list(self.tasks)
        later = order[order.index(name) + 1 :]
        if self.tasks[name].isolation == "shared":
            for weight, value in self.tasks[name].claims.items():
                heirs = [
                    other
                    for other in later
                    if self.tasks[other].isolation == "shared"
                    and weight in self.tasks[other].used
                    and self.source(other, weight) == name
                ]
                if heirs:
                    self.tasks[heirs[0]].claims[weight] = value
        methods = {self.tasks[other].method for other in later}
        if self.carry and self.carry[0] == self.tasks[name].method and self.tasks[name].method not in methods:
            self.carry = None
        del self.tasks[name]

    def compact(self) -> None:
        self.checkpoints = {name: step for name, step in self.checkpoints.items() if name not in self.tasks}


def spread(values: Values, fill: float = 0.0) -> dict[str, Tensor]:
    """Values by the weights' numbers as tensors by the parameters' names."""
    flat = torch.full((COUNT,), fill)
    for weight, value in values.items():
        flat[weight] = value
    parts = flat.split([spec.numel for spec in SPECS])
    return {spec.name: part.reshape(spec.shape).clone() for spec, part in zip(SPECS, parts, strict=True)}


def mask(weights: frozenset[int] | set[int]) -> dict[str, Tensor]:
    return {name: tensor.bool() for name, tensor in spread(dict.fromkeys(weights, 1.0)).items()}


def private(value: float) -> dict[str, Tensor]:
    return {"bias": torch.full((2,), value)}
