"""What a run learns from and starts with: the stream's batches, the base network, heads, seeds.

Knows neither the store nor the method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from narrows.benchmarks.options import RunOptions
from narrows.benchmarks.streams import Stream
from narrows.benchmarks.task_data import TaskData
from narrows.data.batches import Batches
from narrows.networks import make_network
from narrows.training import accuracy

HEAD = "head"
TEST_BATCH = 500


@dataclass(frozen=True)
class StreamData:
    """Everything is drawn from the run's seed: the same options give the same material.

    options: filled in by `with_defaults`.
    """

    options: RunOptions
    stream: Stream

    def data(self, index: int) -> dict[str, Any]:
        """What is written down of a task's data."""
        described: dict[str, Any] = self.stream.description["tasks"][index]
        return described | {"stream": self.stream.name, "seed": self.options.seed}

    def untrained(self, head: nn.Module, test: Batches) -> float:
        """Accuracy of the base network with this head."""
        model = self.base_network()
        setattr(model, HEAD, head)
        return accuracy(model.to(self.options.device), test)

    def head(self, index: int) -> nn.Module:
        """Task `index`'s head, untrained; seeds the global generator for the task."""
        torch.manual_seed(self._seed(index))
        net = make_network(self.options.network or "", self.stream.input_shape, len(self.stream.tasks[index].classes))
        head: nn.Module = getattr(net, HEAD)
        return head

    def train_batches(self, index: int) -> Batches:
        """Task `index`'s training data, in an order of its own."""
        data = self.stream.tasks[index]
        return Batches(
            data.train_x,
            data.train_y,
            self.options.batch_size or 0,
            shuffle=True,
            generator_seed=self._seed(index),
            augment=self.stream.augment,
            mean=self.stream.mean,
            std=self.stream.std,
            device=self.options.device,
        )

    def test_batches(self, data: TaskData) -> Batches:
        """A task's test data."""
        mean, std = self.stream.mean, self.stream.std
        return Batches(
            data.test_x, data.test_y, TEST_BATCH, shuffle=False, mean=mean, std=std, device=self.options.device
        )

    def base_network(self) -> nn.Module:
        """The network all tasks share, drawn from the seed without disturbing the global generator."""
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(self.options.seed)
            return make_network(self.options.network or "", self.stream.input_shape, len(self.stream.tasks[0].classes))

    def _seed(self, index: int) -> int:
        return self.options.seed * 10_007 + index + 1
