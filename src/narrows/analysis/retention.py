"""What each task keeps of each layer and why: counts, information, and what feature decomposition suggested.

Reads task.json alone, key `layers`: no mask, so damage in a mask does not keep it from being told.
"""

from __future__ import annotations

from dataclasses import dataclass

from narrows.store.reader import StoreReader
from narrows.store.records import TaskRecord
from narrows.tasks.account import LayerAccount, read_account


@dataclass(frozen=True)
class LayerKept:
    """What a task keeps of a layer, or of all. Source: tasks/*/task.json, key `layers`.

    Attributes:
        layer: the parameter; "" for all together.
        weights: how many it has.
        kept: how many of them the task keeps: `claimed` with values of its own, and the rest `reused`.
        nats: information that the kept weights carry about the task, in nats; None where the method does not measure
            it. For all together: of the layers where it was measured.
        nats_per_weight: nats / kept; None where there are no nats or nothing is kept.
        ratio: effective rank of the layer's outputs / channels, a fraction; None where not measured.
    """

    layer: str
    weights: int
    kept: int
    claimed: int
    nats: float | None
    nats_per_weight: float | None
    ratio: float | None

    @property
    def reused(self) -> int:
        """How many it keeps at values of earlier tasks."""
        return self.kept - self.claimed

    @property
    def density(self) -> float:
        """kept / weights, a fraction."""
        return self.kept / self.weights if self.weights else 0.0


@dataclass(frozen=True)
class Retention:
    """What one task keeps.

    Attributes:
        task, isolation, method: as in task.json (`method.name`).
        layers: in the store's order; empty where the record has no account of them.
        total: all layers together; None where there is no account.
    """

    task: str
    isolation: str
    method: str
    layers: tuple[LayerKept, ...]
    total: LayerKept | None


def retention(reader: StoreReader) -> tuple[Retention, ...]:
    """What every task keeps, in order. DamagedStoreError.

    >>> import tempfile, torch, narrows
    >>> from narrows.analysis.subject import open_subject
    >>> path = tempfile.mkdtemp() + "/store"
    >>> store = narrows.TaskStore.create(path, torch.nn.Linear(4, 2))
    >>> with store.begin("first", narrows.IBM(density=0.5)) as task:
    ...     _ = task.fit([(torch.randn(8, 4), torch.arange(8) % 2)], narrows.Training(9))
    ...     _ = task.commit()
    >>> retention(open_subject(path).reader)[0].total.kept
    4
    """
    return tuple(_retention(record) for record in reader.steadily(StoreReader.records))


def _retention(record: TaskRecord) -> Retention:
    accounts = read_account(record.layers)
    layers = tuple(_kept(account, account.used) for account in accounts)
    total = None
    if accounts:
        measured = [account for account in accounts if account.nats is not None]
        nats = sum(account.nats or 0.0 for account in measured) if measured else None
        weights, kept, claimed = (
            sum(getattr(account, count) for account in accounts) for count in ("weights", "used", "claimed")
        )
        total = _kept(LayerAccount("", weights, kept, claimed, nats), sum(account.used for account in measured))
    return Retention(record.name, record.isolation, str(record.method["name"]), layers, total)


def _kept(account: LayerAccount, informed: int) -> LayerKept:
    """`informed`: how many of the kept weights the nats are of."""
    each = account.nats / informed if account.nats is not None and informed else None
    return LayerKept(account.name, account.weights, account.used, account.claimed, account.nats, each, account.ratio)
