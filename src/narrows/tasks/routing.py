"""Which task an input belongs to, where nobody says: every task's own network looks at it, and the surest one wins.

Two measures, each comparable between tasks:

* `entropy`: 1 - H / log k, H the entropy (nats) of the softmax over a task's k outputs; the mean over a batch. As in
  SupSup (Wortsman et al., "Supermasks in Superposition", 2020, arXiv 2006.14769), where the supermask of least
  entropy names the task; there by one gradient step on a mixture of all masks, here by running every network, which
  is exact and takes a forward pass a task.
* `statistics`: how far the mean and deviation of each channel that a task's BatchNorms see are from those it was
  trained with (their running statistics): the squared Frechet distance of two Gaussians over the trained variance,
  ((mean - mean')^2 + (deviation - deviation')^2) / variance', the mean over channels and layers. Ours.

It does not know what lies outside all tasks: an input of a task never learned goes to one of those there are, and
often with confidence. docs/benchmarks.md measures that, and both measures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from narrows.errors import (
    ConfigError,
    DataError,
    ModelMismatchError,
    RoutingError,
    UnknownNameError,
    UntrustedModelError,
    nearest,
)
from narrows.store import TaskRecord
from narrows.tasks.confidence import CannotBeRanked, Confidence, confidence, listening
from narrows.training.device import device_of, to_device
from narrows.training.evaluation import evaluating

By = Literal["entropy", "statistics"]

# What a task's data may say of itself: sums of losses other than softmax's cross-entropy.
WITHOUT_SOFTMAX = {"regression": "a regression", "multilabel": "multi-label"}


class Store(Protocol):
    """What `route` needs of a `TaskStore`."""

    def tasks(self) -> tuple[TaskRecord, ...]: ...
    def load(self, name: str) -> nn.Module: ...


@dataclass(frozen=True)
class Routing:
    """Where a batch belongs.

    Attributes:
        ranking: (task, score), best first; the higher the better. By entropy a confidence from 0 (all classes alike)
            to 1; by statistics minus a distance; with `batch=False` the share of the examples that the task wins.
        examples: for each example the task that it alone would go to.
        left_out: task -> why it could not be ranked.
        by: the measure.
    """

    ranking: tuple[tuple[str, float], ...]
    examples: tuple[str, ...]
    left_out: Mapping[str, str]
    by: By

    @property
    def best(self) -> str:
        """The first of the ranking."""
        return self.ranking[0][0]

    @property
    def margin(self) -> float:
        """Score of the first minus that of the second: near 0 the choice is a guess."""
        return self.ranking[0][1] - self.ranking[1][1]


def route(
    store: Store,
    x: Any,
    *,
    names: Sequence[str] | None = None,
    batch: bool = True,
    by: By = "entropy",
    networks: Mapping[str, nn.Module] | None = None,
) -> Routing:
    """Ranks the store's tasks for a batch whose task is not known.

    Networks are loaded one at a time, so memory stays that of one. A task is left out, with the reason, where the
    measure says nothing of it: by entropy one whose outputs are no classes (a regression, multi-label, a head of one
    output), by statistics one without BatchNorm, and one whose head the store cannot build.

    Args:
        x: what the networks take, n examples first; several examples of one task are told apart far better than one.
        names: the tasks in question; default: all.
        batch: whether all examples are of one task. Otherwise each example goes its own way, and tasks are ranked by
            the share that they win.
        by: "entropy" or "statistics". Statistics are the better measure where networks have BatchNorm and the batch
            has eight examples or more, of the task's classes in their usual mix (docs/benchmarks.md).
        networks: networks loaded before, by task, to save loading them.

    Raises:
        RoutingError: there are not two tasks to choose between.
        UnknownNameError: no such task.
        DataError: a network cannot take `x`, or gives NaN for it; names the task.

    >>> import tempfile, narrows
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> store = narrows.TaskStore.create(tempfile.mkdtemp() + "/store", model, head="2")
    >>> for name, side in {"left": -3.0, "right": 3.0}.items():
    ...     with store.begin(name, narrows.IBM(density=0.5), head=2) as task:
    ...         _ = task.fit([(torch.randn(16, 4) + side, torch.arange(16) % 2)], narrows.Training(5))
    ...         _ = task.commit()
    >>> routing = route(store, torch.randn(16, 4) + 3)
    >>> sorted(name for name, _ in routing.ranking), len(routing.examples), routing.margin >= 0
    (['left', 'right'], 16, True)
    """
    if by not in ("entropy", "statistics"):
        raise ConfigError(f"route: by is 'entropy' or 'statistics'; got {by!r}.")
    records = _chosen(store.tasks(), names)
    scores: dict[str, Confidence] = {}
    left_out: dict[str, str] = {}
    for record in records:
        try:
            network = _network(store, record.name, networks or {})
            if by == "entropy":
                _require_softmax(record)
            scores[record.name] = _score(record.name, network, x, by)
        except CannotBeRanked as reason:
            left_out[record.name] = str(reason)
    if len(scores) < 2:
        said = "".join(f" {name!r} is left out: {reason}." for name, reason in left_out.items())
        raise RoutingError(f"Of {len(records)} tasks {len(scores)} can be ranked, and two are needed.{said}")
    return _rank(scores, left_out, by, batch=batch)


def _chosen(records: Sequence[TaskRecord], names: Sequence[str] | None) -> list[TaskRecord]:
    """The tasks in question, in the store's order."""
    known = [record.name for record in records]
    for name in names or ():
        if name not in known:
            raise UnknownNameError(f"The store has no task {name!r}: {nearest(name, known)}")
    chosen = [record for record in records if names is None or record.name in names]
    if len(chosen) < 2:
        have = f"only {chosen[0].name!r}" if chosen else "no task"
        raise RoutingError(f"There is nothing to choose between: {have}. Two tasks are needed.")
    return chosen


