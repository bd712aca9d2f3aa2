"""What Hugging Face's `datasets` writes into the metadata of parquet files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from narrows.errors import DataError


def class_names(schema: Any, path: Path | str) -> dict[str, tuple[str, ...]]:
    """The names of the class numbers in each column, or in its lists, for those that have any.

    Args:
        schema: the Arrow schema of the file.

    Raises:
        DataError: what stands there as names is no list of strings.
    """
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"].items()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    found = {column: _names(feature) for column, feature in features}
    for names in found.values():
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise DataError(f"{path}: the class names in its huggingface metadata are not a list of strings")
    return {column: tuple(names) for column, names in found.items() if names is not None}


def _names(feature: Any) -> Any:
    """What stands where the names do; None where nothing does."""
    try:
        return feature["names"] if "names" in feature else feature["feature"]["names"]
    except (KeyError, TypeError):
        return None
