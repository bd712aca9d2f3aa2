"""Tasks of a network: what they share, one in progress, and the store that keeps them.

The model's side of the store: it knows modules and optimizers; it does not know data sets or benchmarks.
"""

from narrows.tasks.account import LayerAccount
from narrows.tasks.adopting import Adoption, adopt
from narrows.tasks.checkpoint import Checkpoint
from narrows.tasks.fit import Fit
from narrows.tasks.heads import find_head
from narrows.tasks.routing import Routing
from narrows.tasks.sharing import multiplies
from narrows.tasks.task import Task
from narrows.tasks.task_store import TaskStore

__all__ = [
    "Adoption",
    "Checkpoint",
    "Fit",
    "LayerAccount",
    "Routing",
    "Task",
    "TaskStore",
    "adopt",
    "find_head",
    "multiplies",
]
