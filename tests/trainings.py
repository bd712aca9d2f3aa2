"""A `Training` out of the keywords that a test passes on."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import narrows as nw

VALUES = {field.name for field in fields(nw.Training)}


def training(epochs: int, options: dict[str, Any], **said: Any) -> nw.Training:
    """Takes its values out of `options`; what stays there is for `fit` itself."""
    return nw.Training(epochs, **said | {name: options.pop(name) for name in VALUES & options.keys()})
