"""A process that was started by another stops, as by Ctrl-C, when that one is gone.

Without it a killed parent would leave its runs behind, holding the locks of their stores.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time

PARENT = "NARROWS_PARENT"
"""Environment variable with the process id of the one that started this process and watches it."""

_EVERY = 0.5


def stop_without_parent() -> None:
    """Starts to look after the parent, where `PARENT` names it; otherwise does nothing."""
    parent = os.environ.pop(PARENT, "")  # not for processes that this one starts
    if parent.isdigit():
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as below a script's `&`, and inherited from there
            signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=_watch, args=(int(parent),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY)
    _thread.interrupt_main()
