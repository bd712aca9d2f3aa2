"""What a store and its tasks begin with: the user's network, copied and divided, and the task's head in its place.

Knows a store's directory and modules; it locks nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Sequence

from torch import nn

from narrows.errors import ModelMismatchError
from narrows.factories.trust import remember
from narrows.methods import Method
from narrows.store import StoreDirectory
from narrows.store.compose import composed, last_overwriting, weights_of
from narrows.store.lock import StoreLock
from narrows.subnet import TensorSpec
from narrows.tasks.heads import Head, put_head, require_place
from narrows.tasks.loading import place_head
from narrows.tasks.module_copy import copied, require_plain, require_whole, unwrapped
from narrows.tasks.partition import assign, matches, named_tensors, require_match, require_plain_state
from narrows.tasks.sharing import Rule, kept_whole, require_not_tied, require_patterns, shared_specs
from narrows.tasks.task import Task

Layout = tuple[tuple[TensorSpec, ...], tuple[str, ...]]
"""What tasks share, and the patterns of what they do not."""


def taken_apart(
    model: nn.Module, head: str | None, shared: Sequence[str] | Rule, private: Sequence[str]
) -> tuple[nn.Module, Layout]:
    """A copy of the network, and what tasks share of it; see `TaskStore.create`."""
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
        warnings.warn(said, stacklevel=4)  # a frame more than it looks: `enough_memory`
    return template, (specs, tuple(private))


def fitting(model: nn.Module, directory: StoreDirectory) -> nn.Module:
    """A copy of the network, which has the base's tensors; see `TaskStore.open`."""
    require_whole(model)
    if not directory.is_like(named_tensors(model)):
        # A store may have been made of a wrapped model, and have its names, before they were left out.
        base = directory.base()
        if named_tensors(model).keys() != base.keys():
            model = unwrapped(model)
            require_plain(model)
        require_match(named_tensors(model), base)
    require_plain_state(model)
    return copied(model)


def require_known(place: str | None) -> str:
    """Where the store's tasks have their heads. ModelMismatchError: the store does not know."""
    if place is None:
        raise ModelMismatchError(
            "The store was made without a head, and does not know where this one goes: make the store by "
            "TaskStore.create(path, model, head=...), or give head=narrows.tasks.heads.Head(path, module)."
        )
    return place


def begun(
    directory: StoreDirectory,
    name: str,
    method: Method,
    model: nn.Module,
    head: Head | None,
    untrained: Callable[[Collection[str], Iterable[TensorSpec]], nn.Module],
    lock: StoreLock,
) -> Task:
    """The task in progress; see `TaskStore.begin`.

    Args:
        model: the store's network, which becomes the task's.
        untrained: gives another, of (the base's tensors that it is to have, what tasks share, which is 0).
        lock: the store's, which the task keeps.
    """
    specs, private, given = directory.shared, directory.private, head
    if head is not None:
        module = unwrapped(head.module)
        require_plain(module)
        head = head._replace(module=copied(module))  # the caller's module is not trained behind their back
        require_place(model, head.path)
        specs, private = shared_beside(directory, head.path, model)
        put_head(model, head)
        require_plain_state(model)
    if not model.training:
        model.train()  # a network as it was evaluated: nobody chose what is to stay in eval mode
    if method.isolation == "none":
        present, last = named_tensors(model), last_overwriting(directory)  # which the next such task goes on from
        values = {} if last is None else weights_of(directory, last)[0]
        assign(model, {key: value for key, value in values.items() if key in present})
    return Task(
        name,
        model,
        method,
        head=head,
        untrained=lambda described, private, fixed: place_head(
            untrained(fixed, specs), name, described, like(given), private
        ),
        directory=directory,
        specs=specs,
        private=private,
        lock=lock,
        held=composed(directory).held(),
        carry=directory.carry(method.name),
    )


def like(head: Head | None) -> nn.Module | None:
    """A module like the head, as `load` will have it: made by its factory, or as it was given; None for a Linear."""
    if head is None or type(head.module) is nn.Linear:
        return None
    if head.factory is None:
        return head.module
    remember(head.factory)  # whoever names it here trusts it
    return head.factory.build()


def shared_beside(directory: StoreDirectory, path: str, model: nn.Module) -> Layout:
    """What tasks share, given a head at `path`.

    The first head of a store that was made without settles where heads go: no task shares what is there.
    """
    specs, private = directory.shared, directory.private
    require_not_tied(model, path, specs)
    if any(matches(spec.name, [path]) for spec in specs) and not directory.task_names():
        private = (*private, path)
        specs = tuple(spec for spec in specs if not matches(spec.name, [path]))
    if all(matches(spec.name, [path]) for spec in specs):
        raise ModelMismatchError(f"With a head at {path!r}, the model has no parameter left to share.")
    return specs, private
