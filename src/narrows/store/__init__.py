"""A store on disk: named tensors, committed one task at a time, all or nothing, checked on every read.

Knows no module, method or training. The format is described in docs/format.md.
"""

from typing import TYPE_CHECKING

from narrows.lazy import lazily

if TYPE_CHECKING:
    from narrows.store.commit import UnconfirmedCommitError
    from narrows.store.content import TaskContent
    from narrows.store.directory import StoreDirectory
    from narrows.store.durable import DamagedFileError
    from narrows.store.header import CarryRef, FileRef, SnapshotRef, StoreHeader, TaskRef
    from narrows.store.lock import StoreLock
    from narrows.store.records import ISOLATIONS, TaskRecord
    from narrows.store.recovering import Recovery, recover
    from narrows.store.verify import Problem
    from narrows.subnet import TensorSpec
else:
    __getattr__, __dir__ = lazily(
        __name__,
        *(".durable", ".header", ".records", ".lock", ".commit"),
        *(".verify", ".content", ".directory", ".recovering"),
    )

__all__ = [
    "ISOLATIONS",
    "CarryRef",
    "DamagedFileError",
    "FileRef",
    "Problem",
    "Recovery",
    "SnapshotRef",
    "StoreDirectory",
    "StoreHeader",
    "StoreLock",
    "TaskContent",
    "TaskRecord",
    "TaskRef",
    "TensorSpec",
    "UnconfirmedCommitError",
    "recover",
]
