"""narrows: one network keeps learning new tasks and never forgets an old one.

>>> import narrows as nw
>>> nw.IBM(density=0.04).name
'ibm'
"""

from typing import TYPE_CHECKING

from narrows import errors
from narrows.lazy import lazily

if TYPE_CHECKING:
    from narrows.factories import Factory
    from narrows.methods import (
        EWC,
        HAT,
        IBM,
        METHODS,
        WSN,
        Finetune,
        Independent,
        Joint,
        Magnitude,
        Method,
        PackNet,
        SupSup,
        make_method,
    )
    from narrows.production import Adoption, adopt
    from narrows.tasks import (
        LayerAccount,
        Routing,
        Task,
        TaskStore,
        find_head,
        multiplies,
    )
    from narrows.training import Checkpoint, Fit, Training
else:
    __getattr__, __dir__ = lazily(__name__, ".factories", ".methods", ".tasks", ".training", ".production")

__version__ = "0.1.0"

__all__ = [
    "EWC",
    "HAT",
    "IBM",
    "METHODS",
    "WSN",
    "Adoption",
    "Checkpoint",
    "Factory",
    "Finetune",
    "Fit",
    "Independent",
    "Joint",
    "LayerAccount",
    "Magnitude",
    "Method",
    "PackNet",
    "Routing",
    "SupSup",
    "Task",
    "TaskStore",
    "Training",
    "adopt",
    "errors",
    "find_head",
    "make_method",
    "multiplies",
]
