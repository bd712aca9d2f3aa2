"""The sub-network of a task as one value, and pure functions on it: composed, put into tensors, turned to bytes.

Knows tensors by name: no modules, no optimizers, no files.
"""

from typing import TYPE_CHECKING

from narrows.lazy import lazily

if TYPE_CHECKING:
    from narrows.subnet.applying import apply_, dense, digest, digest_kept, put_, switch_
    from narrows.subnet.composing import Composition, Held, HeldPart, resolved
    from narrows.subnet.spec import TensorSpec
    from narrows.subnet.value import Part, SubNetwork, mask_of, positions_of
else:
    __getattr__, __dir__ = lazily(__name__, ".spec", ".value", ".composing", ".applying")

__all__ = [
    "Composition",
    "Held",
    "HeldPart",
    "Part",
    "SubNetwork",
    "TensorSpec",
    "apply_",
    "dense",
    "digest",
    "digest_kept",
    "mask_of",
    "positions_of",
    "put_",
    "resolved",
    "switch_",
]
