"""Which rows cannot be used and why, what is wrong with the whole, and what else people should be told of a reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import numpy as np
import numpy.typing as npt

from narrows.data.examples import Skipped
from narrows.errors import DataError, DatasetMissingError

SHOWN = 50
"""So many rows, and faults of the whole, are named, so that one reading tells of all that is to be mended."""


class Faults:
    """Faults of one source and of its rows, told together; the first reason found for a row is the one that is kept.

    where: the source's name, for messages; ids: of its rows; bad: what is to be done with rows that cannot be used;
    broken: rows that could not be read at all, and are none of `ids`; notes: what the source has to say.
    """

    def __init__(
        self,
        where: str,
        ids: Sequence[str],
        bad: Literal["refuse", "skip"] = "refuse",
        broken: Sequence[Skipped] = (),
        notes: Iterable[str] = (),
    ) -> None:
        self.where, self.ids = where, ids
        self._notes: dict[str, None] = dict.fromkeys(notes)
        self._bad, self._broken = bad, tuple(broken)
        self._reasons: dict[int, str] = {}
        self._refused: dict[str, None] = {}

    def add(self, rows: Iterable[int] | npt.NDArray[np.bool_], reason: str | Callable[[int], str]) -> None:
        """These rows (numbers, or a bool for each row) cannot be used."""
        numbers = np.flatnonzero(rows).tolist() if isinstance(rows, np.ndarray) else rows
        for row in numbers:
            if row not in self._reasons:
                self._reasons[row] = reason if isinstance(reason, str) else reason(row)

    def note(self, text: str) -> None:
        """Something that people should be told."""
        self._notes[text] = None

    def refuse(self, reason: str) -> None:
        """The whole cannot be used; `settle` raises it, with all else that is wrong."""
        text = reason.removeprefix(f"{self.where}: ")
        self._refused[text] = None

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """A DataError raised within is told with all else that is wrong, and not at once."""
        try:
            yield
        except DatasetMissingError:
            raise
        except DataError as error:
            self.refuse(str(error))

    def good(self) -> npt.NDArray[np.int64]:
        """The rows without a fault, in order. DataError: there is none."""
        if len(self._reasons) == len(self.ids):
            raise self._error()
        keep = np.ones(len(self.ids), dtype=bool)
        keep[list(self._reasons)] = False
        return np.flatnonzero(keep)

    def settle(self) -> npt.NDArray[np.int64]:
        """The rows without a fault.

        Raises:
            DataError: the whole is refused; or some rows have a fault and `bad` is "refuse", or none is left. Tells all
                that was found: counts the rows and names the first few.
        """
        if self._refused or (self._bad == "refuse" and self.skipped):
            raise self._error()
        return self.good()

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The rows with a fault, in order."""
        found = [Skipped(self.ids[row], self._reasons[row]) for row in sorted(self._reasons)]
        return tuple(sorted((*found, *self._broken), key=lambda row: int(row.id))) if self._broken else tuple(found)

    def all_notes(self) -> tuple[str, ...]:
        """The notes, and how many rows were left out."""
        left_out = self.skipped
        if not left_out:
            return tuple(self._notes)
        return (*self._notes, f"{len(left_out)} of {self._rows} examples were left out ({'; '.join(self.told())})")

    def told(self) -> list[str]:
        """The first rows that cannot be used, by their reasons, and how many more there are."""
        rows: dict[str, list[str]] = {}
        for row in self.skipped[:SHOWN]:
            rows.setdefault(row.reason, []).append(row.id)
        rest = len(self.skipped) - SHOWN
        return [f"{', '.join(ids)}: {reason}" for reason, ids in rows.items()] + [f"and {rest} more"] * (rest > 0)

    @property
    def _rows(self) -> int:
        return len(self.ids) + len(self._broken)

    def _error(self) -> DataError:
        said = list(self._refused)
        count = len(self.skipped)
        if count and (self._bad == "refuse" or count == self._rows):
            way_out = "; correct them, or have them left out (bad='skip', --bad skip)" if self._bad == "refuse" else ""
            rows = "".join(f"\n  {line}" for line in self.told())
            said.append(f"{count} of {self._rows} examples cannot be used{way_out}:{rows}")
        if len(said) == 1:
            return DataError(f"{self.where}: {said[0]}")
        shown = "".join(f"\n- {text}" for text in said[:SHOWN])
        return DataError(
            f"{self.where} has {len(said)} faults:{shown}"
            + (f"\n- and {len(said) - SHOWN} more" if len(said) > SHOWN else "")
        )


def at(row: int | str) -> str:
    """A row in a message."""
    return f"row {row}, counted from 0"
