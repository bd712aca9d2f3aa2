"""A task whose weights are settled, as it will lie in the store, and as it will be loaded.

Knows a model and what the store's tasks hold; no optimizer, no learner, no files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from narrows.store import TaskContent
from narrows.subnet import digest_kept
from narrows.tasks.loading import fill
from narrows.tasks.weights import TaskWeights

Told = Mapping[str, Any] | Callable[[nn.Module], Mapping[str, Any]]
"""What is kept with a task, or a function of its network that gives it."""

Masks = tuple[dict[str, Tensor], dict[str, Tensor]]
"""Of every shared parameter, on the CPU: the weights that are kept, and those of them that are claimed."""


@dataclass(frozen=True, eq=False)
class Settled:
    """A task as it will lie in the store.

    Attributes:
        content: what is to be written.
        loaded: the network that `TaskStore.load` will make of it.
        sha256: the digest of that network.
        parents: the tasks whose weights it reuses.
    """

    content: TaskContent
    loaded: nn.Module
    sha256: str
    parents: tuple[str, ...]


def settled(weights: TaskWeights, masks: Masks, untrained: nn.Module) -> Settled:
    """What the store will keep of a task's weights under its masks; `untrained`, its network, is filled (`fill`)."""
    content = weights.content(*masks, untrained)
    whole = weights.held.resolve(content.subnet)
    loaded = fill(untrained, whole, content.private)
    return Settled(content, loaded, digest_kept(whole, content.private), weights.held.parents(content.subnet))


def told(what: Told | None, network: nn.Module) -> dict[str, Any]:
    """What is kept with a task, of its network as it will be loaded."""
    return dict(what(network) if callable(what) else what or {})
