"""narrows: one network keeps learning new tasks and never forgets an old one.

>>> import narrows as nw
>>> nw.IBM(density=0.04).name
'ibm'
"""

from narrows import errors
from narrows.methods import IBM, METHODS, WSN, Finetune, Independent, Magnitude, Method, PackNet, make_method
from narrows.tasks import Fit, LayerAccount, Task, TaskStore

__version__ = "0.1.0"

__all__ = [
    "IBM",
    "METHODS",
    "WSN",
    "Finetune",
    "Fit",
    "Independent",
    "LayerAccount",
    "Magnitude",
    "Method",
    "PackNet",
    "Task",
    "TaskStore",
    "errors",
    "make_method",
]
