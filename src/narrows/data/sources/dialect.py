"""How a CSV file is written: its encoding, its separator, where its header stands and what the columns are called.

Looked at in the file's beginning. What is certain is read, and said; what is not is refused with what to do.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from narrows.data.names import one_form
from narrows.data.sources.zipped import opened
from narrows.data.spelling import WORDS, find
from narrows.errors import DataError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
NAMELESS = "Unnamed: {}"
"""What a column without a name is called, as pandas calls it; counted from 0."""

_LOOKED_AT = 1 << 18  # bytes
_MOST = 1 << 25  # bytes, where lines are long
_FEW = 4  # lines
_LINES = 200


@dataclass(frozen=True)
class Dialect:
    """How to read a file.

    Attributes:
        encoding: Python's name of it.
        separator: between the cells.
        skip: lines before the first row, with the header.
        names: of the columns.
        notes: what was found that is not as it should be.
    """

    encoding: str
    separator: str
    skip: int
    names: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Line:
    """A line with its cells; `ends` is how many lines of the file end with it."""

    cells: list[str]
    ends: int

    @property
    def is_title(self) -> bool:
        """Whether it has nothing but a first cell, or nothing at all."""
        return not any(cell.strip() for cell in self.cells[1:])


def find_dialect(path: Path, as_text: Collection[str] = ()) -> Dialect:
    """How the file is written.

    Args:
        as_text: columns that are known to be text.

    Raises:
        DataError: it is empty, or its header does not fit its rows; says what to do.
    """
    with opened(path) as stream:
        start, wanted = stream.read(_LOOKED_AT), _LOOKED_AT
        while len(start) == wanted < _MOST and start.count(b"\n") < _FEW:  # one line of very many columns
            wanted *= 2
            start += stream.read(wanted - len(start))
    encoding = _encoding(start)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(start).removeprefix("\ufeff")
    notes = [] if encoding == "utf-8" else ["it is in UTF-16, and was read so"]
    before, said, hashed = _before_header(text)
    body = io.StringIO(text, newline="")
    for _ in range(before):
        body.readline()
    rest = body.read().removeprefix("#" if hashed else "")
    separator = said or _separator(rest, len(start) == wanted)
    lines = _lines(rest, separator, len(start) == wanted)
    if not lines:
        raise DataError(f"{path} cannot be read as CSV: there is no header")
    header = _header(lines)
    if before or header:
        count = before + (lines[header - 1].ends if header else 0)
        notes.append(f"{count} line{'s' * (count > 1)} over the header, as {_shown(text)!r}, did not count")
    if separator != ",":
        notes.append(f"its columns are separated by {SEPARATORS.get(separator, repr(separator))}")
    rows = lines[header + 1 :]
    names = _names(path, lines[header].cells, rows, notes)
    _no_second_header(path, names, rows)
    _note_codes(names, rows, as_text, notes)
    return Dialect(encoding, separator, before + lines[header].ends, names, tuple(notes))


def require_encoding(path: Path, encoding: str) -> None:
    """DataError, with the line, where the file is not in that encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with opened(path) as stream:
        for number, line in enumerate(stream, 1):
            try:
                decoder.decode(line)
            except UnicodeError as error:
                what = encoding.upper()
                raise DataError(f"{path}: line {number} is not in {what}; save the file as UTF-8") from error


def _encoding(start: bytes) -> str:
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    return "utf-8"


def _before_header(text: str) -> tuple[int, str | None, bool]:
    """Lines to pass over (Excel's `sep=;`, comments), the separator they say, and whether a # leads the header."""
    lines = re.split(r"\r\n|\r|\n", text)
    said, before = None, 0
    if lines and (found := re.fullmatch(r'"?sep=(.)"?', lines[0].strip("\r\n "), re.IGNORECASE)):
        said, before = found[1], 1
    elif lines and lines[0].lower().startswith("sep=\t"):
        said, before = "\t", 1
    comments = 0
    while before + comments < len(lines) and lines[before + comments].startswith("#"):
        comments += 1
    if comments and before + comments < len(lines):
        last, after = lines[before + comments - 1], lines[before + comments]
        marks = [mark for mark in ((said,) if said else SEPARATORS) if last.count(mark) == after.count(mark) > 0]
        numeric = any(find([cell.strip()]).spelling for mark in marks for cell in after.split(mark))
        if marks and numeric:  # as numpy.savetxt writes its header
            return before + comments - 1, said, True
    return before + comments, said, False


def _separator(text: str, cut: bool) -> str:
    """The one by which the lines have most alike numbers of cells; commas, where they will do."""
    best, found = 0.0, ","
    for mark in SEPARATORS:
        counts = Counter(len(line.cells) for line in _lines(text, mark, cut))
        total = sum(counts.values())
        counts.pop(1, None)
        if counts:
            _, times = counts.most_common(1)[0]
            if times / total * times > best:
                best, found = times / total * times, mark
    return found


