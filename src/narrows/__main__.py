"""`python -m narrows` is the command line."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the current directory, where a stranger's typer.py or torch.py may lie

from narrows.cli import main

main()
