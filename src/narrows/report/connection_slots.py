"""A server with so many places, each for a connection, that does not spin where the machine has none left.

Knows no page, and nothing of what is asked.
"""

from __future__ import annotations

import errno
import io
import socket
import threading
import time
from contextlib import suppress
from http.server import ThreadingHTTPServer
from typing import Any, Final

_PLACES: Final = 64
"""Connections at a time: a page has two, and each takes a thread and a descriptor."""
_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_PAUSE: Final = 0.5
"""Seconds until the next try where this machine has no room for another connection."""
_FULL: Final = (
    b"HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 5\r\n\r\n"
    b"This page has as many readers as it can have. Close one, or wait.\n"
)


class PlacesServer(ThreadingHTTPServer):
    """Answers each connection in a thread, while there is a place for it; further ones are told that there is none.

    Attributes:
        ending: set by who ends it, so that threads and pauses end.
    """

    daemon_threads = True

    def __init__(self, address: Any, handler: Any) -> None:
        self.ending = threading.Event()
        self._places = threading.BoundedSemaphore(_PLACES)
        super().__init__(address, handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection. Where there is no descriptor for it, it stays in line, and is asked for less often."""
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self.ending.wait(_PAUSE)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answers in a thread of its own, where a place is free."""
        if not self._places.acquire(blocking=False):
            with suppress(OSError):
                request.setblocking(False)
                request.send(_FULL)
                request.recv(1 << 16)  # what is unread when it is closed would take the answer with it
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # there is no thread
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answers, and leaves the place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()


class Until(io.RawIOBase):
    """What comes over a connection within so many seconds; TimeoutError from then on, however it drips."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection, self._end = connection, time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long to come")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)
