"""Which rows cannot be used and why, and what else people should be told of a reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from narrows.data.examples import Skipped
from narrows.errors import DataError

SHOWN = 50
"""So many rows are named, so that one reading tells of all that is to be mended."""


class Faults:
    """Faults of the rows of one source; the first reason found for a row is the one that is kept.

    where: the source's name, for messages; ids: of its rows; notes: what people should be told already.
    """

    def __init__(self, where: str, ids: Sequence[str], notes: Iterable[str] = ()) -> None:
        self.where, self.ids = where, ids
        self.notes = list(notes)
        self._reasons: dict[int, str] = {}

    def add(self, rows: Iterable[int] | npt.NDArray[np.bool_], reason: str | Callable[[int], str]) -> None:
        """These rows (numbers, or a bool for each row) cannot be used."""
        numbers = np.flatnonzero(rows).tolist() if isinstance(rows, np.ndarray) else rows
        for row in numbers:
            if row not in self._reasons:
                self._reasons[row] = reason if isinstance(reason, str) else reason(row)

    def note(self, text: str) -> None:
        """Something that people should be told."""
        self.notes.append(text)

    def good(self) -> npt.NDArray[np.int64]:
        """The rows without a fault, in order."""
        keep = np.ones(len(self.ids), dtype=bool)
        keep[list(self._reasons)] = False
        return np.flatnonzero(keep)

    def settle(self, bad: Literal["refuse", "skip"]) -> npt.NDArray[np.int64]:
        """The rows without a fault.

        Raises:
            DataError: some have one and `bad` is "refuse", or none is left; counts them all and names the first few.
        """
        if self._reasons and (bad == "refuse" or len(self._reasons) == len(self.ids)):
            way_out = "; correct them, or have them left out (bad='skip', --bad skip)" if bad == "refuse" else ""
            raise DataError(
                f"{self.where}: {len(self._reasons)} of {len(self.ids)} examples cannot be used{way_out}:"
                + "".join(f"\n  {line}" for line in self.told())
            )
        return self.good()

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The rows with a fault, in order."""
        return tuple(Skipped(self.ids[row], self._reasons[row]) for row in sorted(self._reasons))

    def all_notes(self) -> tuple[str, ...]:
        """The notes, and how many rows were left out."""
        if not self._reasons:
            return tuple(self.notes)
        told = "; ".join(self.told())
        return (*self.notes, f"{len(self._reasons)} of {len(self.ids)} examples were left out ({told})")

    def told(self) -> list[str]:
        """Each reason with the rows it is of."""
        rows: dict[str, list[str]] = {}
        for skipped in self.skipped[:SHOWN]:
            rows.setdefault(skipped.reason, []).append(skipped.id)
        rest = len(self._reasons) - SHOWN
        return [f"{', '.join(ids)}: {reason}" for reason, ids in rows.items()] + [f"and {rest} more"] * (rest > 0)


def at(row: int | str) -> str:
    """A row in a message."""
    return f"row {row}, counted from 0"
