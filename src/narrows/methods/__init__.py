"""Methods of parameter isolation: one file or folder each, one small contract, one registry.

This layer knows parameters and gradients; it does not know the store, data or the training loop.
"""

from narrows.methods.base import Learner, Method, Plan, SharedWeights
from narrows.methods.dense import Finetune, Independent, Joint
from narrows.methods.ewc import EWC
from narrows.methods.hat import HAT
from narrows.methods.ibm import IBM
from narrows.methods.magnitude import Magnitude
from narrows.methods.packnet import PackNet
from narrows.methods.registry import METHODS, make_method
from narrows.methods.signals import Signals
from narrows.methods.supsup import SupSup
from narrows.methods.wsn import WSN

__all__ = [
    "EWC",
    "HAT",
    "IBM",
    "METHODS",
    "WSN",
    "Finetune",
    "Independent",
    "Joint",
    "Learner",
    "Magnitude",
    "Method",
    "PackNet",
    "Plan",
    "SharedWeights",
    "Signals",
    "SupSup",
    "make_method",
]
