"""A server of the page that follows a run, at work in a thread as long as a test needs it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from narrows.report.follow import Follower
from narrows.report.serve import WatchServer


@contextmanager
def serving(follower: Follower, *, following: bool = False) -> Iterator[WatchServer]:
    """Serves what the follower shows at a free port; where it is `following`, it looks by itself too."""
    with WatchServer(follower, port=0) as server:
        work = [partial(server.serve_forever, 0.02), *([follower.run] if following else [])]
        threads = [threading.Thread(target=one) for one in work]
        for thread in threads:
            thread.start()
        try:
            yield server
        finally:
            server.ending.set()
            follower.stop()
            server.shutdown()
            for thread in threads:
                thread.join()
