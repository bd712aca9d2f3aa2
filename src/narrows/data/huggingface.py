"""What Hugging Face's `datasets` writes into the metadata of parquet files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from narrows.errors import DataError


def class_names(schema: Any, column: str, path: Path | str) -> tuple[str, ...] | None:
    """The names of the class numbers in a column, or in its lists; None where the file has none.

    Args:
        schema: the Arrow schema of the file.

    Raises:
        DataError: what stands there as names is no list of strings.
    """
    packed = (schema.metadata or {}).get(b"huggingface")
    if packed is None:
        return None
    try:
        feature = json.loads(packed)["info"]["features"][column]
        names = feature["names"] if "names" in feature else feature["feature"]["names"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{path}: the class names in its huggingface metadata are not a list of strings")
    return tuple(names)