def _network(store: Store, name: str, networks: Mapping[str, nn.Module]) -> nn.Module:
    if name in networks:
        return networks[name]
    try:
        return store.load(name)
    except UnknownNameError as error:
        raise CannotBeRanked("it was forgotten meanwhile") from error
    except UntrustedModelError as error:
        raise CannotBeRanked(str(error)) from error
    except ModelMismatchError as error:
        record = next(record for record in store.tasks() if record.name == name)
        if (record.head or {}).get("kind") != "custom":
            raise
        raise CannotBeRanked(f"the store cannot build its head; give networks={{{name!r}: ...}}") from error


def _require_softmax(record: TaskRecord) -> None:
    kind = _kind(record.data)
    if kind:
        raise CannotBeRanked(f"it is {kind}, which has no softmax")


def _kind(data: Mapping[str, Any]) -> str | None:
    """What the task's data say they are, at whatever depth, where that is without a softmax."""
    kind = data.get("kind")
    if isinstance(kind, str) and kind in WITHOUT_SOFTMAX:
        return WITHOUT_SOFTMAX[kind]
    found = (_kind(part) for part in data.values() if isinstance(part, Mapping))
    return next((kind for kind in found if kind), None)


@torch.no_grad()
def _score(name: str, network: nn.Module, x: Any, by: By) -> Confidence:
    with evaluating(network), listening(network) if by == "statistics" else nullcontext() as norms:
        try:
            outputs = network(to_device(x, device_of(network)))
        except (RuntimeError, ValueError, IndexError, TypeError, KeyError, AttributeError) as error:
            first = str(error).strip().split("\n")[0]
            raise DataError(
                f"The network of task {name!r} cannot take the input ({_shape(x)}): {first}. Give what its task was "
                "trained on, n examples first, or leave it out with names=[...]."
            ) from error
    scores = confidence(outputs) if norms is None else norms.scores()
    if not len(scores.examples):
        raise DataError("There is no example to route: the input is empty.")
    if not bool(torch.isfinite(scores.examples).all()):
        raise DataError(
            f"The network of task {name!r} gives NaN or infinite values for this input. Check the input for them."
        )
    return scores


def _rank(scores: Mapping[str, Confidence], left_out: Mapping[str, str], by: By, *, batch: bool) -> Routing:
    names = list(scores)
    winners = torch.stack([score.examples for score in scores.values()]).argmax(0)
    if batch:
        values = [score.batch for score in scores.values()]
    else:
        values = (winners.bincount(minlength=len(names)) / len(winners)).tolist()
    ranking = sorted(zip(names, values, strict=True), key=lambda pair: -pair[1])
    return Routing(tuple(ranking), tuple(names[int(winner)] for winner in winners), dict(left_out), by)


def _shape(x: Any) -> str:
    if isinstance(x, Tensor):
        return f"{x.dtype} {tuple(x.shape)}".removeprefix("torch.")
    parts: Iterable[Any] = x.values() if isinstance(x, Mapping) else x if isinstance(x, list | tuple) else ()
    return f"{type(x).__name__} of " + (", ".join(_shape(part) for part in parts) or "nothing")
