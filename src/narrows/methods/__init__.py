"""Methods of parameter isolation: one file or folder each, one small contract, one registry.

This layer knows parameters and gradients; it does not know the store, data or the training loop.
"""

from narrows.methods.base import Extent, Learner, Method, SharedWeights
from narrows.methods.dense import Finetune, Independent, Joint
from narrows.methods.ewc import EWC
from narrows.methods.hat import HAT
from narrows.methods.ibm import IBM
from narrows.methods.magnitude import Magnitude
from narrows.methods.packnet import PackNet
from narrows.methods.registry import METHODS, make_method
from narrows.methods.sizes import Sizes
from narrows.methods.supsup import SupSup
from narrows.methods.wsn import WSN

__all__ = [
    "EWC",
    "HAT",
    "IBM",
    "METHODS",
    "WSN",
    "Extent",
    "Finetune",
    "Independent",
    "Joint",
    "Learner",
    "Magnitude",
    "Method",
    "PackNet",
    "SharedWeights",
    "Sizes",
    "SupSup",
    "make_method",
]
