"""The harness sees what it is there to see."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from browser_pages import listen

FAULTS = {
    "an image from elsewhere": "<img src='http://127.0.0.1:9/x.png'>",
    "something fetched": "<script>fetch('http://127.0.0.1:9/').catch(() => 0)</script>",
    "a warning": "<script>console.warn('careful')</script>",
    "an error": "<script>console.error('wrong')</script>",
    "an exception": "<script>throw new Error('wrong')</script>",
    "a promise that failed": "<script>Promise.reject(new Error('wrong'))</script>",
    "what its policy forbids": "<meta http-equiv=Content-Security-Policy content='img-src data:'><img src='x.png'>",
}


@pytest.mark.parametrize("what", [None, *FAULTS])
def test_a_fault_is_seen(what, browser: Browser, tmp_path):
    file = tmp_path / "page.html"
    head = "<!doctype html><link rel='icon' href='data:,'><p>page</p>"
    file.write_text(head + (FAULTS[what] if what else "<script>console.log('said')</script>"))
    complaints: list[str] = []
    page = browser.new_page()
    listen(page, file.as_uri(), complaints)
    page.goto(file.as_uri(), wait_until="networkidle")
    page.close()
    assert bool(complaints) == bool(what)
