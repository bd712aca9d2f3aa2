"""Names from a store or a file are text on the terminal, whatever they hold."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

import narrows.cli
from narrows.cli.screen import Screen, say, say_all
from narrows.cli.tables import plain_table

NAMES = {
    "[/nope]": "[/nope]",
    "[bold]x[/]": "[bold]x[/]",
    "[link=x]y[/link]": "[link=x]y[/link]",
    ":fire:": ":fire:",
    "a\x1b]0;owned\x07b": r"a\x1b]0;owned\x07b",
    "x\nsound: all is well": r"x\nsound: all is well",
    "a\u202eb": r"a\u202eb",
}
"""And how they are shown."""


def printed(act) -> str:
    file = io.StringIO()
    act(Screen(file=file, width=60))
    return file.getvalue()


@pytest.mark.parametrize(("name", "line"), list(NAMES.items()))
def test_a_name_is_text_wherever_it_stands(name, line):
    def in_table(screen):
        table = plain_table()
        table.title = name
        table.add_column(name)
        table.add_row(name)
        screen.print(table)

    assert printed(lambda screen: screen.print(name)) == f"{line}\n"
    assert printed(lambda screen: say(screen, name)) == f"{line}\n"
    assert printed(lambda screen: say(screen, name, name, "bold red")) == f"{line} {line}\n"
    assert printed(in_table).count(line) == 3


def test_lines_of_an_error_cannot_be_taken_for_ours():
    assert printed(lambda screen: say_all(screen, "wrong\nsound: all\x1b[1A", "error:")) == (
        "error: wrong\n    sound: all\\x1b[1A\n"
    )


def test_every_command_prints_through_it():
    for path in Path(narrows.cli.__file__).parent.glob("*.py"):
        text = path.read_text()
        assert path.name == "screen.py" or not re.search(r"\bConsole\b|typer\.echo|from_markup", text), path
