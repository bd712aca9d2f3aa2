"""`narrows watch`: the report of what goes on, while it goes on."""

from __future__ import annotations

import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from narrows.cli.common import INTERRUPTED
from narrows.cli.report import Language
from narrows.cli.screen import Screen, say
from narrows.errors import ConfigError
from narrows.report import PORT

Watched = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of a store, a run or a comparison; it need not be there yet.")
]


def watch_command(
    path: Watched,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help=f"Default: {PORT}, or the next that is free; 0: any.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; any but the default lets others read the page.")] = (
        "127.0.0.1"
    ),
    show: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    language: Language = "en",
) -> None:
    """Serves the page of `narrows report` while a run, a grid or `narrows learn` goes on, and keeps it up to date.

    Ctrl-C ends it; what is watched goes on.
    """
    from narrows.report.follow import Follower
    from narrows.report.render import libraries
    from narrows.report.serve import WatchServer

    if path.is_file():
        raise ConfigError(f"{path} is a file, which does not go on. `narrows report` makes its page; watch its folder.")
    libraries()  # said before anything is served, where they are missing
    follower = Follower(path, language)
    follower.look()
    errors = Screen(stderr=True)
    with WatchServer(follower, host, port) as server:
        threading.Thread(target=follower.run, name="follow", daemon=True).start()
        say(Screen(), f"{path}: {server.address}")
        say(errors, "Ctrl-C ends this page; what is watched goes on.")
        if not server.private:
            say(errors, f"Whoever reaches {host} can read the page; there is no password.")
        if show and not webbrowser.open(server.address):
            say(errors, "No browser could be started here; open the address in one.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        finally:
            server.ending.set()
            follower.stop()
