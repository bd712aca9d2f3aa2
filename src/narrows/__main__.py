"""`python -m narrows` is the command line."""

from narrows.cli import main

main()
