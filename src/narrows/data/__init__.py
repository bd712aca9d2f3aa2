"""A user's own data for one task, from disk to tensors: images, tables, arrays, with the schema they were read by.

Knows no store, task, method or benchmark. `read_training` fits a `Schema` to training data, `read_with` applies it to
whatever comes later, `make_batches` feeds a network.
"""

from narrows.data.batch_loader import make_batches
from narrows.data.batches import Batches
from narrows.data.duplicate_examples import in_both
from narrows.data.examples import Examples, Skipped, split
from narrows.data.examples_reader import read_training, read_with
from narrows.data.inputs import ArrayInputs, CategoryColumn, HookInputs, ImageInputs, NumberColumn, TableInputs
from narrows.data.options import DataOptions
from narrows.data.schema import Schema
from narrows.data.target import Target

__all__ = [
    "ArrayInputs",
    "Batches",
    "CategoryColumn",
    "DataOptions",
    "Examples",
    "HookInputs",
    "ImageInputs",
    "NumberColumn",
    "Schema",
    "Skipped",
    "TableInputs",
    "Target",
    "in_both",
    "make_batches",
    "read_training",
    "read_with",
    "split",
]
