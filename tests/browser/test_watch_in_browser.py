"""`narrows watch` in a browser: the page changes by itself, and leaves the reader where they were."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

import forked
from analysis_samples import random_store, result
from browser_pages import draw_all, overflow, unsound
from narrows.report.follow import Follower
from narrows.report.serve import WatchServer
from narrows.trackers import LiveFile
from narrows.training import Point, Schedule
from page_server import serving

PATIENCE = 60_000
"""Milliseconds that a page may take to change on a machine that does much else."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[WatchServer]:
    """A follower of a folder that is not there yet, and its server."""
    with serving(Follower(tmp_path / "run", pause=0.05), following=True) as server:
        yield server


def learn(run: Path, tasks: int, points: int) -> None:
    """So many tasks are learned, and so many points of the next were told of."""
    if not (run / "store").exists():
        random_store(run / "store", 4)
    result(tasks, complete=False).save(run / "result.json")
    (run / "live.jsonl").unlink(missing_ok=True)
    live = LiveFile(run / "live.jsonl")
    live.begin(f"task {tasks}", {"method": {}, "schedule": Schedule(total_steps=100, epochs=10), "resumed": 0})
    for step in range(1, points + 1):
        live.log(Point(step, 0, 1 / step, 0.01, 1 / step, 0.0))


def test_it_changes_without_a_reload_and_leaves_the_reader_where_they_were(served, visit, screenshot, tmp_path):
    page = visit(served.address)
    expect(page.locator("#live")).to_contain_text("waits for it")
    expect(page.locator("#connection")).to_contain_text("Live")
    page.evaluate("window.sameDocument = true")

    learn(tmp_path / "run", 2, 3)
    expect(page.locator("#live dd").first).to_contain_text("task 2", timeout=PATIENCE)
    expect(page.locator("nav a").first).to_have_attribute("href", "#live")
    assert not unsound(draw_all(page))
    opened = page.locator("#chart-live-loss details")
    opened.locator("summary").click()
    expect(opened.locator("tbody tr")).to_have_count(3)
    other = page.locator("#accuracy details").first
    other.locator("summary").click()
    other.locator("summary").focus()
    page.locator("#accuracy").scroll_into_view_if_needed()
    before = page.locator("#accuracy h2").bounding_box()["y"]

    learn(tmp_path / "run", 2, 6)
    expect(opened.locator("tbody tr")).to_have_count(6, timeout=PATIENCE)
    assert opened.evaluate("(details) => details.open")
    assert other.evaluate("(details) => details.open")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert abs(page.locator("#accuracy h2").bounding_box()["y"] - before) < 60

    learn(tmp_path / "run", 3, 2)
    expect(page.locator("#live dd").first).to_contain_text("task 3", timeout=PATIENCE)
    expect(page.locator("#glance dd").first).to_have_text("4", timeout=PATIENCE)
    assert not unsound(draw_all(page))
    assert page.evaluate("window.sameDocument")
    assert other.evaluate("(details) => details.open")
    assert not overflow(page)
    screenshot(page, "watch")


def test_it_says_that_the_connection_is_lost_and_comes_back(tmp_path, browser):
    follower = Follower(tmp_path / "run")
    page = browser.new_page()

    def serve(port: int) -> tuple[WatchServer, threading.Thread]:
        server = WatchServer(follower, port=port)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        return server, thread

    def end(server: WatchServer, thread: threading.Thread) -> None:
        server.ending.set()
        with follower._changed:
            follower._changed.notify_all()
        server.shutdown()
        thread.join()
        server.server_close()

    first = serve(0)
    page.goto(first[0].address)
    expect(page.locator("#connection")).not_to_have_class("lost")
    end(*first)
    follower.look()
    learn(tmp_path / "run", 1, 1)
    follower.look()
    expect(page.locator("#connection")).to_have_class("lost", timeout=PATIENCE)
    expect(page.locator("#connection")).to_contain_text("lost")
    second = serve(first[0].server_port)
    try:
        expect(page.locator("#live dd").first).to_contain_text("task 1", timeout=PATIENCE)
        expect(page.locator("#connection")).not_to_have_class("lost")
    finally:
        page.close()
        end(*second)


def test_a_real_run_is_followed_from_its_beginning_to_its_end(visit, tmp_path, screenshot, ends):
    watching = ends(forked.narrows(tmp_path, "watch", "run", "--port", "0"))
    try:
        watching.wait_for(lambda: "\n" in watching.out)
        page = visit(re.search(r"http://\S+", watching.out)[0], width=390)
        words = ["run", "split-digits", "--tasks", "2", "--epochs", "3", "--out", "run"]
        learning = ends(forked.narrows(tmp_path, *words))
        expect(page.locator("#live")).to_contain_text("Everything is done", timeout=2 * PATIENCE)
        assert learning.wait(60) == 0
        expect(page.locator("#glance dd").first).to_have_text("2", timeout=PATIENCE)
        assert not unsound(draw_all(page))
        assert not overflow(page)
        screenshot(page, "watch run 390")
        page.close()  # before its server ends, of which it would complain
    finally:
        watching.send_signal(signal.SIGINT)
        code = watching.wait(60)
    assert code == 130
