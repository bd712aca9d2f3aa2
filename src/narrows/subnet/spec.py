"""What a tensor is called, and what it looks like. Needs no torch to be read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class TensorSpec:
    """Name, shape and dtype (as torch spells it, e.g. "float32") of a tensor."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def numel(self) -> int:
        """How many elements."""
        return math.prod(self.shape)

    @classmethod
    def of(cls, name: str, tensor: Tensor) -> TensorSpec:
        """The spec of `tensor` under this name."""
        return cls(name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))

    def torch_dtype(self) -> torch.dtype:
        """The dtype as torch has it."""
        import torch

        dtype = getattr(torch, self.dtype)
        assert isinstance(dtype, torch.dtype)
        return dtype
