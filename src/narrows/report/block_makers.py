"""Blocks from the words of their key: `KEY.title`, `KEY.explain` and, where there is one, `KEY.term`.

Knows words, blocks and charts; no facts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from narrows.report.blocks import Block, Chart, Citation, Notice, Section, Stat, Table, Tone
from narrows.report.charts import spec_of
from narrows.report.texts import Texts

Rows = Iterable[tuple[str | None, ...]]


def section(say: Texts, key: str, blocks: Sequence[Block]) -> Section:
    """A section with `KEY.title` and `KEY.lead`."""
    return Section(key, say(f"{key}.title"), say(f"{key}.lead"), blocks)


def stat(
    say: Texts,
    key: str,
    value: str,
    *sources: Citation,
    tone: Tone = "plain",
    explain: str | None = None,
    term: str | None = None,
    **values: object,
) -> Stat:
    """A number. `explain` and `term` stand in the place of the key's; `values` are put into its words."""
    title, explain, known = say.told(key, explain, **values)
    return Stat(title, explain, known if term is None else term, sources, value, tone)


def table(
    say: Texts,
    key: str,
    columns: Sequence[str],
    rows: Rows,
    *sources: Citation,
    text: Collection[int] = (0,),
    folded: bool = False,
    explain: str | None = None,
    **values: object,
) -> Table:
    """A table with these titles of its columns; all hold numbers but those of `text`."""
    return Table(*say.told(key, explain, **values), sources, *_body(columns, rows, text), folded)


def chart(
    say: Texts,
    key: str,
    name: str,
    drawn: Any,
    height: int,
    columns: Sequence[str],
    rows: Rows,
    *sources: Citation,
    text: Collection[int] = (0,),
    explain: str | None = None,
    term: str | None = None,
    **values: object,
) -> Chart:
    """A chart of Altair's, or its spec, and its numbers as a table.

    Args:
        name: of the chart, unique on the page.
        text: columns that hold no numbers.
        explain, term: in the place of the key's.
    """
    title, explain, known = say.told(key, explain, **values)
    spec = drawn if isinstance(drawn, dict) else spec_of(drawn.properties(description=explain), height=height)
    numbers = Table(title, "", "", (), *_body(columns, rows, text))
    return Chart(title, explain, known if term is None else term, sources, name, spec, numbers)


def warning(say: Texts, key: str, command: str = "", **values: object) -> Notice:
    """A notice of what is missing."""
    return Notice(say(key, **values), "warn", command)


def _body(columns: Sequence[str], rows: Rows, text: Collection[int]) -> tuple[Any, Any, frozenset[int]]:
    return tuple(columns), tuple(rows), frozenset(range(len(columns))) - frozenset(text)
