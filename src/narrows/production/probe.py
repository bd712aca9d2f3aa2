"""What a task's network answers to a fixed question, written down when it is committed and asked again later.

The SHA-256 of weights shows that a store gives the weights it was given. It cannot show that the factory still builds
the network these weights were trained in. So a fixed input, a *probe*, of the form the task takes is run through the
committed network (eval mode, CPU, one thread), and the digest of its outputs is kept, with some of the outputs. Where
a task's inputs are whole numbers, as ids of words are, the probe's are, too, and lie between those seen in training.

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
LISTED = 1024
"""Numbers of an example whose ranges are kept one by one."""
TOLERANCE = 1e-3
"""How far, of the largest kept output, other processors and versions of torch may be off by rounding."""


Ranges = list[list[int] | None]
"""For each number of an example [least, greatest] where it is whole in training, or None; or one for all of them."""


def ranges_of(x: Tensor) -> Ranges | None:
    """What the probe of a task that is learned from `x`, shape (n, ...), must keep to; None where nothing is whole.

    One range for all where every number has the same, or there are more than `LISTED`: then from the least of all
    to the greatest, if all are whole.

    >>> ranges_of(torch.tensor([[1.0, 0.5, 7.0], [3.0, 2.0, 7.0]]))
    [[1, 3], None, [7, 7]]
    >>> ranges_of(torch.tensor([[1.0, 3.0], [3.0, 1.0]])), ranges_of(torch.rand(9, 2))
    ([[1, 3]], None)
    """
    flat = x.reshape(len(x), -1)
    whole = (flat == flat.round()).all(0)
    least, greatest = flat.amin(0), flat.amax(0)
    if flat.shape[1] > LISTED:
        whole, least, greatest = whole.all()[None], least.min()[None], greatest.max()[None]
    rows = zip(whole.tolist(), least.tolist(), greatest.tolist(), strict=True)
    found = [[int(low), int(high)] if is_whole else None for is_whole, low, high in rows]
    if not any(found):
        return None
    return found[:1] if all(part == found[0] for part in found) else found


def make(shape: Sequence[int], ranges: Ranges | None = None) -> Tensor:
    """A probe for inputs of that shape, float32 (4, *shape): numbers that no version of torch changes.

    Without `ranges` they are in [-1, 1]; with them whole where those are, least and greatest included.

    >>> make([1]).flatten().tolist()[0], make([3, 8, 8]).shape
    (-1.0, torch.Size([4, 3, 8, 8]))
    >>> make([2], [[5, 9], None])[:, 0].tolist()
    [5.0, 6.0, 7.0, 8.0]
    """
    size = (EXAMPLES, *shape)
    # Knuth's multiplicative hash of the position: whole numbers below 2^32, exact in float64.
    scattered = (torch.arange(math.prod(size), dtype=torch.int64) * 2_654_435_761) % 2**32
    numbers = scattered.double() / 2**31 - 1
    if ranges is not None:
        numbers = numbers.reshape(EXAMPLES, -1)
        for place, part in enumerate(ranges):
            columns = slice(None) if len(ranges) == 1 else place
            if part is not None:
                whole = scattered.reshape(EXAMPLES, -1)[:, columns] % (part[1] - part[0] + 1) + part[0]
                numbers[:, columns] = whole.double()
    return numbers.reshape(size).float()


@torch.no_grad()
def answer(model: nn.Module, shape: Sequence[int], ranges: Ranges | None = None) -> dict[str, Any]:
    """What `model` (eval mode, on the CPU) answers to the probe: its form, digest, engine and first outputs.

    Raises:
        ModelMismatchError: the model gives no tensor.
    """
    with _one_thread():
        outputs = model(make(shape, ranges))
    if not isinstance(outputs, Tensor):
        raise ModelMismatchError(f"The model gives a {type(outputs).__name__}; a task's network gives one tensor.")
    values = outputs.detach().float().contiguous()
    whole = {} if ranges is None else {"whole": ranges}
    return {
        "shape": list(shape),
        **whole,
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
