"""How alike the tasks' sub-networks see the same inputs: linear CKA of the features that go into their heads.

CKA(X, Y) = HSIC(XX', YY') / sqrt(HSIC(XX', XX') HSIC(YY', YY')) for features X, Y (n, width) of the same n examples
(Kornblith et al. 2019, arXiv 1905.00414, with the linear kernel). 1: the same up to rotation and scale, 0: nothing in
common. HSIC is estimated without bias (Song et al. 2012, JMLR 13, eq. 5), where the paper takes the biased one: with
fewer examples than features that one comes out near 1 for features that have nothing to do with each other. So a value
may fall slightly below 0.

Knows loaded networks and examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from narrows.analysis.labelled import Labelled
from narrows.training import evaluating
from narrows.training.device import device_of

FEWEST = 4
"""Examples that the estimate needs."""


@dataclass(frozen=True)
class Similarity:
    """Tasks against tasks.

    Attributes:
        tasks: rows and columns, in order.
        cka: row by row; the mean over `data` of the CKA of the two tasks' features; None where no data fit both.
        data: tasks whose inputs were shown.
        examples: of each, at most.
        sampled: whether tasks or data were left out, being too many.
    """

    tasks: tuple[str, ...]
    cka: tuple[tuple[float | None, ...], ...]
    data: tuple[str, ...]
    examples: int
    sampled: bool


@torch.no_grad()
def features(model: nn.Module, head: str | None, data: Labelled) -> Tensor | None:
    """What goes into the head (its outputs, of a network without one), float64 (n, width).

    None where the network cannot take these inputs, or never calls its head.
    """
    found: list[Tensor] = []

    def note(_: nn.Module, args: tuple[Any, ...]) -> None:
        found.append(args[0].detach())

    hook = None if head is None else model.get_submodule(head).register_forward_pre_hook(note)
    try:
        with evaluating(model):
            for x, _ in data.batches():
                output = model(x.to(device_of(model)))
                if hook is None:
                    found.append(output.detach())
    except Exception:  # whatever the user's forward may raise: another task's inputs may not be for it
        return None
    finally:
        if hook is not None:
            hook.remove()
    rows = torch.cat([part.flatten(1).double().cpu() for part in found]) if found else torch.zeros(0, 1)
    return rows if len(rows) == len(data) and bool(torch.isfinite(rows).all()) else None


def similarity(
    networks: Mapping[str, tuple[nn.Module, str | None]], data: Mapping[str, Labelled], *, sampled: bool = False
) -> Similarity:
    """CKA of every pair of tasks.

    Args:
        networks: name -> (from `store.load`, path of its head or None).
        data: inputs to show them; targets are not looked at.
        sampled: whether these are not all tasks, or not all data.
    """
    names = list(networks)
    total = torch.zeros(len(names), len(names), dtype=torch.float64)
    count = torch.zeros_like(total)
    for examples in data.values():
        found = {name: features(*networks[name], examples) for name in names}
        rows = [number for number, name in enumerate(names) if found[name] is not None]
        grams = [gram(part) for part in found.values() if part is not None]
        if rows and len(examples) >= FEWEST:
            values = cka(grams)
            known = torch.isfinite(values)
            at = torch.tensor(rows)
            total[at[:, None], at] += torch.where(known, values, torch.zeros_like(values))
            count[at[:, None], at] += known.double()
    return Similarity(
        tasks=tuple(names),
        cka=tuple(
            tuple(None if not n else round(float(t / n), 6) for t, n in zip(*row, strict=True))
            for row in zip(total, count, strict=True)
        ),
        data=tuple(data),
        examples=max((len(examples) for examples in data.values()), default=0),
        sampled=sampled,
    )


def gram(rows: Tensor) -> Tensor:
    """X X' without its diagonal, float64 (n, n); the mean is taken off first, which only helps the rounding."""
    rows = rows.double() - rows.double().mean(0)
    return (rows @ rows.T).fill_diagonal_(0)


def cka(grams: Sequence[Tensor]) -> Tensor:
    """Between all pairs, float64 (T, T); NaN for features that are constant.

    Args:
        grams: from `gram`, of the same examples, at least four.

    >>> rows = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    >>> turned = rows @ torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(1)))[0] * 3
    >>> cka([gram(rows), gram(turned)]).round(decimals=6).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    stacked = torch.stack(list(grams))
    n = stacked.shape[1]
    sums = stacked.sum((1, 2))
    rows = stacked.sum(2)
    flat = stacked.flatten(1)
    hsic = flat @ flat.T + torch.outer(sums, sums) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (rows @ rows.T)
    own = hsic.diagonal()
    scale = torch.where(own > 1e-12 * flat.square().sum(1).clamp_min(1e-300), own, torch.full_like(own, torch.nan))
    return hsic / torch.outer(scale, scale).sqrt()


def evenly(names: Sequence[str], most: int) -> tuple[str, ...]:
    """At most so many of the names, evenly chosen, the first and the last among them.

    >>> evenly(["a", "b", "c", "d", "e"], 3)
    ('a', 'c', 'e')
    """
    if len(names) <= most:
        return tuple(names)
    return tuple(names[number * (len(names) - 1) // (most - 1)] for number in range(most)) if most > 1 else (names[0],)
