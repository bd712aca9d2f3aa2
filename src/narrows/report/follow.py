"""The page of a folder in which something goes on, made anew when its files change.

Knows files and pages, no server. What is under way is cheap to find out and looked at often; the rest of the page is
made anew only where a task was committed or measured. The files are being written, and may be damaged or anybody's:
nothing that is wrong with them, nor with this process (no descriptors left, say), ends the following. It is said on the
page, which else stands as it was.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from narrows.analysis.subject import open_subject
from narrows.analysis.underway import under_way
from narrows.errors import NarrowsError, StoreMissingError
from narrows.report.blocks import Page, Section
from narrows.report.build import not_made, page_of
from narrows.report.facts import Facts
from narrows.report.render import render_section, version_of
from narrows.report.sections.live import failed, live, waiting
from narrows.report.texts import Texts

_COMMITTED: Final = (
    "result.json",
    "store.json",
    "store/store.json",
    "reference/result.json",
    "grid.json",
    "compare.json",
)
_UNDER_WAY: Final = (
    *("live.jsonl", "reference/live.jsonl", "progress/*.live.jsonl", "store/progress/*.live.jsonl"),
    *("runs/*/live.jsonl", "runs/*/result.json", "runs/*.log"),
    *("tuning/*/live.jsonl", "tuning/*/result.json", "tuning/*.log"),
)
Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Shown:
    """A page as it stands at a moment.

    Attributes:
        number: counts the changes.
        page: the whole of it.
        versions: of each section, in order.
        html: of each section.
    """

    number: int
    page: Page
    versions: Mapping[str, str]
    html: Mapping[str, str]


class Follower:
    """Follows what goes on in a folder, which need not be there yet.

    Args:
        path: of a store, a run or a comparison.
        language: of the page.
        pause: least seconds from one page to the next; a page that takes long to make is made less often.
        refresh: seconds after which what is under way is looked at though no file has changed.

    Raises:
        ConfigError: there is no such language, or the extra `report` is not installed.
    """

    def __init__(self, path: Path, language: str = "en", *, pause: float = 2.0, refresh: float = 30.0) -> None:
        self._path, self._language, self._pause, self._refresh = path, language, pause, refresh
        self._say = Texts(language)
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._stamps: tuple[Stamp, Stamp] | None = None
        self._rest: Page | None = None
        self._live: Section | None = None
        self._doubtful = False  # whether something could not be read, which may have been for a moment only
        self._rendered: dict[str, str] = {}
        self._shown = self._show(self._waiting(""), 0)

    @property
    def shown(self) -> Shown:
        """The page as it stands."""
        return self._shown

    def after(self, number: int, seconds: float) -> Shown:
        """The page once it is another than that of `number`; as it stands if it is not within these seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._shown.number != number or self._stop.is_set(), seconds)
            return self._shown

    def run(self) -> None:
        """Follows until `stop` is called, from another thread."""
        looked = 0.0
        while not self._stop.is_set():
            began = time.monotonic()
            with suppress(Exception):  # there was not even the memory to say so: it is tried again
                self.look(again=began - looked > self._refresh)
            looked = began if began - looked > self._refresh else looked
            took = time.monotonic() - began
            self._stop.wait(max(self._pause if took > 0.1 else 0.5, 3 * took))

    def stop(self) -> None:
        """Ends `run`, and `after`."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()

    def look(self, again: bool = False) -> None:
        """Makes the page anew where files have changed; `again`: what is under way in any case.

        Whatever keeps it from that is said on the page.
        """
        try:
            page = self._anew(again)
        except Exception as error:
            self._stamps = None  # so that it is tried again
            rest = self._waiting("") if self._rest is None else self._rest
            others = tuple(section for section in rest.sections if section.key != "live")
            page = replace(rest, sections=(failed(error, self._live, self._say), *others))
        if page is not None:
            shown = self._show(page, self._shown.number + 1)
            if list(shown.versions.items()) != list(self._shown.versions.items()):
                with self._changed:
                    self._shown = shown
                    self._changed.notify_all()

    def _anew(self, again: bool) -> Page | None:
        """The page where something has changed."""
        stamps = self._stamp(_COMMITTED), self._stamp(_UNDER_WAY)
        if stamps == self._stamps and not again:
            return None
        committed = self._stamps is None or stamps[0] != self._stamps[0]
        page = self._make(committed or self._doubtful)
        self._stamps = stamps
        return page

    def _make(self, anew: bool) -> Page:
        try:
            subject = open_subject(self._path)
            if anew or self._rest is None:
                self._rest = page_of(Facts(subject, verify=False), self._language, spare=Exception)
            found = under_way(subject.kind, self._path)
            self._live = live(found, self._say)
            self._doubtful = bool(self._rest.failed) or any(not one.lines for one in found.unread)
            return replace(self._rest, sections=(self._live, *self._rest.sections))
        except NarrowsError as error:
            self._rest = self._live = None
            return self._waiting("" if isinstance(error, StoreMissingError) else str(error))

    def _show(self, page: Page, number: int) -> Shown:
        """The page with its HTML; what cannot be made into HTML is a notice in the place of its section."""
        sections, versions, html = [], {}, {}
        for section in page.sections:
            version = version_of(section)
            try:
                text = self._rendered.get(version) or render_section(section, self._language)
            except Exception as error:
                section = not_made(section.key, error, self._say)
                version, text = version_of(section), render_section(section, self._language)
            sections.append(section)
            versions[section.key], html[section.key] = version, text
        self._rendered = {versions[key]: text for key, text in html.items()}
        return Shown(number, replace(page, sections=tuple(sections)), versions, html)

    def _waiting(self, why: str) -> Page:
        section = waiting(self._path, why, self._say)
        return Page(
            self._say("page.title", name=self._path.resolve().name), str(self._path), self._language, (section,)
        )

    def _stamp(self, patterns: tuple[str, ...]) -> Stamp:
        return tuple(self._files(patterns))

    def _files(self, patterns: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
        for pattern in patterns:
            for file in sorted(self._path.glob(pattern)):
                try:
                    found = file.stat()
                except OSError:
                    continue  # gone since
                yield str(file), found.st_mtime_ns, found.st_size
