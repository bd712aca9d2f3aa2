"""Images that stand twice among a task's data, where that is a doubt: in two classes, or also in what is measured on.

Compared as the network sees them, so that a photo saved in another format without loss is found too. Rows of a table
are not: there, equal ones are usual.
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
    for row, key in enumerate(_keys(examples)):
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
    """How many images to measure on are among those to learn from, with the first of them; "" where none is."""
    known = dict(zip(_keys(train), train.ids, strict=False))
    twice = [(row, known[key]) for row, key in enumerate(_keys(valid)) if key in known]
    if not twice:
        return ""
    row, where = twice[0]
    return (
        f"{len(twice)} of {len(valid)} images are also among those to learn from, pixel for pixel, and tell nothing of "
        f"new ones: {valid.ids[row]} is {where}"
    )


def _keys(examples: Examples) -> list[bytes]:
    """A key for each image, the same for the same pixels; none where the examples are no images."""
    if examples.x.dtype != torch.uint8 or examples.x.dim() != 4:
        return []
    return [hashlib.blake2b(image.data, digest_size=16).digest() for image in examples.x.contiguous().numpy()]
