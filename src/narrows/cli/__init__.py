"""The command line: parse, call, print. Every rule lives in the layers below."""

from narrows.cli.app import main

__all__ = ["main"]
