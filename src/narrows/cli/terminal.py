"""Standard output and standard error as no command can fail on them.

What their encoding has no sign for is written by its number (`\\u2500`), bytes of a path that are no text as they are,
and what cannot be written at all (a closed pipe, a full disk) is dropped: half of a command's work must not be undone
because nobody can read of it. Knows no command.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast


class Unfailing:
    """A text stream that drops what cannot be written.

    Attributes:
        lost: why something was dropped, until that is told; None where nothing was, or the reader went away (`| head`).
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._gone = stream, False
        self.lost: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As that of any text stream; OSError and ValueError (a closed one) are kept as `lost`."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """See `write`."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """See `write`."""
        self._try(self._stream.flush)

    def _try(self, call: Callable[[], Any]) -> None:
        if self._gone:
            return
        try:
            call()
        except (OSError, ValueError) as error:
            self._gone = True
            if getattr(error, "errno", None) != errno.EPIPE:
                self.lost = getattr(error, "strerror", None) or str(error)
            with suppress(OSError, ValueError, AttributeError):  # what is left in its buffer would fail at exit
                _to_nowhere(self._stream.fileno())


def _to_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, descriptor)
    finally:
        os.close(nowhere)


@contextmanager
def unfailing() -> Iterator[None]:
    """Within, `sys.stdout` and `sys.stderr` fail nobody; what standard output lost is said in the end."""
    former = sys.stdout, sys.stderr
    if None in former:  # or the next file that is opened would be the standard output of what we call
        os.open(os.devnull, os.O_RDWR)
    out, errors = (_unfailing(stream) for stream in former)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, errors)
    try:
        yield
    finally:
        out.flush()
        if out.lost is not None:
            errors.write(f"note: {_LOST.format(out.lost)}\n")
        errors.flush()
        sys.stdout, sys.stderr = former


_LOST = "standard output could not be written ({}), so what this command says is lost; what it did stands."


def lost_output() -> str | None:
    """What to say where standard output was lost, once; None where nothing was, or it is not our own stream."""
    reason = getattr(sys.stdout, "lost", None)
    if reason is None:
        return None
    cast(Any, sys.stdout).lost = None
    return _LOST.format(reason)


def _unfailing(stream: TextIO | None) -> Unfailing:
    if stream is None:  # closed from the start, as by `>&-`
        return Unfailing(io.StringIO())
    if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape", "backslashreplace"):
        with suppress(OSError, ValueError):
            stream.reconfigure(errors=_BY_NUMBER)
    return Unfailing(stream)


def _sign_by_number(error: UnicodeError) -> tuple[str | bytes, int]:
    """How the next sign is written that an encoding has not."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign = error.object[error.start]
    if "\udc80" <= sign <= "\udcff":  # a byte of a path, as `os.fsdecode` has it
        return bytes([ord(sign) - 0xDC00]), error.start + 1
    return _ALIKE.get(sign) or sign.encode("ascii", "backslashreplace").decode(), error.start + 1


_BY_NUMBER = "narrows.sign_by_number"
_ALIKE = {"…": "...", "±": "+-", "²": "2"}
codecs.register_error(_BY_NUMBER, _sign_by_number)
