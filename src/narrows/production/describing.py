"""What is known of a task, in plain values: what it is, when and on what it was learned, what it builds on.

Reads records only: no model is built.
"""

from __future__ import annotations

from typing import Any

from narrows.production.tasks import PROBE
from narrows.store.reader import StoreReader
from narrows.tasks import TaskStore
from narrows.tasks.account import counts_of


def describe(store: TaskStore, name: str) -> dict[str, Any]:
    """The task as plain JSON values.

    Returns:
        name, created (UTC), method, head, seconds (of training), data, metrics, weights / used / claimed / reused
        (shared weights), bytes (on disk), parents (tasks whose weights it reuses), children (tasks that reuse its
        own), layers (name -> weights, used, claimed, and nats and ratio where the method measures them).

    Raises:
        UnknownNameError: there is no such task; suggests the nearest name.
        DamagedStoreError: a record is damaged.
    """
    return store.directory.steadily(lambda reader: _described(reader, name))


def _described(store: StoreReader, name: str) -> dict[str, Any]:
    record = store.record(name)
    total, used, claimed = counts_of(record)
    return {
        "name": record.name,
        "created": record.created,
        "method": record.method,
        "head": record.head,
        "seconds": record.seconds,
        "data": {key: value for key, value in record.data.items() if key != PROBE},
        "metrics": record.metrics,
        "weights": total,
        "used": used,
        "claimed": claimed,
        "reused": used - claimed,
        "bytes": store.bytes_of(name),
        "parents": list(record.parents),
        "children": [other.name for other in store.records() if name in other.parents],
        "layers": record.layers,
    }
