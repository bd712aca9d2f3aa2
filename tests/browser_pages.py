"""Pages of runs and stores for the browser, made small and once, and what is asked of every page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Request

from analysis_samples import add, empty_store, random_store, result, task_row
from narrows import IBM
from narrows.benchmarks.options import RunOptions
from narrows.benchmarks.results import Result
from narrows.benchmarks.runner import run
from narrows.report import write_report

HOSTILE = (
    "</script><script>alert('x')</script>",
    "<img src=x onerror=alert(1)>",
    "\"quotes\" & 'apostrophes' `ticks` ${x} {{ y }}",
    "🙂 家族 👪 日本語のタスク名",
    "w" * 200,
    "datum['x'] \\ .:[](){}",
    "../../etc/passwd",
    "=1+1",
)
MANY = 50
"""Tasks of a long run, whose pages fold and choose."""
INSIDE = ("file:", "data:", "blob:", "about:")
"""What a request may be for without leaving the page."""


def listen(page: Page, address: str, complaints: list[str]) -> None:
    """Writes down what a page must not do."""
    origin = "/".join(address.split("/")[:3]) + "/" if address.startswith("http") else "file:"

    def asked(request: Request) -> None:
        if not request.url.startswith((*INSIDE, origin)):
            complaints.append(f"a request leaves the page: {request.url}")

    def said(message: Any) -> None:
        if message.type in ("error", "warning", "assert"):
            complaints.append(f"console {message.type}: {message.text}")

    page.on("request", asked)
    page.on("console", said)
    page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))


def small_run(folder: Path) -> Path:
    """A real run of three tasks with its dense networks beside it."""
    run(RunOptions("split-digits", IBM(density=0.1), epochs=2, tasks=3, reference=True), folder)
    return folder


def samples(folder: Path) -> dict[str, Path]:
    """What a report may be asked of besides a whole run."""
    empty_store(folder / "none")
    random_store(folder / "one", 1)
    shapes = {"one.weight": (60, 50), "two.weight": (50, 60)}
    random_store(folder / "many/store", MANY, claim=3, reuse=30, shapes=shapes)
    named([f"task {place}" for place in range(MANY)]).save(folder / "many/result.json")
    result(3, complete=False).save(folder / "result.json")
    return {"none": folder / "none", "one": folder / "one", "many": folder / "many", "result": folder / "result.json"}


def hostile_run(folder: Path) -> Path:
    """A result and a store whose tasks have hostile names."""
    store = empty_store(folder / "store")
    for place, name in enumerate(HOSTILE):
        add(store, name, {"one.weight": [place]}, {"one.weight": [place]})
    named(HOSTILE).save(folder / "result.json")
    return folder


def named(names: Sequence[str]) -> Result:
    """A result of tasks of these names."""
    return replace(result(len(names)), tasks=[task_row(name, accuracy=0.9, accuracy_now=0.9) for name in names])


def page_of(path: Path, out: Path, language: str = "en") -> Path:
    """Its page."""
    return write_report(path, out, language=language, verify=False)


def draw_all(page: Page) -> list[dict[str, Any]]:
    """Draws every chart that can be seen, and says of each what came of it."""
    page.evaluate("narrowsPage.drawAll().then(() => null)")
    drawn: list[dict[str, Any]] = page.evaluate(
        """[...document.querySelectorAll('.plot')].filter((plot) => plot.getClientRects().length).map((plot) => ({
            key: plot.dataset.chart, drawn: plot.dataset.drawn, text: plot.textContent.slice(0, 200),
            marks: plot.querySelectorAll('svg .role-mark path, svg .role-mark line, svg .role-mark rect, ' +
                'svg .role-mark text, svg .role-mark image, svg .role-mark g path').length,
            broken: /NaN|Infinity|undefined/.test(plot.innerHTML),
        }))"""
    )
    return drawn


def unsound(charts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that were not drawn, or have no mark, or numbers that are none."""
    return [chart for chart in charts if chart["drawn"] != "yes" or not chart["marks"] or chart["broken"]]


def pick_everything(page: Page) -> int:
    """Picks the options of every choice that can be seen, draws their charts, and says how many were picked.

    Of a long choice, some are picked from its beginning to its end.
    """
    picked = 0
    for choice in page.locator(".choice > select").all():
        count = choice.locator("option").count()
        for option in range(0, count, -(-count // 8)):
            if not choice.is_visible():
                break
            choice.select_option(str(option))
            assert not unsound(draw_all(page))
            picked += 1
    return picked


def overflow(page: Page) -> list[str]:
    """What sticks out of the page on the right, where the page is wider than its window."""
    found: list[str] = page.evaluate(
        """document.documentElement.scrollWidth <= innerWidth ? [] :
            [document.documentElement.scrollWidth + ' px', ...[...document.querySelectorAll('body *')]
            .filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll > *'))
            .slice(0, 5).map((e) => e.outerHTML.slice(0, 160))]"""
    )
    return found


def violations(page: Page) -> list[str]:
    """What axe-core finds, WCAG 2.1 A and AA and its best practices."""
    page.evaluate((resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations)")
    return [f"{rule['id']}: {rule['help']}: {node['html'][:160]}" for rule in found for node in rule["nodes"][:3]]
