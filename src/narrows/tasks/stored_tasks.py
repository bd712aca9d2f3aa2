"""The tasks of a store, as they are read: what is written down of them, and their networks.

`TaskStore` adds to them. Knows modules and records; it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import deprecated

from narrows.errors import ModelMismatchError
from narrows.memory import enough_memory
from narrows.store import Problem, StoreDirectory, TaskRecord
from narrows.store.checkpoint_file import CheckpointFile
from narrows.store.compose import composed, proven
from narrows.store.reader import StoreReader
from narrows.subnet import TensorSpec
from narrows.tasks.account import LayerAccount, read_account
from narrows.tasks.heads import made_head
from narrows.tasks.loading import fill, moved, place_head
from narrows.tasks.module_copy import copied_without
from narrows.tasks.partition import assign
from narrows.tasks.routing import Routing, route
from narrows.tasks.switching import Stored, left_to_base, switch


class StoredTasks:
    """What a store gives: its tasks, their figures, their networks."""

    def __init__(self, directory: StoreDirectory, model: nn.Module | None, trust: bool = False) -> None:
        self.directory = directory
        self._template = model
        self._trust = trust

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.directory.path

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """The parameters that tasks share."""
        return self.directory.steadily(lambda reader: reader.shared)

    @property
    def head(self) -> str | None:
        """Where tasks have a module of their own: as `create` was told, or else where the first task has it."""
        return self.directory.steadily(_place_of_heads)

    @property
    def about(self) -> dict[str, Any] | None:
        """What `create` was told to keep with the store."""
        return self.directory.header.model

    def tasks(self) -> tuple[TaskRecord, ...]:
        """What is written down of every task, in the order they were learned."""
        return self.directory.steadily(StoreReader.records)

    def names(self) -> tuple[str, ...]:
        """The tasks' names, in the order they were learned; no task is read."""
        return self.directory.steadily(StoreReader.task_names)

    def checkpoint(self, name: str) -> CheckpointFile:
        """The checkpoint of the task `name` while it is learned: `load()`, `save(tree)`, `drop()`.

        `Task.fit(checkpoint=store.checkpoint(name))` keeps it up to date. It is no part of the store: other tasks do
        not need it, and a commit removes it.
        """
        return self.directory.checkpoint(name)

    @deprecated("store.progress(name) is store.checkpoint(name) now")
    def progress(self, name: str) -> CheckpointFile:
        """The former name of `checkpoint`; it will go."""
        return self.checkpoint(name)

    def values_kept(self) -> float:
        """Values that all tasks keep / shared weights: a refined weight counts for each, so it may exceed 1.

        Each `independent` task counts as a network of its own.
        """
        return self.directory.steadily(lambda reader: composed(reader).held().values_kept())

    @deprecated("store.used() is store.values_kept() now")
    def used(self) -> float:
        """The former name of `values_kept`; it will go."""
        return self.values_kept()

    def explain(self, name: str) -> tuple[LayerAccount, ...]:
        """What a stored task keeps of each layer, and why; see `Task.explain`."""
        return read_account(self.directory.steadily(lambda reader: reader.record(name)).layers)

    @enough_memory("copy the store's network")
    def network(self) -> nn.Module:
        """A copy of the network that the store began from, as it was then."""
        return self._network(self.directory.steadily(StoreReader.base))

    @enough_memory("load the task")
    def load(
        self,
        name: str,
        *,
        head: nn.Module | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> nn.Module:
        """The task's network as an ordinary module in eval mode, masks baked in, with the user's own names.

        Args:
            head: a module like the task's head, needed only where that is no `nn.Linear` and has no `narrows.Factory`.
            device: where to put it; default: the CPU.
            dtype: what to convert its floating-point tensors to (`torch.bfloat16`, `float16`, `float32`, `float64`),
                after they were held to the digest of the commit. Its outputs are then not those that were committed,
                but rounded as the dtype has it. Default: as they were trained.

        Raises:
            UnknownNameError: there is no such task; suggests the nearest name.
            UntrustedModelError: the head's factory was named by somebody else (`TaskStore.open(trust=True)`).
            ModelMismatchError: the head has to be given, or its factory makes another than was trained.
            ConfigError: there is no such device here, or networks cannot have such a dtype.
            DamagedStoreError: a file it needs is damaged, and named, or the weights are not those that were committed.

        Example: `store.load("first", device="cuda", dtype=torch.bfloat16)`.
        """
        task = self.directory.steadily(lambda reader: self._stored(reader, name))
        given = self._made(task) if head is None else head
        model = place_head(self._network(task.base, task.subnet.specs), name, task.record.head, given, task.private)
        return moved(fill(model, task.subnet, task.private), device, dtype)

    @enough_memory("switch the network")
    def switch_(self, model: nn.Module, name: str, *, head: nn.Module | None = None) -> None:
        """Turns a network that `load` gave into the task `name`, in place: to the bit what `load` gives, in eval mode.

        Its parameters stay the same tensors, on their devices; no second network is made. Every tensor is written,
        whatever was done to the network since it was loaded. A head that is no `nn.Linear`, or has another shape than
        the one before, is a new module: what holds on to the old one (hooks, an optimizer) does not know it.

        Args:
            model: what `load` gave, also converted or moved, or a network built by the same code as the store's.
            head: as of `load`.

        Raises:
            ModelMismatchError: the model is made otherwise than the store's network; names what differs. A part of it
                was converted to another dtype. Nothing was changed.
            UnknownNameError: there is no such task; suggests the nearest name.
            UntrustedModelError, DamagedStoreError: as of `load`; nothing was changed.

        >>> import tempfile, torch, narrows
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        >>> store = narrows.TaskStore.create(tempfile.mkdtemp() + "/store", model, head="2")
        >>> for name, classes in (("first", 2), ("second", 3)):
        ...     with store.begin(name, narrows.IBM(density=0.5), head=classes) as task:
        ...         _ = task.fit([(torch.randn(16, 4), torch.arange(16) % classes)], narrows.Training(20))
        ...         _ = task.commit()
        >>> network = store.load("first")
        >>> store.switch_(network, "second")
        >>> torch.equal(network[0].weight, store.load("second")[0].weight), network[2]
        (True, Linear(in_features=8, out_features=3, bias=True))
        """
        template = self._require_template()

        def heads() -> set[str]:
            described = (record.head for record in self.tasks())
            return {str(head.get("path")) for head in described if head is not None}

        task = self.directory.steadily(lambda reader: self._stored(reader, name))
        switch(model, template, task, self._made(task) if head is None else head, heads)

    def route(self, x: Any, **options: Any) -> Routing:
        """Ranks the tasks for a batch `x` whose task is not known; see `narrows.tasks.routing.route` for all options.

        Example: `store.route(x).best`.
        """
        return route(self, x, **options)

    def verify(self, progress: Callable[[str, int, int], None] | None = None, *, deep: bool = False) -> list[Problem]:
        """Reads and checks every byte.

        Args:
            progress: called with (file, files done, files in all).
            deep: also put every task's weights together and compare their digests with those committed.

        Returns:
            what is wrong, empty where all is well; a `harmless` problem only takes up room.
        """
        return self.directory.verify(progress, deep=deep)

    def _network(self, base: Mapping[str, Tensor], shared: Iterable[TensorSpec] = ()) -> nn.Module:
        """The store's network with these values, and zeros in what else tasks share."""
        model = copied_without(self._require_template(), {spec.name for spec in shared} | base.keys())
        assign(model, base)
        return model

    def _untrained(self, names: Collection[str], shared: Iterable[TensorSpec]) -> nn.Module:
        """The store's network with these tensors of the base, and zeros in what tasks share."""
        return self._network(self._base_of(self.directory, names), shared)

    def _base_of(self, reader: StoreReader, names: Collection[str]) -> dict[str, Tensor]:
        """Tensors of the base network; its file is read where there are any."""
        return {key: value for key, value in reader.base().items() if key in names} if names else {}

    def _stored(self, reader: StoreReader, name: str) -> Stored:
        record, (subnet, private) = reader.record(name), proven(reader, name)
        names = left_to_base(self._require_template(), record, private, reader.shared)
        return Stored(record, subnet, private, self._base_of(reader, names))

    def _made(self, task: Stored) -> nn.Module | None:
        return made_head(task.record, task.private, self.path, self._trust)

    def _require_template(self) -> nn.Module:
        if self._template is None:
            raise ModelMismatchError(
                "The store was opened without a model: TaskStore.open(path, model), with the model it was made from."
            )
        return self._template


def _place_of_heads(reader: StoreReader) -> str | None:
    if reader.header.head is not None:
        return reader.header.head
    described = next((reader.record(name).head for name in reader.task_names()[:1]), None)
    return None if described is None else str(described.get("path"))
