"""What a task's network answers to a fixed question, written down when it is committed and asked again later.

The SHA-256 of weights shows that a store gives the weights it was given. It cannot show that the factory still builds
the network these weights were trained in. So a fixed input, a *probe*, of the form the task takes is run through the
committed network (eval mode, CPU, one thread), and the digest of its outputs is kept, with some of the outputs.

Floating-point sums depend on the build of torch and on the processor. The *engine* says which; the digest binds only
where that is the same, and elsewhere the kept outputs are compared as numbers.

Knows modules and tensors; no store.
"""

from __future__ import annotations

import hashlib
import math
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from narrows.errors import ModelMismatchError

EXAMPLES = 4
KEPT = 64
"""How many numbers of the outputs are kept."""
TOLERANCE = 1e-3
"""How far, of the largest kept output, other processors and versions of torch may be off by rounding."""


def make(shape: Sequence[int]) -> Tensor:
    """A probe for inputs of that shape, float32 (4, *shape): numbers in [-1, 1) that no version of torch changes.

    >>> make([1]).flatten().tolist()[0], make([3, 8, 8]).shape
    (-1.0, torch.Size([4, 3, 8, 8]))
    """
    size = (EXAMPLES, *shape)
    # Knuth's multiplicative hash of the position: whole numbers below 2^32, exact in float64.
    scattered = (torch.arange(math.prod(size), dtype=torch.int64) * 2_654_435_761) % 2**32
    return (scattered.double() / 2**31 - 1).reshape(size).float()


@torch.no_grad()
def answer(model: nn.Module, shape: Sequence[int]) -> dict[str, Any]:
    """What `model` (eval mode, on the CPU) answers to the probe: its shape, digest, engine and first outputs.

    Raises:
        ModelMismatchError: the model gives no tensor.
    """
    with _one_thread():
        outputs = model(make(shape))
    if not isinstance(outputs, Tensor):
        raise ModelMismatchError(f"The model gives a {type(outputs).__name__}; a task's network gives one tensor.")
    values = outputs.detach().float().contiguous()
    return {
        "shape": list(shape),
        "sha256": hashlib.sha256(values.numpy().tobytes()).hexdigest(),
        "engine": engine(),
        "outputs": [value if math.isfinite(value) else str(value) for value in values.flatten()[:KEPT].tolist()],
    }


def agree(kept: list[Any], now: list[Any]) -> bool:
    """Whether kept outputs are these, up to rounding: `TOLERANCE` of the largest.

    >>> agree([1.0, -4.0], [1.0001, -4.0]), agree([1.0, -4.0], [1.1, -4.0])
    (True, False)
    """
    if len(kept) != len(now):
        return False
    before, after = ([float(value) for value in values] for values in (kept, now))
    largest = max((abs(value) for value in before if math.isfinite(value)), default=0.0)
    return all(
        abs(old - new) <= TOLERANCE * largest if math.isfinite(old) and math.isfinite(new) else str(old) == str(new)
        for old, new in zip(before, after, strict=True)
    )


def engine() -> dict[str, str]:
    """What the last bits of an output depend on: torch and how it was built, and the processor."""
    built = hashlib.sha256(torch.__config__.show().encode()).hexdigest()[:16]
    return {
        "torch": str(torch.__version__),
        "build": built,
        "cpu": _processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
