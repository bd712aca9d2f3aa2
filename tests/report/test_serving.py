"""The server and those it does not know: requests that drip, too many of them, and no descriptors left."""

from __future__ import annotations

import errno
import http.client
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from narrows.report import connection_slots, serve
from narrows.report.follow import Follower
from narrows.report.serve import WatchServer
from page_server import serving

PATIENCE = 30.0
"""Seconds that an answer may take on a machine that does much else."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WatchServer]:
    """It has three places, and gives a request half a second."""
    monkeypatch.setattr(serve, "_ASKING", 0.5)
    monkeypatch.setattr(connection_slots, "_PLACES", 3)
    follower = Follower(tmp_path / "run", pause=0.05)
    with serving(follower) as server:
        yield server


def connect(server: WatchServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.server_port), timeout=PATIENCE)


def status(server: WatchServer) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=PATIENCE)
    connection.request("GET", "/")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def listening(server: WatchServer) -> socket.socket:
    """A connection that is told of changes."""
    line = connect(server)
    line.sendall(f"GET /events HTTP/1.0\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode())
    assert line.recv(1 << 16).startswith(b"HTTP/1.0 200")
    return line


def test_headers_that_drip_end_at_the_deadline_of_the_whole_request(server: WatchServer) -> None:
    began = time.monotonic()
    with connect(server) as line:
        line.sendall(b"GET / HTTP/1.0\r\n")
        line.settimeout(0.05)
        while time.monotonic() - began < PATIENCE:
            try:
                line.sendall(b"X-Slow: 1\r\n")  # less than the deadline after the one before
                if line.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break  # reset: it is closed
    assert 0.4 < time.monotonic() - began < PATIENCE
    assert status(server) == 200


def test_who_says_nothing_is_sent_away(server: WatchServer) -> None:
    with connect(server) as line:
        assert line.recv(1) == b""


def test_the_deadline_does_not_end_who_listens(server: WatchServer) -> None:
    with listening(server) as line:
        with connect(server) as other:
            assert other.recv(1) == b""  # its deadline is over, and with it that of the one before
        server.follower.look()
        with server.follower._changed:
            server.follower._shown = server.follower._show(server.follower._shown.page, 7)
            server.follower._changed.notify_all()
        heard = b""
        while b": still here" not in heard:  # after whatever was shown meanwhile
            heard += (more := line.recv(1 << 16))
            assert more, heard


def test_more_than_have_a_place_are_told_so_and_leave_room_again(server: WatchServer) -> None:
    with ExitStack() as stack:
        lines = [stack.enter_context(listening(server)) for _ in range(3)]
        assert status(server) == 503
        lines[0].close()
        server.follower.stop()  # the others are told of nothing; whoever left is noticed
        server.ending.set()
        for line in lines[1:]:
            while line.recv(1 << 16):
                pass
    server.ending.clear()
    until = time.monotonic() + 30  # for their threads to leave their places
    while (found := [status(server) for _ in range(6)]) != [200] * 6 and time.monotonic() < until:
        pass
    assert found == [200] * 6


def test_a_thread_that_cannot_be_started_gives_its_place_back(
    server: WatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(socketserver.ThreadingMixIn, "process_request", fail)
        for _ in range(5):
            with connect(server) as line:
                assert line.recv(1) == b""
    assert status(server) == 200


def test_without_descriptors_it_waits_before_it_asks_again(
    server: WatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is in line keeps the socket readable, so that a server which does not wait takes a whole core."""
    asked, waited, enough = [], [], threading.Event()
    real, wait = socketserver.TCPServer.get_request, server.ending.wait

    def fail(self: WatchServer) -> object:
        asked.append(1)
        if len(asked) > 3:
            enough.set()
            return real(self)
        raise OSError(errno.EMFILE, "Too many open files")

    def waiting(seconds: float) -> bool:
        waited.append(seconds)
        return wait(0.01)

    monkeypatch.setattr(socketserver.TCPServer, "get_request", fail)
    monkeypatch.setattr(server.ending, "wait", waiting)
    assert status(server) == 200
    assert enough.is_set()
    assert waited == [0.5] * 3
