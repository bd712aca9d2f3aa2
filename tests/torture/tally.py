"""How many faults were injected and how many survived, by operation and kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

Row = tuple[str, str, int, int]  # operation, kind, injected, survived


class Tally:
    """Counts the faults of one test: (operation, kind) -> [injected, survived]."""

    def __init__(self) -> None:
        self.counts: dict[str, list[int]] = {}

    @contextmanager
    def fault(self, operation: str, kind: str, count: int = 1) -> Iterator[None]:
        """Counts a fault as injected, and as survived where nothing is raised within."""
        row = self.counts.setdefault(f"{operation}|{kind}", [0, 0])
        row[0] += count
        yield
        row[1] += count


def table(counts: Iterable[Mapping[str, list[int]]]) -> list[Row]:
    """The counts of many tests, added up and sorted."""
    found: dict[str, list[int]] = {}
    for test in counts:
        for name, (injected, survived) in test.items():
            row = found.setdefault(name, [0, 0])
            row[0] += injected
            row[1] += survived
    return [(*name.split("|", 1), *found[name]) for name in sorted(found)]


def lines(rows: list[Row]) -> list[str]:
    """The table as text, with a last line for all."""
    total = ("all", "", sum(row[2] for row in rows), sum(row[3] for row in rows))
    wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return [
        f"{operation:{wide[0]}}  {kind:{wide[1]}}  {injected:>8}  {survived:>8}"
        for operation, kind, injected, survived in [("operation", "kind", "injected", "survived"), *rows, total]
    ]
