"""The page that follows a folder, for a browser: two addresses, GET only, nothing of the folder itself.

`/` is the page, `/events` tells it of changes (server-sent events). Whoever asks must call this server by a name of
its own: a page of somebody else's whose name was made to point here (DNS rebinding) gets nothing. Who asks slowly,
reads slowly or comes in numbers is sent away, and takes no more than his place. Knows no sections.
"""

from __future__ import annotations

import io
import ipaddress
import json
import socket
import socketserver
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from narrows.errors import ConfigError
from narrows.report import PORT
from narrows.report.connection_slots import PlacesServer, Until
from narrows.report.follow import Follower, Shown
from narrows.report.render import render

_TRIES: Final = 20
"""Ports looked at, from the first, where none was asked for."""
_SIGN_OF_LIFE: Final = 15.0
"""Seconds after which something is sent though nothing has changed, so that a lost connection is noticed."""
_ASKING: Final = 10.0
"""Seconds that a whole request may take to come."""
_TAKING: Final = 60.0
"""Seconds that a browser may take to read the page, or a change of it."""
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class WatchServer(PlacesServer):
    """Serves what a `Follower` shows. `serve_forever` serves, `shutdown` from another thread ends it.

    Args:
        host: a name or an address of this machine.
        port: to listen at; None: 8765, or the next that is free; 0: any.

    Raises:
        ConfigError: the port is taken, or the host is none of this machine's.
    """

    def __init__(self, follower: Follower, host: str = "127.0.0.1", port: int | None = None) -> None:
        self.follower, self._host = follower, host
        try:
            self.address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        except OSError as error:
            raise ConfigError(f"--host {host} is no name or address ({error.strerror or error}).") from error
        self._bind_to(range(PORT, PORT + _TRIES) if port is None else (port,))

    def _bind_to(self, ports: range | tuple[int, ...]) -> None:
        for port in ports:
            try:
                super().__init__((self._host, port), _Handler)
                return
            except OSError as error:
                last = error
        said = f"port {ports[0]}" if len(ports) == 1 else f"ports {ports[0]} to {ports[-1]}"
        raise ConfigError(
            f"Nothing can be served at {self._host}, {said} ({last.strerror or last}). Give another with --port, or "
            "--port 0 for any that is free."
        ) from last

    def server_bind(self) -> None:
        """Without looking up a name, which may take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self._host, self.server_address[1]

    @property
    def address(self) -> str:
        """Where the page is, as a browser takes it."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.server_port}/"

    @property
    def private(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(str(self.server_address[0])).is_loopback

    def is_own(self, host: str | None) -> bool:
        """Whether that Host header names this server. The port may be another, as through a tunnel."""
        try:
            name = urlsplit(f"//{host or ''}").hostname or ""
        except ValueError:
            return False
        if name == self._host.lower():
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name == ("localhost" if self.private else socket.gethostname().lower())
        return address.is_loopback or not self.private  # an address cannot be made to point elsewhere, a name can

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: WatchServer
    server_version, sys_version = "narrows", ""

    def setup(self) -> None:
        """Reads from the connection until the deadline of the whole request."""
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(Until(self.connection, _ASKING))

    def parse_request(self) -> bool:
        """Refuses whatever is not a GET to this very server."""
        if not super().parse_request():
            return False
        origin = self.headers.get("Origin")
        if self.command != "GET":
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)
            return False
        if not self.server.is_own(self.headers.get("Host")) or (
            origin is not None and not self.server.is_own(origin.partition("://")[2])
        ):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "This is not the server of that name")
            return False
        return True

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if asked.path == "/":
            self._page()
        elif asked.path == "/events":
            self._events(_had(parse_qs(asked.query).get("have", [""])[0]))
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _page(self) -> None:
        body = render(self.server.follower.shown.page, live="events").encode()
        self._begin("text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _events(self, had: Mapping[str, str]) -> None:
        """Sends what differs from the sections that the page had, at once and whenever it changes."""
        self._begin("text/event-stream; charset=utf-8")
        self.end_headers()
        shown = self.server.follower.shown
        while not self.server.ending.is_set():
            if shown.versions != had:
                self.wfile.write(f"data: {_message(shown, had)}\n\n".encode())
            else:
                self.wfile.write(b": still here\n\n")
            self.wfile.flush()
            had = shown.versions
            shown = self.server.follower.after(shown.number, _SIGN_OF_LIFE)

    def _begin(self, kind: str) -> None:
        self.connection.settimeout(_TAKING)  # for the whole of what is sent at once
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        for name, value in _HEADERS.items():
            self.send_header(name, value)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are nobody's news."""


def _had(said: str) -> dict[str, str]:
    """Version by section, of "glance:1a2b,accuracy:3c4d"."""
    return dict(pair.split(":", 1) for pair in said.split(",") if ":" in pair)


def _message(shown: Shown, had: Mapping[str, str]) -> str:
    changed = {key: shown.html[key] for key, version in shown.versions.items() if had.get(key) != version}
    page = shown.page
    return json.dumps(
        {"title": page.title, "subtitle": page.subtitle, "order": list(shown.versions), "changed": changed}
    )
