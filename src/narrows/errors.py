"""Everything narrows raises on purpose. Each message says what is wrong, where, and what to do.

All derive from `NarrowsError`, so one `except` catches what is ours and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class NarrowsError(Exception):
    """Base of every error that narrows raises on purpose."""


class ConfigError(NarrowsError, ValueError):
    """An option is unknown, of the wrong type, or out of its range."""


class UnknownNameError(ConfigError, LookupError):
    """No method, stream or task of that name; the message suggests the nearest."""


_COMPARED = 1000  # names, and letters of one: comparing more takes long


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a name that is not known: the nearest one that is, or else the first twenty of them.

    >>> nearest("ibn", ["ibm", "wsn"]), nearest("adam", ["ibm", "wsn"])
    ("did you mean 'ibm'?", 'there are: ibm, wsn')
    """
    names = list(known)
    close = get_close_matches(name[:_COMPARED], names[:_COMPARED], n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are: {', '.join(names[:20]) or 'none'}" + (f" and {len(names) - 20} more" if len(names) > 20 else "")


class TaskExistsError(NarrowsError):
    """The store already holds a task of that name."""


class ModelMismatchError(NarrowsError):
    """The model's parameters are not the store's; the message says which."""


class ModelBuildError(NarrowsError):
    """The model cannot be built from its record: the factory is not there, or its call fails."""


class UntrustedModelError(NarrowsError):
    """A store names code that this user has not said may be run; the message says how to."""


class WeightsError(NarrowsError, ValueError):
    """A file of weights is missing or damaged, or holds more than a state dict."""


class CapacityError(NarrowsError):
    """More new weights are asked for than are free; the message says how much is left."""


class RoutingError(NarrowsError):
    """There are not two tasks to choose between for an input."""


class OptimizerError(NarrowsError):
    """An optimizer that would not, or not only, train the task's own parameters."""


class NonFiniteError(NarrowsError, ArithmeticError):
    """The loss or a weight became infinite or NaN; nothing was committed."""


class Interrupted(NarrowsError):
    """Raised by a callback to end training between two steps; `fit` keeps a checkpoint there, if it was given one."""


class DataError(NarrowsError, ValueError):
    """The data cannot be learned from: empty, labels outside the head, wrong shapes."""


class DatasetMissingError(DataError, FileNotFoundError):
    """The data set is not where it was looked for; the message says how to get it."""


class OutputError(NarrowsError):
    """What was asked for could not be written where it was to go; what was done before stands."""


class StorageError(NarrowsError):
    """The storage that the workers of a comparison share cannot be used."""


class StoreError(NarrowsError):
    """Something about a store on disk. Base of the errors below."""


class StoreMissingError(StoreError, FileNotFoundError):
    """There is no store at that path."""


class StoreVersionError(StoreError):
    """The store was written in a format this version of narrows does not know."""


class StoreLockedError(StoreError):
    """Another process or thread is writing the store."""


class DamagedStoreError(StoreError):
    """A file of the store is missing, truncated or altered; other tasks stay readable."""
