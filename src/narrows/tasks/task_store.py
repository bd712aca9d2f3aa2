"""The store as users hold it: a directory, and the network whose tasks it keeps."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from narrows.factories import Factory
from narrows.memory import enough_memory
from narrows.methods import Method
from narrows.store import StoreDirectory, TaskRecord
from narrows.store.compose import composed
from narrows.store.forget import Forgetting
from narrows.store.names import require_new
from narrows.tasks.account import recount
from narrows.tasks.beginning import begun, fitting, like, require_known, shared_beside, taken_apart
from narrows.tasks.heads import Head, describe_head, like_head, require_place
from narrows.tasks.loading import place_head
from narrows.tasks.module_copy import require_plain, unwrapped
from narrows.tasks.partition import named_tensors, require_plain_state
from narrows.tasks.putting import isolation_of, taken_in
from narrows.tasks.settling import Told
from narrows.tasks.sharing import Rule
from narrows.tasks.stored_tasks import StoredTasks
from narrows.tasks.task import Task
from narrows.tasks.weights import TaskWeights
from narrows.training.randomness import undisturbed_generators


class TaskStore(StoredTasks):
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
        template, layout = taken_apart(model, head, shared, private)
        base = {name: tensor.detach() for name, tensor in named_tensors(template).items()}
        return cls(StoreDirectory.create(path, base, *layout, about, head), template)

    @classmethod
    @enough_memory("open the store")
    def open(cls, path: str | os.PathLike[str], model: nn.Module | None = None, *, trust: bool = False) -> TaskStore:
        """The store at `path`. Without `model` it can be looked at and verified, not learned with or loaded from.

        Args:
            trust: that factories of heads which the store names may be imported and called, whoever made the store; it
                is remembered. Those that this user gave to `begin` on this machine may be in any case.

        Raises:
            ModelMismatchError: the model's parameters are not the store's; names those that differ. Or it cannot be
                copied, or is sharded.
            StoreMissingError, StoreVersionError, DamagedStoreError: there is no sound store of a known version.
        """
        directory = StoreDirectory.open(path)
        return cls(directory, None if model is None else fitting(model, directory), trust)

    @enough_memory("begin a task")
    def begin(self, name: str, method: Method, *, head: int | nn.Module | Factory | Head | None = None) -> Task:
        """Starts learning a task. The store is locked until the task is committed or abandoned.

        Args:
            name: the task's name, new to the store.
            method: a configuration, as `narrows.IBM(density=0.04)`.
            head: this task's own module, put in the place of the model's at the store's `head`; or a number of outputs,
                for an `nn.Linear` like that one; or a `narrows.Factory` of a module, by which `load` builds it again in
                any process. None where the task uses the network's outputs as they are (regression, say). Where the
                model ties the module in that place to another, the task's head is tied to nothing: the other stays
                shared. For another place, or a store that was made without `head`, a `narrows.tasks.heads.Head`: that
                of the first task takes its place's parameters out of what tasks share.

        Raises:
            TaskExistsError: the name is taken.
            ConfigError: no task can have that name, or `head` is no number of outputs.
            ModelBuildError: the factory is not there, or its call fails.
            ModelMismatchError: there is no module to put the head at, the store was made without a `head`, or nothing
                left to share; the head would take away the name of a tied tensor.
            CapacityError: fewer weights are free than the method's budget asks for.
            StoreLockedError: another process, or another task of this one, is writing the store.
        """
        if type(head) is tuple:
            warnings.warn(
                "begin(head=(path, module)) is for one more version: make the store by TaskStore.create(path, model, "
                "head=path), then begin(name, method, head=module).",
                DeprecationWarning,
                stacklevel=3,  # a frame more than it looks: `enough_memory`
            )
            head = Head(*head)
        lock = self.directory.lock()
        try:
            self.directory.reload()
            require_new(name, self.directory.task_names())
            model = self._network(self.directory.base())
            placed = head if isinstance(head, Head | None) else like_head(model, require_known(self.head), head)
            return begun(self.directory, name, method, model, placed, self._untrained, lock)
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
        factory: Factory | None = None,
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
            factory: what makes a head like it, where it is no `nn.Linear`: `load` builds it again by that.
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
        >>> store = TaskStore.create(tempfile.mkdtemp() + "/store", model, head="2")
        >>> with torch.no_grad():
        ...     _ = model[0].weight[:4].zero_()  # trained and pruned, say
        >>> layer = store.put("first", model).layers["0.weight"]
        >>> layer["weights"], layer["used"], layer["claimed"]
        (32, 16, 16)
        >>> store.put("again", model).layers["0.weight"]["claimed"]
        0
        """
        with enough_memory(f"put the task {name!r} into the store"), self.directory.lock():
            self.directory.reload()
            require_new(name, self.directory.task_names())
            network, head = unwrapped(model), self.head if head is None else head
            require_plain(network)
            require_plain_state(network)
            specs, private, module = self.directory.shared, self.directory.private, None
            others = named_tensors(self._require_template()).keys() - {spec.name for spec in specs}
            untrained = self._untrained(others, specs)
            if head is not None:
                require_place(network, head)
                specs, private = shared_beside(self.directory, head, untrained)
                module = Head(head, network.get_submodule(head), factory)
                with undisturbed_generators(torch.device("cpu")):
                    place_head(untrained, name, describe_head(module), like(module), named_tensors(network))
            held, isolated = composed(self.directory).held(), isolation_of(method) == "shared"
            weights = TaskWeights(network, head, specs, held, isolated=isolated)
            record, content = taken_in(
                name,
                network,
                untrained,
                weights,
                kept,
                head=module,
                method=method,
                inputs=inputs,
                metrics=metrics,
                data=data,
            )
            return self.directory.append(record, content, layout=(specs, private))

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
        with nullcontext() if dry_run else self.directory.lock():
            return self.directory.forget(name, recount, dry_run=dry_run)

    def compact(self) -> int:
        """Removes what killed writers and committed checkpoints left; returns the bytes reclaimed.

        Raises:
            StoreLockedError: another process, or a task of this one, is writing the store.
            StoreError: the disk failed; says what became of the store.
        """
        with self.directory.lock():
            return self.directory.compact()
