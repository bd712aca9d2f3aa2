"""Python programs as a process of their own runs them, without paying for torch again: forked from the tests' process.

A child has its own directory, environment, standard streams, signals, warnings as errors and the chance of a fresh
interpreter; its modules are those of the tests. What is about starting an interpreter needs a real one.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO

import altair  # noqa: F401  # what programs import is imported here, once
import sklearn.datasets  # noqa: F401
import torch
import torch._dynamo  # by the first step of any optimizer

from narrows.cli import main

HUNG = 300  # seconds after which a child is taken to hang
FRESH = 67280421310721
"""The seed that torch starts with."""


class Forked:
    """A child that does `work` in the folder `where`. `environment`: what it has besides that of the tests."""

    def __init__(self, work: Callable[[], object], where: Path, argv: list[str], **environment: str) -> None:
        self._out, self._err = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115
        self.returncode: int | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch has threads; the child needs none of them
            self.pid = os.fork()
        if not self.pid:
            code = 1
            try:
                self._settle(where, argv, environment)
                code = _ended(work)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)

    def _settle(self, where: Path, argv: list[str], environment: dict[str, str]) -> None:
        streams = (os.open(os.devnull, os.O_RDONLY), self._out.fileno(), self._err.fileno())
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        sys.stdin, sys.stdout, sys.stderr = (open(number, mode) for number, mode in enumerate("rww"))  # noqa: SIM115
        os.chdir(where)
        os.environ |= environment
        tempfile.tempdir = None  # TMPDIR may be another
        sys.argv = argv
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        warnings.resetwarnings()
        warnings.simplefilter("error")
        torch.set_num_threads(1)  # threads of OpenMP do not come along
        torch.manual_seed(FRESH)

    @property
    def out(self) -> str:
        """What it has written to standard output so far."""
        return _text(self._out)

    @property
    def err(self) -> str:
        """What it has written to standard error so far."""
        return _text(self._err)

    def poll(self) -> int | None:
        """How it ended, as `subprocess` has it, or None where it has not."""
        if self.returncode is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            if found:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait_for(self, happened: Callable[[], object], seconds: float = HUNG) -> None:
        """Until that has happened, or the child has ended. TimeoutError, and the child's end, where it does neither."""
        until = time.monotonic() + seconds
        while self.poll() is None and not happened():
            if time.monotonic() > until:
                self.kill()
                raise TimeoutError(f"{sys.argv} hung: {self.out}\n{self.err}")
            time.sleep(0.002)

    def wait(self, seconds: float = HUNG) -> int:
        """How it ended, as soon as it has."""
        self.wait_for(lambda: False, seconds)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """And wait for its end."""
        self.send_signal(signal.SIGKILL)
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def done(self) -> subprocess.CompletedProcess[str]:
        """All that it said, once it has ended."""
        code = self.wait()
        said = subprocess.CompletedProcess([], code, self.out, self.err)
        self.close()
        return said

    def close(self) -> None:
        """Ends it where it has not ended, and lets go of what it said."""
        self.kill()
        self._out.close()
        self._err.close()


def _text(file: IO[bytes]) -> str:
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()


def _ended(work: Callable[[], object]) -> int:
    """The exit code of an interpreter whose program is `work`."""
    code, interrupted = 0, False
    try:
        work()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException as error:
        traceback.print_exc()
        code, interrupted = 1, isinstance(error, KeyboardInterrupt)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return code


def narrows(where: Path, *words: str, **environment: str) -> Forked:
    """Begins a command of the command line."""
    return Forked(main, where, ["narrows", *words], **environment)


def narrows_in_turn(where: Path, commands: list[list[str]], **environment: str) -> Forked:
    """Begins commands of the command line, each after the one before has ended well."""

    def work() -> None:
        for words in commands:
            sys.argv = ["narrows", *words]
            try:
                main()
            except SystemExit as end:
                if end.code:
                    raise

    return Forked(work, where, ["narrows"], **environment)


def script(where: Path, file: Path, *words: str, **environment: str) -> Forked:
    """Begins a file of Python."""

    def work() -> None:
        sys.path.insert(0, str(file.parent))
        runpy.run_path(str(file), run_name="__main__")

    return Forked(work, where, [str(file), *words], **environment)


def code(where: Path, text: str, *words: str, **environment: str) -> Forked:
    """Begins a text of Python, which is kept as `program.py` in `where`."""
    file = where / "program.py"
    file.write_text(text)
    return script(where, file, *words, **environment)
