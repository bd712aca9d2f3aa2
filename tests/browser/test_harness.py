"""The harness sees what it is there to see."""

from __future__ import annotations

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


def test_a_fault_is_seen(browser: Browser, tmp_path):
    """Pages of one fault each, and one of none, all open before the first is waited for."""
    head = "<!doctype html><link rel='icon' href='data:,'><p>page</p>"
    complaints: dict[str, list[str]] = {}
    pages = []
    for number, (what, body) in enumerate([*FAULTS.items(), ("none", "<script>console.log('said')</script>")]):
        file = tmp_path / f"{number}.html"
        file.write_text(head + body)
        pages.append(browser.new_page())
        listen(pages[-1], file.as_uri(), complaints.setdefault(what, []))
        pages[-1].goto(file.as_uri())
    for page in pages:
        page.wait_for_load_state("networkidle")
        page.close()
    assert {what for what, said in complaints.items() if said} == set(FAULTS)
