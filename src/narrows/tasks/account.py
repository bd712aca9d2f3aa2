"""What a task keeps of each layer, and why: the raw material of reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from narrows.errors import DamagedStoreError
from narrows.store.records import TaskRecord

if TYPE_CHECKING:  # records are read without torch
    from torch import Tensor

    from narrows.subnet import SubNetwork


class Counts(NamedTuple):
    """Of a task: shared weights of the network, those it uses, and of these those with values of its own."""

    weights: int
    used: int
    claimed: int


@dataclass(frozen=True)
class LayerAccount:
    """One shared parameter of a task.

    Attributes:
        name: the parameter.
        weights: how many it has.
        used: how many the task uses.
        claimed: how many of those have a value of its own; the rest it reuses from earlier tasks.
        nats: information its kept weights carry about the task, summed, in nats; None where the method
            does not measure it.
        ratio: effective rank of the layer's outputs / channels, a fraction; None where not measured.
    """

    name: str
    weights: int
    used: int
    claimed: int
    nats: float | None = None
    ratio: float | None = None

    @property
    def density(self) -> float:
        """Kept fraction."""
        return self.used / self.weights if self.weights else 0.0

    @property
    def reused(self) -> int:
        """Weights of earlier tasks that this one uses."""
        return self.used - self.claimed

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `task.json` has them under the parameter's name."""
        values = asdict(self)
        del values["name"]
        return values


def account(
    used: Mapping[str, Tensor], claimed: Mapping[str, Tensor], why: Mapping[str, Mapping[str, float | None]]
) -> tuple[LayerAccount, ...]:
    """The account of each layer from the weights a task uses, those it claims, and the method's own figures."""
    return tuple(
        LayerAccount(
            name=name,
            weights=mask.numel(),
            used=int(mask.count_nonzero()),
            claimed=int(claimed[name].count_nonzero()),
            nats=why.get(name, {}).get("nats"),
            ratio=why.get(name, {}).get("ratio"),
        )
        for name, mask in used.items()
    )


def read_account(layers: Mapping[str, Mapping[str, Any]]) -> tuple[LayerAccount, ...]:
    """The account as `task.json` holds it. DamagedStoreError where it is not as narrows writes it."""
    return tuple(_read_layer(name, kept) for name, kept in layers.items())


def _read_layer(name: str, kept: Any) -> LayerAccount:
    values = dict(kept) if isinstance(kept, Mapping) else {}
    counts = [values.get(key) for key in ("weights", "used", "claimed")]
    figures = [values.get(key) for key in ("nats", "ratio")]
    if not all(type(count) is int for count in counts) or not all(
        figure is None or type(figure) in (int, float) for figure in figures
    ):
        raise DamagedStoreError(f"the account of {name} in the task's record is not as narrows writes it")
    return LayerAccount(name, *counts, *figures)  # type: ignore[arg-type]


def counts_of(record: TaskRecord) -> Counts:
    """Of all layers. DamagedStoreError where the record does not count them as narrows writes it."""
    layers = read_account(record.layers)
    return Counts(*(sum(getattr(layer, key) for layer in layers) for key in Counts._fields))


def used_by(records: Iterable[TaskRecord]) -> float:
    """`TaskStore.values_kept` as all records count it: no mask is read. DamagedStoreError as `counts_of`."""
    weights = kept = 0
    apart: dict[str, int] = {}
    for record in records:
        counts = counts_of(record)
        weights = counts.weights
        if record.isolation == "shared":
            kept += counts.claimed
        else:
            apart[record.isolation] = apart.get(record.isolation, 0) + 1
    return (kept / weights if weights else 0.0) + apart.get("own", 0) + ("none" in apart)


def figures_of(record: TaskRecord) -> dict[str, float]:
    """What trackers are told of a committed task: counts of weights, bytes, seconds, and its metrics that are numbers.

    Metrics within metrics get names like "validation.accuracy".
    """
    counts = counts_of(record)
    figures: dict[str, float] = {
        "density": counts.used / counts.weights if counts.weights else 0.0,
        "new": counts.claimed / counts.weights if counts.weights else 0.0,
        "bytes": record.bytes,
        "seconds": record.seconds or 0.0,
    }
    return figures | _numbers(record.metrics)


def _numbers(values: Mapping[str, Any], before: str = "") -> dict[str, float]:
    found: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _numbers(value, f"{before}{key}.")
        elif type(value) in (int, float, bool):
            found[f"{before}{key}"] = float(value)
    return found


def recount(record: TaskRecord, subnet: SubNetwork) -> TaskRecord:
    """The record with its layers' claims counted anew: the task has taken over weights that it used to reuse."""
    counts = {name: len(part.claimed) for name, part in subnet.parts.items()}
    layers = {
        name: {**kept, "claimed": counts[name]} if name in counts and isinstance(kept, dict) else kept
        for name, kept in record.layers.items()
    }
    return replace(record, layers=layers)
