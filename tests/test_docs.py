"""Every relative link of the README and of docs/ leads to a file, and every anchor to a heading of it."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^ *```.*?^ *```|^(?: {4}|\t).*?$", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """What GitHub names the headings of a page."""
    headings = re.findall(r"^#+ +(.+?) *$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M), re.M)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def broken(page: Path) -> list[str]:
    """The relative links of a page that lead nowhere."""
    lost = []
    for link in LINK.findall(BLOCK.sub("", page.read_text())):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            lost.append(link)
    return lost


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert not broken(page)


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `two`, three\n[a](#one-two-three) [b](#four) [c](gone.md) [d](https://example.org/x)\n")
    assert broken(page) == ["#four", "gone.md"]


def unquoted(page: Path) -> list[str]:
    """Commands with brackets outside quotes, which zsh takes for a pattern."""
    text = page.read_text()
    commands = [*re.findall(r"`((?:narrows|pip) [^`]*|--[a-z-]+ [^`]*)`", text)]
    commands += re.findall(r"^ {4}(?:\$ )?((?:narrows|pip) .*)$", text, re.M)
    bare = [re.sub(r"\"[^\"]*\"|'[^']*'|  +#.*", "", command) for command in commands]
    return [command for command in bare if re.search(r"=\S*\[|\w\[", command)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_brackets_in_commands_are_quoted(page: Path) -> None:
    assert not unquoted(page)


def test_a_bracket_that_is_not_quoted_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '`pip install narrows[data]` `pip install "narrows[data]"`\n\n    narrows init shop --arg shape=[1]\n'
    )
    assert unquoted(page) == ["pip install narrows[data]", "narrows init shop --arg shape=[1]"]


def test_what_a_weight_passes_through_is_where_the_page_says() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    section = page.partition("### A weight's life")[2].partition("\n## ")[0]
    places = re.findall(r"`(narrows\.[a-zA-Z_.]+)`", section)
    assert len(places) >= 6
    for place in places:
        module, _, name = place.rpartition(".")
        assert hasattr(importlib.import_module(module), name), place
