"""What people are shown on a terminal. Every command prints through a `Screen`.

Names of tasks, files, classes, layers and all else that a store or a file says may hold anything. A `str` that is
printed, or stands in a table, is text and nothing else: no markup, no emoji, one line, and what is not seen is shown by
its number. Only a `Text`, which is made of our own words, has lines and colours. Knows no command.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.text import Text

from narrows.shown import shown


class Screen(Console):
    """A console to which no text is more than text.

    >>> screen = Screen(width=40, color_system=None)
    >>> screen.print("[bold]:fire:[/]\\x1b[2J")
    [bold]:fire:[/]\\x1b[2J
    """

    def __init__(self, **how: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **how)

    def render_str(self, text: str, *args: Any, **how: Any) -> Text:
        """Rich makes a Text of every str by this, in tables too."""
        return super().render_str(shown(text), *args, **how)


def say(console: Console, text: str, lead: str = "", style: str = "") -> None:
    """A plain line, wrapped by the terminal; `lead` comes before it in that style."""
    console.print(Text.assemble((shown(lead), style), " " if lead and text else "", shown(text)), soft_wrap=True)


def say_all(console: Console, text: str, lead: str = "", style: str = "") -> None:
    """`say` of a text of several lines, all but the first set in: none of them can be taken for a line of ours."""
    first, *rest = text.split("\n")
    say(console, first, lead, style)
    for line in rest:
        say(console, f"    {line}")


@contextmanager
def shown_warnings() -> Iterator[None]:
    """Within, the text of a Python warning is shown as any other."""
    former = warnings.formatwarning

    def told(*args: Any, **how: Any) -> str:
        return "\n".join(map(shown, former(*args, **how).split("\n")))

    warnings.formatwarning = told
    try:
        yield
    finally:
        warnings.formatwarning = former
