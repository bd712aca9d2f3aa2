"""Tables: CSV and parquet files, and what else comes as an Arrow table, of numbers and text or of encoded images."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from narrows.data.column import MISSING, Column, from_arrow
from narrows.data.extras import require
from narrows.data.faults import at
from narrows.data.huggingface import class_names
from narrows.data.sources.raw import Raw
from narrows.errors import DataError

Names = Mapping[str, tuple[str, ...] | None]


def open_csv(path: Path, features: tuple[str, ...] | None, as_text: Collection[str]) -> Raw:
    """A CSV file with a header, in UTF-8, separated by commas. `as_text`: columns not to be taken for numbers.

    Raises:
        DataError: empty, of another encoding or separator, rows of different lengths.
    """
    csv, arrow = require("pyarrow.csv"), require("pyarrow")
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{path} is in UTF-16; save it as UTF-8")

    def read(threads: bool) -> Any:
        return csv.read_csv(
            path,
            read_options=csv.ReadOptions(use_threads=threads),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                null_values=sorted(MISSING), column_types=dict.fromkeys(as_text, arrow.string())
            ),
        )

    try:
        try:
            table = read(True)
        except arrow.ArrowInvalid:
            table = read(False)  # slower, and says which row it is
        names = table.column_names
    except (OSError, UnicodeDecodeError, arrow.ArrowException) as error:
        hint = "; save it as UTF-8" if "utf" in str(error).lower() else ""
        raise DataError(f"{path} cannot be read as CSV: {error}{hint}") from error
    for field in table.schema:
        if arrow.types.is_binary(field.type):
            raise DataError(f"{path}: the column {field.name!r} is not in UTF-8; save the file as UTF-8")
    if len(names) == 1 and any(mark in names[0] for mark in ";\t"):
        raise DataError(f"{path}: the header {names[0]!r} is not separated by commas; save the file with commas")
    return from_table(table, str(path), features)


def open_parquet(paths: list[Path], where: str, features: tuple[str, ...] | None) -> Raw:
    """The rows of parquet files, one file after the other.

    Raises:
        DataError: damaged files, or files with different columns.
    """
    parquet, arrow = require("pyarrow.parquet"), require("pyarrow")
    tables = []
    for path in paths:
        try:
            tables.append(parquet.ParquetFile(path).read())
        except (OSError, UnicodeDecodeError, arrow.ArrowException) as error:
            raise DataError(f"{path} is not a whole parquet file: {error}") from error
        if tables[-1].column_names != tables[0].column_names:
            raise DataError(f"{path}: its columns are not those of {paths[0].name}: {tables[-1].column_names}")
    names = {name: class_names(tables[0].schema, name, paths[0]) for name in tables[0].column_names}
    for path, table in zip(paths, tables, strict=True):
        if {name: class_names(table.schema, name, path) for name in table.column_names} != names:
            raise DataError(f"{path}: its class names are not those of {paths[0].name}")
    try:
        joined = arrow.concat_tables([table.replace_schema_metadata(None) for table in tables])
    except arrow.ArrowException as error:
        raise DataError(f"{where}: the files do not have the same types of columns: {error}") from error
    return from_table(joined, where, features, names)


def from_table(
    table: Any, where: str, features: tuple[str, ...] | None, names: Names | None = None, *, trusted: bool = False
) -> Raw:
    """The rows of an Arrow table: of images, where it has a column of them that is asked for, or else of columns.

    Args:
        features: the columns asked for; None: all.
        names: the names of class numbers, by column.
        trusted: whether an image that is only a path may be read from there.

    Raises:
        DataError: no rows, a name that stands twice, several columns of images.
    """
    columns = table.column_names
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise DataError(f"{where}: the column {twice!r} stands {columns.count(twice)} times; rename or remove it")
    if not table.num_rows:
        raise DataError(f"{where}: there are no rows")
    ids = tuple(map(str, range(table.num_rows)))
    images = [name for name in columns if _holds_images(table.schema.field(name).type)]
    wanted = [name for name in images if features is None or name in features]
    if len(wanted) > 1:
        raise DataError(f"{where}: has several columns of images: {', '.join(wanted)}; name one with features")

    def read(name: str) -> Column:
        return from_arrow(name, table[name], (names or {}).get(name))

    if not wanted:
        return Raw(where, ids, tuple(columns), read)
    held = table[wanted[0]].combine_chunks()

    def image(row: int) -> bytes:
        value = held[row].as_py() or {}
        if value.get("bytes") is None and trusted and value.get("path"):
            return Path(value["path"]).read_bytes()
        if not isinstance(value.get("bytes"), bytes):
            raise DataError(f"{at(row)}: the image's bytes are missing")
        return bytes(value["bytes"])

    return Raw(where, ids, tuple(name for name in columns if name not in images), read, image=image)


def _holds_images(kind: Any) -> bool:
    types = require("pyarrow").types
    if not types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    inner = kind.field("bytes").type
    return bool(types.is_binary(inner) or types.is_large_binary(inner))
