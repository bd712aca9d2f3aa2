"""Asking a task about a user's data, and which task to ask where nobody says.

Knows stores, schemas and data; trains nothing.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from narrows.data import DataOptions, Schema
from narrows.errors import DataError, RoutingError, UnknownNameError
from narrows.production.evaluating import outputs_of
from narrows.production.learning_data import Source, in_order, read_for
from narrows.production.predictions import Predictions
from narrows.production.tasks import schema_of
from narrows.tasks import Routing, TaskStore
from narrows.tasks.routing import route as rank


def predict(
    store: TaskStore, name: str, data: Source, *, options: DataOptions | None = None, device: str = "cpu"
) -> Predictions:
    """What a task says of data; targets in them are not looked at.

    Args:
        store: with its model: from `open_store` or `init`.
        name: the task.
        data: see `narrows.data.read_training`; read with the schema that the task was learned with.
        options: only `bad` counts, and `features`; see `narrows.data.read_with`.

    Raises:
        UnknownNameError: there is no such task; suggests the nearest name.
        DataError: the data do not fit the task; the message says what, where and what to do.
    """
    schema = schema_of(store, name)
    examples = read_for(schema, data, options or DataOptions(), targets=False)
    outputs = outputs_of(store.load(name).to(device), in_order(schema, examples))
    return Predictions(name, schema.target, examples.ids, outputs, examples.skipped, examples.notes, examples.kept)


def route(
    store: TaskStore,
    data: Source,
    *,
    batch: bool = True,
    by: Literal["entropy", "statistics"] = "entropy",
    options: DataOptions | None = None,
) -> Routing:
    """Ranks the store's tasks for data whose task is not known; each task reads them with its own schema.

    Tasks that the data do not fit are left out, with the reason. How far to trust it: `narrows.tasks.routing`.

    Args:
        batch: whether all examples are of one task; else each goes its own way.
        by: what tasks are ranked by; see `TaskStore.route`.

    Raises:
        RoutingError: fewer than two tasks are left to choose between.
    """
    networks: dict[str, nn.Module] = {}
    unfit: dict[str, str] = {}
    ids: tuple[str, ...] | None = None
    for name in store.names():
        try:
            schema = schema_of(store, name)
            examples = read_for(schema, data, options or DataOptions(), targets=False)
        except (DataError, UnknownNameError) as error:
            unfit[name] = str(error)
            continue
        if ids is not None and examples.ids != ids:
            unfit[name] = "it leaves out other examples than the tasks before it"
            continue
        ids = examples.ids
        networks[name] = _Asked(store.load(name), _inputs(schema, examples))
    if len(networks) < 2 or ids is None:
        reasons = "".join(f"\n  {name}: {reason}" for name, reason in unfit.items())
        raise RoutingError(f"The data fit {len(networks)} of the store's tasks, and to choose takes two.{reasons}")
    ranked = rank(store, torch.arange(len(ids)), names=list(networks), batch=batch, by=by, networks=networks)
    return Routing(ranked.ranking, ranked.examples, {**unfit, **ranked.left_out}, ranked.by)


class _Asked(nn.Module):
    """A task's network with the inputs as its schema prepares them; called with the numbers of examples."""

    def __init__(self, network: nn.Module, inputs: Tensor) -> None:
        super().__init__()
        self.network, self.inputs = network, inputs

    def forward(self, rows: Tensor) -> Any:
        return self.network(self.inputs[rows])


def _inputs(schema: Schema, examples: Any) -> Tensor:
    return torch.cat([inputs for inputs, _ in in_order(schema, examples)])
