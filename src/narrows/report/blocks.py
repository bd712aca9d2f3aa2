"""What a page is made of: sections of figures, tables, charts and pictures, each with a plain sentence and its source.

Plain values: knows no HTML, no store and no result. `narrows.report.render` makes the page of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Tone = Literal["plain", "good", "warn", "bad"]

MANY_ROWS: Final = 15
"""A table of more is shown only when asked for."""


@dataclass(frozen=True)
class Citation:
    """Where a number stands, so that it can be looked up.

    Attributes:
        file: relative to what the report is of, as "result.json" or "tasks/0003-returns/task.json".
        key: within it, as "metrics.ACC".
    """

    file: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.key}" if self.key else self.file


@dataclass(frozen=True)
class Explained:
    """What every block has in common.

    Attributes:
        title: in plain words.
        explain: one sentence in plain words.
        term: the term of the field, or "".
        sources: where the numbers are from.
    """

    title: str
    explain: str
    term: str = ""
    sources: tuple[Citation, ...] = ()


@dataclass(frozen=True)
class Stat(Explained):
    """One number, large.

    Attributes:
        value: as people read it.
        tone: whether it is good news.
    """

    value: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Stats:
    """Several numbers side by side."""

    stats: tuple[Stat, ...]


@dataclass(frozen=True)
class Table(Explained):
    """A table.

    Attributes:
        columns: their titles.
        rows: cells as people read them; None where there is nothing.
        numeric: which columns hold numbers, from 0; the others are text.
        folded: whether it is shown only when asked for.
    """

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    numeric: frozenset[int] = frozenset()
    folded: bool = False


@dataclass(frozen=True)
class Chart(Explained):
    """A chart, and the same numbers as a table for who cannot see it.

    Attributes:
        key: unique on the page, ASCII letters, digits and hyphens.
        spec: Vega-Lite, from `narrows.report.charts.spec_of`.
        table: the numbers; required, as a chart alone leaves out who cannot see it.
    """

    key: str = ""
    spec: Mapping[str, Any] = field(default_factory=dict)
    table: Table | None = None


@dataclass(frozen=True)
class Image:
    """A picture made of pixels.

    Attributes:
        png: the file's bytes.
        alt: what it shows, in words.
        caption: under it, or "".
        width, height: in CSS pixels.
    """

    png: bytes
    alt: str
    width: int
    height: int
    caption: str = ""


@dataclass(frozen=True)
class Pictures(Explained):
    """Pictures side by side, with a legend.

    Attributes:
        legend: (colour as CSS has it, what it means).
    """

    images: tuple[Image, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Notice:
    """A sentence that must not be passed over: what is missing and how to get it, a warning, good news."""

    text: str
    tone: Tone = "plain"
    command: str = ""


@dataclass(frozen=True)
class Selector:
    """Of several groups of blocks one is shown at a time; the reader picks.

    Attributes:
        key: unique on the page, ASCII letters, digits and hyphens.
        label: what is picked, as "Task".
        options: (name, its blocks); the first is shown until another is picked.
    """

    key: str
    label: str
    options: tuple[tuple[str, tuple[Block, ...]], ...]


@dataclass(frozen=True)
class Calculator(Explained):
    """What the reader can compute anew on the page by changing assumptions.

    Attributes:
        key: unique on the page; page.js knows what to do by `kind`.
        kind: "plan".
        data: plain JSON: what the computation starts from.
        fields: (name, label, unit, value, explanation) of each number that may be changed; None: left empty.
        words: texts that the script prints, by name.
        table: the result with the values as they are, for who has no script.
        limits: by field: (least, most, step as HTML has it, whether it must be given).
        sentences: what the result comes to.
        details: more of the result, shown when asked for.
    """

    key: str = ""
    kind: str = "plan"
    data: Mapping[str, Any] = field(default_factory=dict)
    fields: tuple[tuple[str, str, str, float | None, str], ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    table: Table | None = None
    limits: Mapping[str, tuple[float, float, str, bool]] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()
    details: Table | None = None


Block = Stats | Table | Chart | Pictures | Notice | Selector | Calculator


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        key: unique, ASCII; the anchor of links.
        title: in plain words.
        lead: what the section answers, in a sentence.
        blocks: in order.
    """

    key: str
    title: str
    lead: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        title, subtitle: what it is of.
        language: "en" or "ja".
        sections: in order.
        notes: at the foot: versions, when it was made, the command that made it.
        failed: keys of sections in whose place there is a notice, as they could not be made.
    """

    title: str
    subtitle: str
    language: str
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
