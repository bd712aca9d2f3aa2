"""Methods of parameter isolation: one file or folder each, one small contract, one registry.

This layer knows parameters and gradients; it does not know the store, data or the training loop.
"""

from narrows.methods.base import Learner, Method, Plan, SharedWeights
from narrows.methods.finetune import Finetune
from narrows.methods.ibm import IBM
from narrows.methods.independent import Independent
from narrows.methods.magnitude import Magnitude
from narrows.methods.packnet import PackNet
from narrows.methods.registry import METHODS, make_method
from narrows.methods.wsn import WSN

__all__ = [
    "IBM",
    "METHODS",
    "WSN",
    "Finetune",
    "Independent",
    "Learner",
    "Magnitude",
    "Method",
    "PackNet",
    "Plan",
    "SharedWeights",
    "make_method",
]
