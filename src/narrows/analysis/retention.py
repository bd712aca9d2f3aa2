"""What each task keeps of each layer and why: counts, information, and what feature decomposition suggested.

Reads task.json alone, key `layers`: no mask, so damage in a mask does not keep it from being told.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from narrows.store.reader import StoreReader
from narrows.store.records import TaskRecord
from narrows.tasks.account import LayerAccount, read_account


@dataclass(frozen=True)
class Kept:
    """What a task keeps of a layer, or of all. Source: tasks/*/task.json, key `layers`.

    Attributes:
        layer: the parameter; "" for all together.
        weights: how many it has.
        used: how many of them the task uses: `claimed` with values of its own, `reused` from earlier tasks.
        kept: used / weights, a fraction.
        nats: information that the used weights carry about the task, in nats; None where the method does not measure
            it. For all together: of the layers where it was measured.
        nats_per_weight: nats / used; None where there are no nats or nothing is used.
        ratio: effective rank of the layer's outputs / channels, a fraction; None where not measured.
    """

    layer: str
    weights: int
    used: int
    claimed: int
    reused: int
    kept: float
    nats: float | None
    nats_per_weight: float | None
    ratio: float | None


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
    layers: tuple[Kept, ...]
    total: Kept | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def retention(reader: StoreReader) -> tuple[Retention, ...]:
    """What every task keeps, in order. DamagedStoreError.

    >>> import tempfile, torch, narrows
    >>> from narrows.analysis.subject import open_subject
    >>> path = tempfile.mkdtemp() + "/store"
    >>> store = narrows.TaskStore.create(path, torch.nn.Linear(4, 2))
    >>> with store.begin("first", narrows.IBM(density=0.5)) as task:
    ...     _ = task.fit([(torch.randn(8, 4), torch.arange(8) % 2)], narrows.Training(9))
    ...     _ = task.commit()
    >>> retention(open_subject(path).reader)[0].total.used
    4
    """
    return tuple(_retention(record) for record in reader.steadily(StoreReader.records))


def _retention(record: TaskRecord) -> Retention:
    accounts = read_account(record.layers)
    measured = [account for account in accounts if account.nats is not None]
    total = None
    if accounts:
        nats = sum(account.nats or 0.0 for account in measured) if measured else None
        weights, used, claimed = (
            sum(getattr(account, count) for account in accounts) for count in ("weights", "used", "claimed")
        )
        together = LayerAccount("", weights, used, claimed, nats)
        total = _kept(together, sum(account.used for account in measured))
    layers = tuple(_kept(account, account.used) for account in accounts)
    return Retention(record.name, record.isolation, str(record.method["name"]), layers, total)


def _kept(account: LayerAccount, informed: int) -> Kept:
    """`informed`: how many of the used weights the nats are of."""
    return Kept(
        layer=account.name,
        weights=account.weights,
        used=account.used,
        claimed=account.claimed,
        reused=account.reused,
        kept=account.density,
        nats=account.nats,
        nats_per_weight=account.nats / informed if account.nats is not None and informed else None,
        ratio=account.ratio,
    )
