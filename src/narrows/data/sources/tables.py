"""Tables: CSV and parquet files, and what else comes as an Arrow table, of numbers and text or of encoded images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

from narrows.data.column import Column, from_arrow
from narrows.data.examples import Skipped
from narrows.data.extras import require
from narrows.data.faults import at
from narrows.data.names import one_form
from narrows.data.sources.decimal_mark import find_mark
from narrows.data.sources.dialect import Dialect, find_dialect, require_encoding
from narrows.data.sources.own import image_bytes
from narrows.data.sources.raw import Raw
from narrows.data.sources.repeated import repeats, without
from narrows.data.sources.zipped import opened
from narrows.data.spelling import MISSING
from narrows.errors import DataError

Names = Mapping[str, tuple[str, ...] | None]


def open_csv(path: Path, features: tuple[str, ...] | None, as_text: Collection[str], decimal: str | None = None) -> Raw:
    """A CSV file with a header. Rows of another length than the header are in `broken`.

    Args:
        as_text: columns not to be taken for numbers.
        decimal: the decimal mark, where it is known. Else it is the comma where columns are not separated by commas and
            one of them has numbers that cannot be read otherwise, or whose dots are taken to part thousands.

    Raises:
        DataError: empty, of another encoding than UTF-8 or UTF-16, a header that does not fit its rows.
    """
    arrow = require("pyarrow")
    dialect = find_dialect(path, as_text)
    notes = [f"of the file: {note}" for note in dialect.notes]
    mark, held = decimal or ".", None
    table, broken = _read_csv(path, held, dialect, as_text, mark)
    again = repeats(table, dialect.names)
    if len(again):
        texts, _ = _read_csv(path, None, dialect, dialect.names, mark)
        held = without(texts, again, dialect.separator)
        dialect = replace(dialect, encoding="utf-8", skip=0)
        broken = _with_repeats(broken, again.tolist(), table.num_rows)
        table, _ = _read_csv(path, held, dialect, as_text, mark)
    if decimal is None:
        mark, said = find_mark(
            table, lambda names: _read_csv(path, held, dialect, {*as_text, *names}, ".")[0], dialect, as_text
        )
        notes += [f"of the file: {note}" for note in said]
        if mark == ",":
            table, _ = _read_csv(path, held, dialect, as_text, mark)
    for field in table.schema:
        if arrow.types.is_binary(field.type):
            raise DataError(f"{path}: the column {field.name!r} is not in UTF-8; save the file as UTF-8")
    raw = from_table(table, str(path), features)
    left_out = {int(row.id) for row in broken}
    rows = (row for row in range(len(raw) + len(broken)) if row not in left_out)
    return replace(
        raw, ids=tuple(map(str, rows)), decimal=cast(Literal[".", ","], mark), broken=broken, notes=tuple(notes)
    )


def _with_repeats(broken: Sequence[Skipped], again: Sequence[int], rows: int) -> tuple[Skipped, ...]:
    """The rows that are left out, with those of a table of so many rows that repeat the header."""
    left_out = {int(row.id) for row in broken}
    numbers = [row for row in range(rows + len(broken)) if row not in left_out]
    return (*broken, *(Skipped(str(numbers[row]), "it is the header once more") for row in again))


def _read_csv(
    path: Path, held: Any, dialect: Dialect, as_text: Collection[str], mark: str
) -> tuple[Any, tuple[Skipped, ...]]:
    """The table, and the rows that do not fit it; of the bytes in `held`, where they are not those of the file."""
    csv, arrow = require("pyarrow.csv"), require("pyarrow")
    broken: list[Skipped] = []
    zipped = path.name.lower().endswith(".gz")

    def leave_out(row: Any) -> str:
        reason = f"it has {row.actual_columns} cells and the header has {row.expected_columns} names: {row.text[:60]!r}"
        broken.append(Skipped(str(row.number - 1 - dialect.skip), reason))
        return "skip"

    def read(threads: bool) -> Any:
        with opened(path) as stream:
            return csv.read_csv(
                (stream if zipped else path) if held is None else arrow.BufferReader(held),
                read_options=csv.ReadOptions(
                    use_threads=threads,
                    encoding=dialect.encoding,
                    skip_rows=dialect.skip,
                    column_names=list(dialect.names),
                ),
                parse_options=csv.ParseOptions(
                    delimiter=dialect.separator,
                    newlines_in_values=True,
                    invalid_row_handler=None if threads else leave_out,
                ),
                convert_options=csv.ConvertOptions(
                    null_values=sorted(MISSING),
                    column_types=dict.fromkeys(as_text, arrow.string()),
                    decimal_point=mark,
                ),
            )

    try:
        try:
            return read(True), ()
        except arrow.ArrowInvalid:
            require_encoding(path, dialect.encoding)
            return read(False), tuple(broken)  # slower, and says which row it is
    except (OSError, UnicodeError, arrow.ArrowException) as error:
        hint = "; save it as UTF-8" if "utf" in str(error).lower() else ""
        raise DataError(f"{path} cannot be read as CSV: {error}{hint}") from error


def from_table(
    table: Any,
    where: str,
    features: tuple[str, ...] | None,
    names: Names | None = None,
    *,
    inside: Sequence[Path] = (),
) -> Raw:
    """The rows of an Arrow table: of images, where it has a column of them that is asked for, or else of columns.

    Args:
        features: the columns asked for; None: all.
        names: the names of class numbers, by column.
        inside: the folders from which an image that is only a path may be read; elsewhere none is.

    Raises:
        DataError: no rows, a name that stands twice, several columns of images.
    """
    names = {one_form(name): held for name, held in (names or {}).items()}
    columns = [one_form(name) for name in table.column_names]
    require_one_each(columns, where)
    table = table.rename_columns(columns)
    if not table.num_rows:
        raise DataError(f"{where}: there are no rows")
    ids = tuple(map(str, range(table.num_rows)))
    images = [name for name in columns if _holds_images(table.schema.field(name).type)]
    wanted = [name for name in images if features is None or name in features]
    if len(wanted) > 1:
        raise DataError(f"{where}: has several columns of images: {', '.join(wanted)}; name one with features")

    def read(name: str) -> Column:
        return from_arrow(name, table[name], names.get(name))

    if not wanted:
        return Raw(where, ids, tuple(columns), read)
    held = table[wanted[0]]

    def image(row: int) -> bytes:
        return image_bytes(held[row].as_py(), inside, at(row))

    apart = set(images)
    return Raw(where, ids, tuple(name for name in columns if name not in apart), read, image=image)


def require_one_each(columns: Sequence[str], where: str) -> None:
    """DataError: a name stands twice."""
    twice = [f"the column {name!r} stands {count} times" for name, count in Counter(columns).items() if count > 1]
    if twice:
        more = f" and {len(twice) - 20} more" if len(twice) > 20 else ""
        raise DataError(f"{where}: {'; '.join(twice[:20])}{more}; rename or remove all but one")


def _holds_images(kind: Any) -> bool:
    types = require("pyarrow").types
    if not types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    inner = kind.field("bytes").type
    return bool(types.is_binary(inner) or types.is_large_binary(inner))
