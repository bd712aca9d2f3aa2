"""What a source gives before anything is decided: rows with ids, inputs in one of three forms, and named columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from narrows.data.column import Column, Values
from narrows.data.examples import Skipped
from narrows.data.names import one_form
from narrows.errors import DataError, nearest

Targets = Literal["required", "optional", "ignored"]


@dataclass(frozen=True, eq=False)
class Raw:
    """Data as found.

    Attributes:
        where: the source's name, for messages.
        ids: of the rows.
        names: of the columns, without that of the images or the input array.
        read: gives a column by its name.
        image: gives the encoded image of a row, where the inputs are images; OSError or DataError where it cannot.
        array: inputs (n, ...), where they are one array.
        as_is: whether the array is to be taken as it is.
        why: how the source tells the classes, where it does.
        decimal: the decimal mark of its numbers: "," where they are known to have a comma.
        broken: rows that could not be read, by their ids, which are none of `ids`.
        notes: what people should be told of how it was read.
    """

    where: str
    ids: tuple[str, ...]
    names: tuple[str, ...]
    read: Callable[[str], Column]
    image: Callable[[int], bytes] | None = None
    array: Values | None = None
    as_is: bool = False
    why: str = ""
    decimal: Literal[".", ","] = "."
    broken: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def known(self) -> frozenset[str]:
        """The names, to look up one among very many."""
        return frozenset(self.names)

    @property
    def is_table(self) -> bool:
        """Whether the columns are the inputs."""
        return self.image is None and self.array is None

    def spelled(self, name: str) -> str:
        """A column's name as it stands here, if it does: those of tables are in their one form."""
        return name if name in self.known else one_form(name)

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            DataError: there is none; the message suggests the nearest.
        """
        name = self.spelled(name)
        if name not in self.known:
            raise DataError(f"{self.where}: there is no column {name!r}; {nearest(name, self.names)}")
        column = self.read(name)
        if len(column) != len(self):
            raise DataError(f"{self.where}: {name!r} has {len(column)} entries, the inputs {len(self)}")
        return replace(column, where=self.where)
