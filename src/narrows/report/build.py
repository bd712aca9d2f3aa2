"""From a path to a page: what is there is shown, what is missing is said, what is damaged is named."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from narrows.analysis.subject import open_subject
from narrows.errors import NarrowsError, StoreError, UnknownNameError, nearest
from narrows.report.blocks import Notice, Page, Section
from narrows.report.facts import Facts
from narrows.report.page_measurements import PageExamples, measured_on
from narrows.report.render import render
from narrows.report.sections import SECTIONS
from narrows.report.sections.comparing import COMPARING
from narrows.report.texts import Texts
from narrows.store import outside

Progress = Callable[[str, int, int], None]
MakeSection = Callable[[Facts, Texts], Section | None]


def page_of(
    facts: Facts,
    language: str = "en",
    progress: Progress | None = None,
    spare: type[Exception] = NarrowsError,
) -> Page:
    """The page of a store, a run or a comparison.

    Args:
        progress: called with (section, sections done, sections in all).
        spare: errors that leave a notice in the place of their section.

    Raises:
        ConfigError: the language is not there, or the extra `report` is not installed.
    """
    from narrows import __version__

    say = Texts(language)
    sections, failed = [], []
    makers: Sequence[MakeSection] = COMPARING if facts.subject.kind == "comparison" else SECTIONS
    for place, make in enumerate(makers):
        if progress is not None:
            progress(make.__name__, place, len(makers))
        try:
            section = make(facts, say)
        except spare as error:  # damage in one part leaves the others
            section = not_made(make.__name__, error, say)
            failed.append(section.key)
        if section is not None:
            sections.append(section)
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    notes = (say("page.made", version=__version__, time=made), *([facts.command] if facts.command else []))
    title = _title(facts, say)
    subtitle = say(f"page.subtitle.{facts.subject.kind}", path=facts.path)
    return Page(title, subtitle, language, tuple(sections), notes, tuple(failed))


def write_report(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] = "report.html",
    *,
    language: str = "en",
    verify: bool = True,
    command: str = "",
    tasks: Sequence[str] = (),
    examples: PageExamples | None = None,
    progress: Progress | None = None,
) -> Path:
    """Writes the page of the store, run, result or comparison at `path`, and says where.

    Args:
        language: "en" or "ja".
        verify: whether to read every byte of the store and put every task together, and say so on the page.
        command: what made it, for the page's foot.
        tasks: those whose pictures are wanted, finer than of all; () for all.
        examples: to measure what the tasks lean on; None to leave that out. They are remembered beside the page.
        progress: called with (section or task measured, steps done, steps in all).

    Raises:
        StoreMissingError: there is nothing of narrows at `path`.
        UnknownNameError: there is no such task; suggests the nearest name.
        NarrowsError: it cannot be measured on the examples; see `narrows.report.page_measurements`.
        ConfigError: the language is not there, or the extra `report` is not installed.
        StoreError: the page cannot be written.
    """
    options = ("--out", os.fspath(out), *(() if language == "en" else ("--lang", language)))
    facts = Facts(open_subject(path), verify=verify, command=command, options=options, drawn=tuple(tasks))
    for task in tasks:
        if task not in facts.names:
            raise UnknownNameError(f"There is no task {task!r} in {path}: {nearest(task, facts.names)}")
    if examples is not None:
        facts.measured = measured_on(examples, facts.subject, Path(out), progress)
    return save(render(page_of(facts, language, progress)), Path(out))


def save(html: str, out: Path) -> Path:
    """Writes the page whole or not at all."""
    try:
        outside.replace_text(out, html)
    except OSError as error:
        raise StoreError(f"The report cannot be written to {out} ({error.strerror or error}).") from error
    return out


def _title(facts: Facts, say: Texts) -> str:
    name = facts.path.resolve().name
    if facts.subject.kind != "comparison":
        return say("page.title", name=name)
    comparison = facts.subject.comparison
    return say("page.compared", name=(comparison.grid.get("stream") if comparison else None) or name)


def not_made(key: str, error: Exception, say: Texts) -> Section:
    """In the place of a section: what kept it from being made."""
    what = str(error) if isinstance(error, NarrowsError) else f"{type(error).__name__}: {error}"
    return Section(key, say(f"{key}.title"), say(f"{key}.lead"), [Notice(say("page.failed", error=what), "bad")])
