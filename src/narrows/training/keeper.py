"""What is done at every boundary between two steps: recording, measuring, saving, stopping where a signal asks."""

from __future__ import annotations

import time

from narrows.training.checkpoint import TrainingState
from narrows.training.early_stopping import EarlyStopping
from narrows.training.position import Position
from narrows.training.recording import Recorder
from narrows.training.stop_signals import StopSignals
from narrows.training.tracking import Trackers


class Keeper:
    """Looks on at training: measures after each epoch, saves from time to time, and stops it where a signal asks.

    Args:
        recorder: what is told losses and scores.
        trackers: are told the same.
        training: what to save; None: nothing.
        every: seconds between two saves within an epoch.
        signals: those that came meanwhile.
    """

    def __init__(
        self,
        training: TrainingState | None,
        stopping: EarlyStopping | None,
        every: float,
        signals: StopSignals,
        recorder: Recorder,
        trackers: Trackers,
    ) -> None:
        self._recorder, self._trackers = recorder, trackers
        self._training, self._stopping = training, stopping
        self._every, self._signals = every, signals
        self._saved = time.monotonic()

    @property
    def done(self) -> bool:
        """Whether training ends here; asked before each epoch."""
        return self._stopping is not None and self._stopping.done

    def after_step(self, at: Position, /) -> None:
        """Called after each step and its callbacks."""
        self._record(at)
        if self._signals.received or time.monotonic() - self._saved >= self._every:
            self._save(at)

    def after_epoch(self, at: Position, /) -> None:
        """Called when an epoch is over."""
        if self._stopping is not None:
            self._stopping.look()
            score = self._stopping.scores[-1]
            self._trackers.score(self._recorder.score(score), score)
        self._save(at)

    def interrupted(self, at: Position, /) -> None:
        """Called where a callback raised KeyboardInterrupt or Interrupted, which goes on afterwards."""
        self._record(at)
        if not self._signals.forced:
            self._save(at)

    def _record(self, at: Position) -> None:
        point = self._recorder.complete(at.running.recent)
        if point is not None:
            self._trackers.log(point)

    def _save(self, at: Position) -> None:
        if self._training is not None:
            self._training.save(at)
            self._saved = time.monotonic()
        if self._signals.received:
            self._signals.act()
