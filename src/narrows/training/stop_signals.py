"""Ctrl-C between two steps: a signal is noted when it comes and acted upon where nothing is half done."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

TERMINATED = 128 + signal.SIGTERM
"""The exit status that shells give a process that SIGTERM ended."""


class StopSignals:
    """Holds SIGINT and SIGTERM back while it is entered; a second one acts at once.

    SIGINT becomes KeyboardInterrupt, SIGTERM SystemExit(143), so that `with` blocks are left in order. Outside the
    main thread, where Python lets nobody handle signals, it does nothing; nor where a signal is ignored (`nohup`) or
    handled by other than Python code.

    Args:
        hold: whether to do so at all.

    Attributes:
        forced: whether a second signal came.
    """

    def __init__(self, *, hold: bool = True) -> None:
        self._hold = hold
        self.forced = False
        self._received: int | None = None
        self._process = os.getpid()
        self._former: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if self._hold and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                former = signal.getsignal(number)
                if former is not None and former is not signal.SIG_IGN:
                    self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
        if error is None and self._received is not None:
            _raise(self._received)  # it came after the last step

    @property
    def received(self) -> bool:
        """Whether one came that was not acted upon yet."""
        return self._received is not None

    def act(self) -> None:
        """Raises what the signal received means; from now on others act as they did before."""
        assert self._received is not None
        self._restore()
        _raise(self._received)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if os.getpid() != self._process:  # a forked worker of a DataLoader: its parent decides when it ends
            if number == signal.SIGTERM:
                os._exit(TERMINATED)
            return
        if self._received is not None:
            self.forced = True
            self._restore()
            _raise(number)
        self._received = number

    def _restore(self) -> None:
        while self._former:
            signal.signal(*self._former.popitem())


def _raise(number: int) -> None:
    if number == signal.SIGTERM:
        raise SystemExit(TERMINATED)
    raise KeyboardInterrupt
