"""The checkpoint of a task in progress, with what it was begun with: it is gone on with only on the same terms.

Knows nothing of what `narrows.tasks` keeps in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from narrows.errors import ConfigError
from narrows.store.checkpoint_file import CheckpointFile

_TERMS, _TRAINING = "terms", "training"
SHOWN = 100
"""Characters of a term in a message."""


class TermsCheckpoint:
    """A checkpoint that keeps the `terms` of a training beside it.

    Args:
        inner: where it is kept.
        name: the task, for messages.
        terms: plain JSON values that must be the same to go on: what the data are, the seed, what is built on.
        restart: whether to forget what is kept, and begin anew.

    Attributes:
        resumed: whether `load` found a training to go on with.
    """

    def __init__(self, inner: CheckpointFile, name: str, terms: Mapping[str, Any], *, restart: bool = False) -> None:
        self._inner, self._name, self._restart = inner, name, restart
        self._terms: dict[str, Any] = json.loads(json.dumps(dict(terms)))  # as it will be read back
        self.resumed = False

    @property
    def exists(self) -> bool:
        """Whether there is something to go on with."""
        return not self._restart and self._inner.exists()

    def load(self) -> Any:
        """What was saved last, None where nothing was.

        Raises:
            ConfigError: it was begun on other terms; names them.
        """
        if self._restart:
            self.drop()
        kept = self._inner.load()
        if kept is None:
            return None
        before = kept.get(_TERMS) if isinstance(kept, dict) else None
        if not isinstance(before, dict) or _TRAINING not in kept:
            raise ConfigError(f"The checkpoint of {self._name!r} was made by another program. --restart begins anew.")
        self._require_same(before)
        self.resumed = True
        return kept[_TRAINING]

    def save(self, tree: Any, /) -> None:
        """See `narrows.training.checkpoint.Checkpoint.save`."""
        self._inner.save({_TERMS: self._terms, _TRAINING: tree})

    def drop(self) -> None:
        """Forgets it."""
        self._inner.drop()

    def _require_same(self, before: dict[str, Any]) -> None:
        differ = [name for name in {**before, **self._terms} if before.get(name) != self._terms.get(name)]
        if "tasks" in differ:
            then, now = (", ".join(terms.get("tasks", ())) or "none" for terms in (before, self._terms))
            raise ConfigError(
                f"Task {self._name!r} is half learned, upon other tasks than the store has now (then: {then}; now: "
                f"{now}). What it began from is not there any more: begin it anew with --restart (restart=True)."
            )
        if differ:
            pairs = [(name, _short(before.get(name)), _short(self._terms.get(name))) for name in differ]
            said = "; ".join(f"{name}: then {then}, now {now}" for name, then, now in pairs)
            raise ConfigError(
                f"Task {self._name!r} is half learned, and this is another training: {said}. Go on with what it was "
                "begun with, or begin it anew with --restart (restart=True)."
            )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
