"""The store as users hold it: a directory, and the network whose tasks it keeps."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import ModelMismatchError, TaskExistsError
from narrows.memory import enough_memory
from narrows.methods import Method
from narrows.store import Problem, StoreDirectory, TaskRecord
from narrows.store.checkpoint_file import CheckpointFile
from narrows.store.compose import composed, last_overwriting, proven, weights_of
from narrows.store.forget import Forgetting
from narrows.store.names import check_task_name, one_form
from narrows.store.reader import StoreReader
from narrows.subnet import TensorSpec
from narrows.tasks.account import LayerAccount, read_account, recount
from narrows.tasks.heads import Head, describe_head, like_head, put_head, require_place
from narrows.tasks.loading import fill, moved, place_head
from narrows.tasks.module_copy import copied, copied_without, require_plain, require_whole, unwrapped
from narrows.tasks.partition import assign, matches, named_tensors, require_match, require_plain_state
from narrows.tasks.putting import isolation_of, taken_in
from narrows.tasks.routing import Routing, route
from narrows.tasks.settling import Told
from narrows.tasks.sharing import Rule, kept_whole, require_not_tied, require_patterns, shared_specs
from narrows.tasks.switching import Stored, left_to_base, switch
from narrows.tasks.task import Task
from narrows.tasks.weights import TaskWeights
from narrows.training.randomness import undisturbed_generators


class TaskStore:
    """One network and the tasks it has learned, on disk.

    The model given is the network's architecture: it is copied for every task and never changed. Its values
    matter only to `create`, which keeps them as the base that free weights start from.

    Every call sees what is committed when it is made, by this process or another, and sees one state of the store
    throughout; there is nothing to refresh.

    >>> import tempfile, torch, narrows
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> path = tempfile.mkdtemp() + "/store"
    >>> store = TaskStore.create(path, model, head="2")
    >>> with store.begin("first", narrows.IBM(density=0.5), head=3) as task:
    ...     _ = task.fit([(torch.randn(16, 4), torch.arange(16) % 3)], narrows.Training(20))
    ...     _ = task.commit()
    >>> [record.name for record in TaskStore.open(path, model).tasks()]
    ['first']
    """

    def __init__(self, directory: StoreDirectory, model: nn.Module | None) -> None:
        self.directory = directory
        self._template = model

    @classmethod
    @enough_memory("make a store")
    def create(
        cls,
        path: str | os.PathLike[str],
        model: nn.Module,
        *,
        head: str | None = None,
        shared: Sequence[str] | Rule = (),
        private: Sequence[str] = (),
        about: Mapping[str, Any] | None = None,
    ) -> TaskStore:
        """A new store at `path` (which must be empty or not exist) around `model`.

        Tasks share the weights that multiply: those of linear, convolutional, recurrent, attention and embedding
        layers; `narrows.tasks.sharing` has the rule and its reasons. Each task has its own of everything else. Where
        that is 1% of the weights or more and neither `shared` nor `private` names it, a warning does. What wraps the
        model (torch.compile, DataParallel, DistributedDataParallel) is left out.

        Args:
            head: path of the module in whose place tasks have one of their own, as `"fc"` or `"classifier.1"`; it is
                kept with the store, and `begin` asks for the module, or its number of outputs, only.
            shared: patterns of parameters to share besides: names of parameters or modules, `*` allowed, as
                `["matrix", "h.*.c_attn"]`. Or a rule in the place of the default one, a function
                of a module and the name of one of its parameters, as `lambda module, name: narrows.multiplies(module,
                name) or isinstance(module, Conv1D)`. Parameters of one dimension are never shared.
            private: patterns of parameters that each task keeps whole although the rule or `shared` says otherwise,
                as `["norm*", "blocks.*.gate"]`. The task's head is private always.
            about: how to build the model again, say: plain JSON kept with the store (`TaskStore.about`), without
                meaning here.

        Raises:
            ModelMismatchError: there is no module at `head`; the model has nothing to share, its state dict holds what
                is no parameter or buffer, it cannot be copied, or is sharded; a pattern names nothing.
            StoreError: there is something at `path` already.
        """
        model = unwrapped(model)
        require_plain(model)
        require_plain_state(model)
        require_patterns(model, private, shared)
        template = copied(model)
        if head is not None:
            require_place(template, head)
            require_not_tied(template, head, shared_specs(template, private, shared))
            private = (*private, head)
        specs = shared_specs(template, private, shared)
        said = kept_whole(template, private, shared, specs)
        if not specs:
            raise ModelMismatchError(
                "The model has no parameter to share: none is trainable, floating-point, of two or more dimensions, "
                f"one that multiplies (narrows.tasks.sharing) and outside the private patterns. {said or ''}".strip()
            )
        if said is not None:
            warnings.warn(said, stacklevel=3)  # a frame more than it looks: `enough_memory`
        base = {name: tensor.detach() for name, tensor in named_tensors(template).items()}
        return cls(StoreDirectory.create(path, base, specs, tuple(private), about, head), template)

    @classmethod
    @enough_memory("open the store")
    def open(cls, path: str | os.PathLike[str], model: nn.Module | None = None) -> TaskStore:
        """The store at `path`. Without `model` it can be looked at and verified, not learned with or loaded from.

        Raises:
            ModelMismatchError: the model's parameters are not the store's; names those that differ. Or it cannot be
                copied, or is sharded.
            StoreMissingError, StoreVersionError, DamagedStoreError: there is no sound store of a known version.
        """
        directory = StoreDirectory.open(path)
        if model is None:
            return cls(directory, None)
        require_whole(model)
        if not directory.is_like(named_tensors(model)):
            # A store may have been made of a wrapped model, and have its names, before they were left out.
            base = directory.base()
            if named_tensors(model).keys() != base.keys():
                model = unwrapped(model)
                require_plain(model)
            require_match(named_tensors(model), base)
        require_plain_state(model)
        return cls(directory, copied(model))

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
        """Where tasks have a module of their own, as `create` was told."""
        return self.directory.header.head

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

    def progress(self, name: str) -> CheckpointFile:
        """The checkpoint of the task `name` while it is learned: `load()`, `save(tree)`, `drop()`.

        `Task.fit(checkpoint=store.progress(name))` keeps it up to date. It is no part of the store: other tasks do
        not need it, and a commit removes it.
        """
        return self.directory.progress(name)

    @enough_memory("begin a task")
    def begin(self, name: str, method: Method, *, head: int | nn.Module | Head | None = None) -> Task:
        """Starts learning a task. The store is locked until the task is committed or abandoned.

        Args:
            name: the task's name, new to the store.
            method: a configuration, as `narrows.IBM(density=0.04)`.
            head: this task's own module, put in the place of the model's at the store's `head`; or a number of outputs,
                for an `nn.Linear` like that one. Or (path, module), for another place, or a store that was made without
                `head`. None where the task uses the network's outputs as they are (regression, say). The first task's
                head takes its place's parameters out of what tasks share. Where the model ties the module at `path` to
                another, the task's head is tied to nothing: the other stays shared.

        Raises:
            TaskExistsError: the name is taken.
            ConfigError: no task can have that name, or `head` is no number of outputs.
            ModelMismatchError: there is no module to put the head at, the store was made without a `head`, or nothing
                left to share; the head would take away the name of a tied tensor.
            CapacityError: fewer weights are free than the method's budget asks for.
            StoreLockedError: another process, or another task of this one, is writing the store.
        """
        lock = self.directory.lock()
        try:
            self.directory.reload()
            self._require_new(name)
            model = self._network(self.directory.base())
            specs, private = self.directory.shared, self.directory.private
            head = self._placed(head, model)
            given = None if head is None or type(head[1]) is nn.Linear else head[1]
            if head is not None:
                module = unwrapped(head[1])
                require_plain(module)
                head = (head[0], copied(module))  # the caller's module is not trained behind their back
                require_place(model, head[0])
                specs, private = self._shared_beside(head[0], model)
                put_head(model, head)
                require_plain_state(model)
            if not model.training:
                model.train()  # a network as it was evaluated: nobody chose what is to stay in eval mode
            if method.isolation == "none":
                present = named_tensors(model)
                assign(model, {key: value for key, value in self._last_overwriting().items() if key in present})
            return Task(
                name,
                model,
                method,
                head=head,
                untrained=lambda described, private, fixed: place_head(
                    self._network(self._base_of(self.directory, fixed), specs), name, described, given, private
                ),
                directory=self.directory,
                specs=specs,
                private=private,
                lock=lock,
                held=composed(self.directory).held(),
                carry=self.directory.carry(method.name),
            )
        except BaseException:
            lock.release()
            raise

    def put(
        self,
        name: str,
        model: nn.Module,
        kept: Mapping[str, Tensor] | None = None,
        *,
        head: str | None = None,
        method: str | Method = "put",
        inputs: Any = None,
        metrics: Told | None = None,
        data: Told | None = None,
    ) -> TaskRecord:
        """Makes a network that was trained elsewhere a task of the store, durably and all at once.

        The network is not changed, and no weight is chosen here: what is not 0 is kept. A kept weight with the value
        that the latest task before gave it is reused and takes no bytes; every other is claimed. As in `Task.commit`,
        the network that `load` will give is put together first and compared with `model`, every tensor to the bit.

        Args:
            name: the task's name, new to the store.
            model: a network made as the store's, the head aside, on any device.
            kept: shared parameter -> mask of what is kept, bool, of the parameter's shape; what it leaves out must be 0
                in the model. Default, also for parameters that it lacks: weights that are not +0.
            head: path of the module of `model` that is the task's head; default: the store's `head`. Where there is
                none, the task has none.
            method: what the record says chose the weights: a name, or a configuration, by whose isolation the task
                is then kept.
            inputs: what the model takes, a batch. With it outputs are compared, too (in eval mode).
            metrics, data: kept with the task; see `Task.commit`.

        Raises:
            TaskExistsError: the name is taken.
            ConfigError: no task can have that name, or `kept` is not made of masks of shared parameters.
            ModelMismatchError: the model is not made as the store's, or the network that the store would give is not
                this one; names what differs. Nothing is written.
            NonFiniteError: a weight is NaN or infinite; names it. Nothing is written.
            StoreLockedError: another process, or a task of this one, is writing the store.
            StoreError: the disk is full, say. Nothing is changed.

        >>> import tempfile, torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        >>> store = TaskStore.create(tempfile.mkdtemp() + "/store", model)
        >>> with torch.no_grad():
        ...     _ = model[0].weight[:4].zero_()  # trained and pruned, say
        >>> layer = store.put("first", model, head="2").layers["0.weight"]
        >>> layer["weights"], layer["used"], layer["claimed"]
        (32, 16, 16)
        >>> store.put("again", model, head="2").layers["0.weight"]["claimed"]
        0
        """
        with enough_memory(f"put the task {name!r} into the store"), self.directory.lock():
            self.directory.reload()
            self._require_new(name)
            head = self.head if head is None else head
            network = unwrapped(model)
            require_plain(network)
            require_plain_state(network)
            specs, private, module = self.directory.shared, self.directory.private, None
            others = named_tensors(self._require_template()).keys() - {spec.name for spec in specs}
            untrained = self._network(self._base_of(self.directory, others), specs)
            if head is not None:
                require_place(network, head)
                specs, private = self._shared_beside(head, untrained)
                module = (head, network.get_submodule(head))
                given = None if type(module[1]) is nn.Linear else module[1]
                with undisturbed_generators(torch.device("cpu")):
                    place_head(untrained, name, describe_head(module), given, named_tensors(network))
            held, isolated = composed(self.directory).held(), isolation_of(method) == "shared"
            weights = TaskWeights(network, head, specs, held, isolated=isolated)
            record, content = taken_in(
                *(name, network, untrained, weights, kept),
                head=module,
                method=method,
                inputs=inputs,
                metrics=metrics,
                data=data,
            )
            return self.directory.append(record, content, layout=(specs, private))

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
            head: a module like the task's head, needed only where that is no `nn.Linear`.
            device: where to put it; default: the CPU.
            dtype: what to convert its floating-point tensors to (`torch.bfloat16`, `float16`, `float32`, `float64`),
                after they were held to the digest of the commit. Its outputs are then not those that were committed,
                but rounded as the dtype has it. Default: as they were trained.

        Raises:
            UnknownNameError: there is no such task; suggests the nearest name.
            ConfigError: there is no such device here, or networks cannot have such a dtype.
            DamagedStoreError: a file it needs is damaged, and named, or the weights are not those that were committed.

        Example: `store.load("first", device="cuda", dtype=torch.bfloat16)`.
        """
        task = self.directory.steadily(lambda reader: self._stored(reader, name))
        model = place_head(self._network(task.base, task.subnet.specs), name, task.record.head, head, task.private)
        return moved(fill(model, task.subnet, task.private), device, dtype)

    @enough_memory("switch the network")
    def switch_(self, model: nn.Module, name: str, *, head: nn.Module | None = None) -> None:
        """Turns a network that `load` gave into the task `name`, in place: to the bit what `load` gives, in eval mode.

        Its parameters stay the same tensors, on their devices; no second network is made. Every tensor is written,
        whatever was done to the network since it was loaded. A head that is no `nn.Linear`, or has another shape than
        the one before, is a new module: what holds on to the old one (hooks, an optimizer) does not know it.

        Args:
            model: what `load` gave, also converted or moved, or a network built by the same code as the store's.
            head: a module like the task's head, needed only where that is no `nn.Linear`.

        Raises:
            ModelMismatchError: the model is made otherwise than the store's network; names what differs. A part of it
                was converted to another dtype. Nothing was changed.
            UnknownNameError: there is no such task; suggests the nearest name.
            DamagedStoreError: as of `load`; nothing was changed.

        >>> import tempfile, torch, narrows
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        >>> store = TaskStore.create(tempfile.mkdtemp() + "/store", model)
        >>> for name, classes in (("first", 2), ("second", 3)):
        ...     with store.begin(name, narrows.IBM(density=0.5), head=("2", torch.nn.Linear(8, classes))) as task:
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
        switch(model, template, task, head, heads)

    @enough_memory("copy the store's network")
    def network(self) -> nn.Module:
        """A copy of the network that the store began from, as it was then."""
        return self._network(self.directory.steadily(StoreReader.base))

    def route(self, x: Any, **options: Any) -> Routing:
        """Ranks the tasks for a batch `x` whose task is not known; see `narrows.tasks.routing.route` for all options.

        Example: `store.route(x).best`.
        """
        return route(self, x, **options)

    def explain(self, name: str) -> tuple[LayerAccount, ...]:
        """What a stored task keeps of each layer, and why; see `Task.explain`."""
        return read_account(self.directory.steadily(lambda reader: reader.record(name)).layers)

    def values_kept(self) -> float:
        """Values that all tasks keep / shared weights: a refined weight counts for each, so it may exceed 1.

        Each `independent` task counts as a network of its own.
        """
        return self.directory.steadily(lambda reader: composed(reader).held().values_kept())

    def used(self) -> float:
        """The former name of `values_kept`; it will go."""
        return self.values_kept()

    def forget(self, name: str, *, dry_run: bool = False) -> Forgetting:
        """Takes a task out of the store, exactly: weights that only it used are free again.

        Where later tasks reuse its weights, the first of them takes their values over. Every other task keeps its
        weights and outputs to the last bit. What is frozen and free for the next task is as if the forgotten one had
        never been there; what later tasks learned while it was there stays theirs, as they may have started from its
        weights, and so does training state that they have renewed (`carry`: wsn, ewc). Tasks of methods that
        overwrite one another (finetune, ewc, joint) all have the weights of the last of them: forgetting that one
        takes the others back to the one before (`Forgetting.reverts`).

        Args:
            dry_run: only say what would happen.

        Raises:
            UnknownNameError: there is no such task; suggests the nearest name.
            StoreLockedError: another process, or a task of this one, is writing the store.
            StoreError: the disk failed, say; says what became of the store.
            DamagedStoreError: a file is damaged that is needed to know what later tasks reuse.

        >>> import tempfile, torch, narrows
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        >>> store = TaskStore.create(tempfile.mkdtemp() + "/store", model)
        >>> with store.begin("first", narrows.IBM(density=0.5)) as task:
        ...     _ = task.fit([(torch.randn(16, 4), torch.arange(16) % 2)], narrows.Training(20))
        ...     _ = task.commit()
        >>> store.forget("first").freed, store.values_kept()
        (24, 0.0)
        """
        if dry_run:
            return self.directory.forget(name, recount, dry_run=True)
        with self.directory.lock():
            return self.directory.forget(name, recount)

    def compact(self) -> int:
        """Removes what killed writers and committed checkpoints left; returns the bytes reclaimed.

        Raises:
            StoreLockedError: another process, or a task of this one, is writing the store.
            StoreError: the disk failed; says what became of the store.
        """
        with self.directory.lock():
            return self.directory.compact()

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

    def _base_of(self, reader: StoreReader, names: Collection[str]) -> dict[str, Tensor]:
        """Tensors of the base network; its file is read where there are any."""
        return {key: value for key, value in reader.base().items() if key in names} if names else {}

    def _stored(self, reader: StoreReader, name: str) -> Stored:
        record, (subnet, private) = reader.record(name), proven(reader, name)
        names = left_to_base(self._require_template(), record, private, reader.shared)
        return Stored(record, subnet, private, self._base_of(reader, names))

    def _placed(self, head: int | nn.Module | Head | None, model: nn.Module) -> Head | None:
        """The head with its path."""
        if head is None or isinstance(head, tuple):
            return head
        if self.head is None:
            raise ModelMismatchError(
                "The store was made without a head, and does not know where this one goes: give head=(path, module), "
                "or make the store by TaskStore.create(path, model, head=...)."
            )
        return like_head(model, self.head, head)

    def _require_new(self, name: str) -> None:
        if name in map(one_form, self.directory.task_names()):
            raise TaskExistsError(
                f"The store already has a task {name!r}, and tasks do not change. Choose another name."
            )
        check_task_name(name)

    def _require_template(self) -> nn.Module:
        if self._template is None:
            raise ModelMismatchError(
                "The store was opened without a model: TaskStore.open(path, model), with the model it was made from."
            )
        return self._template

    def _shared_beside(self, path: str, model: nn.Module) -> tuple[tuple[TensorSpec, ...], tuple[str, ...]]:
        """What tasks share, and the private patterns, given a head at `path`.

        The first head of a store settles where heads go: no task shares what is there.
        """
        specs, private = self.directory.shared, self.directory.private
        require_not_tied(model, path, specs)
        if any(matches(spec.name, [path]) for spec in specs) and not self.directory.task_names():
            private = (*private, path)
            specs = tuple(spec for spec in specs if not matches(spec.name, [path]))
        if all(matches(spec.name, [path]) for spec in specs):
            raise ModelMismatchError(f"With a head at {path!r}, the model has no parameter left to share.")
        return specs, private

    def _last_overwriting(self) -> dict[str, Tensor]:
        """Shared weights of the last task that overwrote its predecessors', which the next such task goes on from."""
        last = last_overwriting(self.directory)
        return {} if last is None else weights_of(self.directory, last)[0]
