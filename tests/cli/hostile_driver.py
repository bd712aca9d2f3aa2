"""Runs commands in the current directory, each in the same fresh process, and tells how it went as JSON.

Called with a JSON list of command lines. Printed at the end: exit codes, names that were looked for and not found, and
whether the current directory was ever on the search path.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import json
import os
import sys
import tempfile

asked: list[str] = []


class Spy(importlib.abc.MetaPathFinder):
    """Stands last when a name is looked for by all the others."""

    def find_spec(self, name, path, _=None):
        if path is None:
            asked.append(name)


def main() -> None:
    """See above."""
    sys.meta_path.append(Spy())
    from narrows.cli import main as narrows
    from narrows.report.serve import WatchServer

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    WatchServer.serve_forever = interrupted
    codes, open_path, said = [], False, []
    for words in json.loads(sys.argv[1]):
        sys.argv = ["narrows", *words]
        with tempfile.TemporaryFile("w+") as out, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                narrows()
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
            codes.append(code)
            out.seek(0)
            said.append(out.read())
        open_path |= bool({"", ".", os.getcwd()} & set(sys.path))
    print(json.dumps({"codes": codes, "said": said, "asked": sorted(set(asked)), "open": open_path}))


if __name__ == "__main__":  # doctests are looked for in every file
    main()
