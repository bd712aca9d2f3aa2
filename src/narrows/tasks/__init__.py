"""Tasks of a network: what they share, one in progress, and the store that keeps them.

The model's side of the store: it knows modules and optimizers; it does not know data sets or benchmarks.
"""

from typing import TYPE_CHECKING

from narrows.lazy import lazily

if TYPE_CHECKING:
    from narrows.tasks.account import LayerAccount
    from narrows.tasks.heads import find_head
    from narrows.tasks.routing import Routing
    from narrows.tasks.sharing import multiplies
    from narrows.tasks.task import Task
    from narrows.tasks.task_store import TaskStore
else:
    __getattr__, __dir__ = lazily(
        __name__,
        ".account",
        ".heads",
        ".routing",
        ".sharing",
        ".task",
        ".task_store",
    )

__all__ = [
    "LayerAccount",
    "Routing",
    "Task",
    "TaskStore",
    "find_head",
    "multiplies",
]
