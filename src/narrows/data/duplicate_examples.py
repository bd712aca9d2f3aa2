"""Examples that stand twice among a task's data, where that is a doubt: in two classes, or also in what is measured on.

Compared as the network sees them, so that a photo saved in another format without loss is found too. Rows of a table or
an array count as doubled with their target only, and in two classes not at all: there, equal inputs are usual.
"""

from __future__ import annotations

import hashlib

import torch

from narrows.data.examples import Examples


def in_two_classes(examples: Examples, names: tuple[str, ...]) -> str:
    """How many images are in more than one of the classes `names`, with the first of them; "" where none is.

    >>> x = torch.zeros(3, 1, 2, 2, dtype=torch.uint8)
    >>> in_two_classes(Examples(x, torch.tensor([0, 0, 1]), ("a", "b", "c")), ("cat", "dog"))
    "3 of 3 images are in more than one class, pixel for pixel: a in 'cat' is c in 'dog'"
    """
    if examples.y is None or examples.y.dtype != torch.int64:
        return ""
    rows: dict[bytes, list[int]] = {}
    for row, key in enumerate(_keys(examples) if _are_images(examples) else []):
        rows.setdefault(key, []).append(row)
    y = examples.y.tolist()
    groups = [group for group in rows.values() if len({y[row] for row in group}) > 1]
    if not groups:
        return ""
    one = groups[0][0]
    other = next(row for row in groups[0] if y[row] != y[one])
    return (
        f"{sum(map(len, groups))} of {len(examples)} images are in more than one class, pixel for pixel: "
        f"{examples.ids[one]} in {names[y[one]]!r} is {examples.ids[other]} in {names[y[other]]!r}"
    )


def in_both(train: Examples, valid: Examples) -> str:
    """How many examples to measure on are among those to learn from, with the first of them; "" where none is.

    >>> rows = Examples(torch.tensor([[0.5], [1.0]]), torch.tensor([0, 1]), ("0", "1"))
    >>> in_both(rows, rows.take(torch.tensor([1])))  # doctest: +ELLIPSIS
    '1 of 1 rows are also among those to learn from, number for number, target and all, and tell...'
    """
    images = _are_images(valid)
    known = dict(zip(_keys(train), train.ids, strict=False))
    twice = [(row, known[key]) for row, key in enumerate(_keys(valid)) if key in known]
    if not twice:
        return ""
    row, where = twice[0]
    what, alike = ("images", "pixel for pixel") if images else ("rows", "number for number, target and all")
    return (
        f"{len(twice)} of {len(valid)} {what} are also among those to learn from, {alike}, and tell nothing of new "
        f"ones: {valid.ids[row]} is {where}"
    )


def _are_images(examples: Examples) -> bool:
    return examples.x.dtype == torch.uint8 and examples.x.dim() == 4


def _keys(examples: Examples) -> list[bytes]:
    """A key for each example, the same for the same pixels, or for the same numbers and the same target."""
    keys = [hashlib.blake2b(example.data, digest_size=16).digest() for example in examples.x.contiguous().numpy()]
    if _are_images(examples) or examples.y is None:
        return keys
    return [key + target.tobytes() for key, target in zip(keys, examples.y.contiguous().numpy(), strict=True)]