def _lines(text: str, separator: str, cut: bool) -> list[_Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    lines: list[_Line] = []
    try:
        for cells in reader:
            if cells:
                lines.append(_Line(cells, reader.line_num))
            if len(lines) == _LINES:
                return lines
    except csv.Error:  # a cell longer than is allowed, a NUL: the reader of the whole will say so
        return lines
    return lines[:-1] if cut and len(lines) > 1 else lines


def _header(lines: Sequence[_Line]) -> int:
    """Which line is the header: titles over it have one filled cell, the first, where the rows have several; lines that
    group columns have gaps, and below them the names before the numbers begin."""
    width = _width(lines[1:]) or len(lines[0].cells)
    at = 0
    while width > 1 and at + 2 < len(lines) and lines[at].is_title:
        at += 1
    if any(_numeric({cell}) for cell in lines[at].cells):
        return 0  # these are rows: there is no header below a title
    if at + 2 < len(lines) and len(lines[at].cells) == width and "" in lines[at].cells[1:]:
        names = lines[at + 1].cells
        if len(names) == width and all(map(str.strip, names)) and _words_over_numbers(names, lines[at + 2 :]) > 1:
            return at + 1
    return at


def _width(lines: Sequence[_Line]) -> int:
    """How many cells most lines have."""
    widths = Counter(len(line.cells) for line in lines)
    return widths.most_common(1)[0][0] if widths else 0


def _words_over_numbers(cells: Sequence[str], below: Sequence[_Line]) -> int:
    """In how many columns these cells are words and all below are numbers; 0 where one of them is a number itself."""
    words = [i for i, cell in enumerate(cells) if one_form(cell) not in WORDS]
    if any(_numeric({cells[i]}) for i in words):
        return 0
    columns = ({one_form(line.cells[i]) for line in below[:20] if i < len(line.cells)} - WORDS for i in words)
    return sum(bool(texts) and _numeric(texts) for texts in columns)


def _numeric(texts: set[str]) -> bool:
    return all(find([one_form(text)]).spelling is not None for text in texts)


def _names(path: Path, header: Sequence[str], rows: Sequence[_Line], notes: list[str]) -> tuple[str, ...]:
    names = [one_form(name) for name in header]
    if any("\ufffd" in name for name in names):
        raise DataError(f"{path}: its header is not in UTF-8; save the file as UTF-8")
    width = _width(rows) or len(names)
    whole = [row.cells for row in rows if len(row.cells) == width]
    if len(names) > width and not any(names[width:]):
        names = names[:width]
    elif width > len(names) and all(not cell.strip() for cells in whole for cell in cells[len(names) :]):
        names += [""] * (width - len(names))
    elif width == len(names) + 1 and _name_rows([cells[0] for cells in whole]):
        notes.append(
            f"its header has {len(names)} names and its rows have {width} cells, the first of them different in every "
            "row: it is taken for the rows' name, as R writes tables"
        )
        names = ["", *names]
    elif width != len(names):
        raise DataError(
            f"{path}: its header has {len(names)} names ({', '.join(names[:8])}{', ...' if len(names) > 8 else ''}) "
            f"and its rows have {width} cells, as {', '.join(whole[0][:8])}. Give each column one name, in the first "
            "line"
        )
    return tuple(name or NAMELESS.format(i) for i, name in enumerate(names))


def _name_rows(cells: Sequence[str]) -> bool:
    """Whether these are names of rows: different words, or numbers that count up."""
    counted = [str(int(cells[0]) + i) for i in range(len(cells))] if cells[0].isdecimal() else []
    return len(set(cells)) == len(cells) > 1 and (cells == counted or not any(_numeric({cell}) for cell in cells))


def _no_second_header(path: Path, names: Sequence[str], rows: Sequence[_Line]) -> None:
    """DataError where the first row holds words in several columns that hold numbers in all others.

    The header itself, once more, is a row to be left out: see `repeated`.
    """
    if rows and [*map(one_form, rows[0].cells)] == list(names):
        return
    if len(rows) > 2 and len(rows[0].cells) == len(names) and _words_over_numbers(rows[0].cells, rows[1:]) > 1:
        raise DataError(
            f"{path}: its first row ({', '.join(rows[0].cells[:8])}) holds words in columns that hold numbers below: a "
            "second line of the header, or units? Remove it, or make the header one line"
        )


def _note_codes(names: Sequence[str], rows: Sequence[_Line], as_text: Collection[str], notes: list[str]) -> None:
    for i, name in enumerate(names):
        cells = [row.cells[i].strip() for row in rows if i < len(row.cells)]
        coded = [cell for cell in cells if cell.startswith("0") and cell.isdecimal() and int(cell)]
        if coded and name not in as_text and all(cell.isdecimal() or cell in WORDS for cell in cells):
            notes.append(
                f"column {name!r} has numbers that begin with 0, as {coded[0]!r}; if they are names (postal codes), "
                "say so with categorical (--categorical)"
            )


def _shown(text: str) -> str:
    first = text.lstrip("\r\n").split("\n", 1)[0].rstrip("\r")
    return first if len(first) <= 60 else first[:57] + "..."
