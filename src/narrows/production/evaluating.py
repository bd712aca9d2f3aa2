"""How well tasks do on a user's data, in the figures of their kind.

Knows stores, schemas and data; trains nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from narrows.data import DataOptions, Examples, Schema
from narrows.errors import DataError, StoreError, UnknownNameError
from narrows.production.learning_data import Source, in_order, read_for
from narrows.production.scores import Scores, classification_scores, multilabel_scores, regression_scores
from narrows.production.tasks import schema_of
from narrows.tasks import TaskStore
from narrows.training import evaluating
from narrows.training.device import device_of, to_device


@dataclass(frozen=True)
class Evaluation:
    """A task measured on data.

    Attributes:
        task: its name.
        schema: what it takes and predicts.
        scores: see `narrows.production.scores`.
        notes: what people should be told of how the data were read.
        skipped: examples that were left out.
    """

    task: str
    schema: Schema
    scores: Scores
    notes: tuple[str, ...]
    skipped: int


@dataclass(frozen=True)
class Evaluations:
    """All tasks that could be measured, and why the others could not."""

    done: tuple[Evaluation, ...]
    left_out: dict[str, str]


def evaluate(
    store: TaskStore, name: str, data: Source, *, options: DataOptions | None = None, device: str = "cpu"
) -> Evaluation:
    """Measures a task on data with targets.

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
    examples = read_for(schema, data, options or DataOptions(), targets=True)
    scores = scores_of(store.load(name).to(device), schema, examples)
    return Evaluation(name, schema, scores, examples.notes, len(examples.skipped))


def evaluate_all(
    store: TaskStore, data: Source, *, options: DataOptions | None = None, device: str = "cpu"
) -> Evaluations:
    """Measures every task that the data fit; the others are named with the reason.

    Raises:
        DataError: they fit none.
    """
    done: list[Evaluation] = []
    left_out: dict[str, str] = {}
    for name in store.names():
        try:
            done.append(evaluate(store, name, data, options=options, device=device))
        except (DataError, StoreError, UnknownNameError) as error:
            left_out[name] = str(error)
    if not done:
        reasons = "".join(f"\n  {name}: {reason}" for name, reason in left_out.items())
        raise DataError(f"The data fit no task of the store.{reasons or ' It holds none.'}")
    return Evaluations(tuple(done), left_out)


def scores_of(model: nn.Module, schema: Schema, examples: Examples) -> Scores:
    """The figures of `model` on examples with targets, in the user's units."""
    outputs, y = outputs_of(model, in_order(schema, examples)), examples.y
    if y is None:
        raise DataError("There is nothing to measure by: the examples have no targets.")
    target = schema.target
    if target.kind == "classification":
        return classification_scores(outputs, y)
    if target.kind == "multilabel":
        return multilabel_scores(outputs, y)
    return regression_scores(target.restore(outputs), target.restore(y), target.names)


@torch.no_grad()
def outputs_of(model: nn.Module, batches: Iterable[tuple[Any, Any]]) -> Tensor:
    """What `model` gives in eval mode, float32 (n, outputs) on the CPU. DataError: it cannot take the inputs, or gives
    what is not finite."""
    parts: list[Tensor] = []
    with evaluating(model):
        for inputs, _ in batches:
            parts.append(model(to_device(inputs, device_of(model))).float().cpu())
    outputs = torch.cat(parts)
    if not bool(torch.isfinite(outputs).all()):
        rows = (~torch.isfinite(outputs)).any(1).nonzero().squeeze(1).tolist()
        raise DataError(
            f"The network gives NaN or infinite values for {len(rows)} examples, the first of them number {rows[0]}: "
            "check their inputs against those it was trained on."
        )
    return outputs
