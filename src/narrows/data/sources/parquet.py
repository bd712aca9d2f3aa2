"""Parquet files, unpacked a piece at a time with a running count: what they announce of themselves may be forged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from narrows.data.extras import require
from narrows.data.huggingface import class_names
from narrows.data.limits import FREE, ROW, require_room
from narrows.data.sources.raw import Raw
from narrows.data.sources.tables import from_table, require_one_each
from narrows.errors import DataError

_ROWS = 1 << 16
"""Rows that are unpacked at once, of a type whose values cannot be large."""
_FEW = 1 << 8
"""The same of lists and images: one value in the file may stand in every row."""

_JOINED = 1 << 29
"""Bytes from which on a piece of a column stays by itself."""


def open_parquet(paths: list[Path], where: str, features: tuple[str, ...] | None) -> Raw:
    """The rows of parquet files, one file after the other.

    Raises:
        DataError: damaged files, files with different columns, or files that unpack to more than `require_room` allows.
    """
    arrow = require("pyarrow")
    tables: list[Any] = []
    names: dict[str, tuple[str, ...]] = {}
    packed, taken = sum(path.stat().st_size for path in paths), 0
    for path in paths:
        table = read_parquet(path, packed=packed, taken=taken)
        held = class_names(table.schema, path)
        if tables and table.column_names != tables[0].column_names:
            raise DataError(f"{path}: its columns are not those of {paths[0].name}: {_shown(table.column_names)}")
        if tables and held != names:
            raise DataError(f"{path}: its class names are not those of {paths[0].name}")
        names = held
        taken += table.nbytes + table.num_rows * ROW
        tables.append(table)
    try:
        joined = arrow.concat_tables([table.replace_schema_metadata(None) for table in tables])
    except arrow.ArrowException as error:
        raise DataError(f"{where}: the files do not have the same types of columns: {error}") from error
    return from_table(joined, where, features, names)


def read_parquet(
    path: Path, columns: Collection[str] | None = None, *, group: int | None = None, packed: int = 0, taken: int = 0
) -> Any:
    """The Arrow table in a parquet file.

    Args:
        columns: the names of those to read; None: all.
        group: the row group to read; None: all.
        packed: bytes on disk of all files that are read together; 0: of this one.
        taken: bytes in memory of those read already.

    Raises:
        DataError: it is damaged, or unpacks to more than `require_room` allows.
    """
    parquet, arrow = require("pyarrow.parquet"), require("pyarrow")
    packed = packed or path.stat().st_size
    try:
        with parquet.ParquetFile(path) as file:
            require_one_each(file.schema_arrow.names, str(path))
            texts = [field.name for field in file.schema_arrow if _is_text(field.type)]
            groups = list(range(file.num_row_groups)) if group is None else [group]
            announced, largest = _announced(file, groups)
            if columns is None:  # of single columns nothing is asked: where they are damaged, pyarrow ends the process
                require_room(taken + announced, packed, str(path))
            metadata = file.schema_arrow.metadata
        with parquet.ParquetFile(path, read_dictionary=texts) as file:
            held = {}
            for field in file.schema_arrow:
                if columns is None or field.name in columns:
                    batches = file.iter_batches(_rows(field.type, largest), groups, [field.name])
                    held[field.name] = _column(batches, field, packed, taken, path)
                    taken += held[field.name].nbytes
            return arrow.table(held).replace_schema_metadata(metadata)
    except (OSError, UnicodeDecodeError, arrow.ArrowException) as error:
        raise DataError(f"{path} is not a whole parquet file: {error}") from error


def _announced(file: Any, groups: Sequence[int]) -> tuple[int, int]:
    """The bytes of these row groups in memory, and those of the largest."""
    announced = largest = 0
    for i in groups:
        group = file.metadata.row_group(i)
        largest = max(largest, group.total_byte_size)
        announced += max(group.total_byte_size, 8 * group.num_rows * len(file.schema_arrow)) + group.num_rows * ROW
    return announced, largest


def _column(batches: Iterable[Any], field: Any, packed: int, taken: int, path: Path) -> Any:
    """A column, its texts each by itself; refused as soon as it has more than is allowed."""
    arrow = require("pyarrow")
    spread = arrow.types.is_dictionary(field.type)
    parts: list[Any] = []
    chunks: list[Any] = []
    held = 0
    for batch in batches:
        values = batch.column(batch.schema.get_field_index(field.name))
        # Counted before they are spread out: a text that stands once in the file may be that of all rows.
        size = _size(values)
        taken, held = taken + size + len(values) * ROW, held + size
        require_room(taken, packed, f"{path}: the column {field.name!r}")
        chunks.append(values.dictionary_decode() if spread else values)
        if held > _JOINED:
            parts, chunks, held = [*parts, arrow.concat_arrays(chunks)], [], 0
    parts += [arrow.concat_arrays(chunks)] if chunks else []
    return arrow.chunked_array(parts, None if parts else field.type.value_type if spread else field.type)


def _size(values: Any) -> int:
    """Bytes that an array takes, those of a dictionary spread out over the rows."""
    arrow = require("pyarrow")
    if not arrow.types.is_dictionary(values.type):
        return int(values.nbytes)
    if not _is_text(values.type.value_type):
        return len(values) * 16
    compute = require("pyarrow.compute")
    lengths = compute.binary_length(values.dictionary).cast(arrow.int64())
    spread = compute.sum(lengths.take(values.indices)).as_py() or 0
    return int(spread) + 8 * len(values)


def _rows(kind: Any, largest: int) -> int:
    """Rows of that type to unpack at once, of a column whose parts have so many bytes at most."""
    types = require("pyarrow").types
    if types.is_primitive(kind) or types.is_dictionary(kind) or types.is_null(kind):
        return _ROWS
    if types.is_fixed_size_binary(kind) or types.is_decimal(kind):
        return max(1, min(_ROWS, FREE // max(1, int(kind.byte_width))))
    return max(1, min(_FEW, FREE // 4 // max(1, largest)))


def _is_text(kind: Any) -> bool:
    types = require("pyarrow").types
    tests = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return any(test(kind) for test in tests)


def _shown(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
