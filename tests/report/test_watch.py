"""The page that follows a run: what is under way, only what changed is sent, and who is refused."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analysis_samples import random_store, result
from narrows.analysis.underway import under_way
from narrows.errors import ConfigError
from narrows.report.follow import Follower
from narrows.report.render import render
from narrows.report.serve import WatchServer
from narrows.trackers import LiveFile
from narrows.training import Point, Schedule
from page_server import serving


def begin(file: Path, task: str, points: int = 3, *, done: bool = False, score: bool = False) -> LiveFile:
    """A live file in which a task was begun."""
    live = LiveFile(file)
    schedule = Schedule(total_steps=100, epochs=10, examples=640, batch_size=64)
    live.begin(task, {"method": {"name": "ibm", "config": {}}, "schedule": schedule, "resumed": 0})
    for step in range(1, points + 1):
        live.log(Point(step, 0, 1.0 / step, 0.01, 1.0 / step, 0.0))
    if score:
        live.score(0, 0.75)
    if done:
        live.end({"steps": 100.0})
    return live


def run_folder(path: Path, tasks: int = 1, complete: bool = False) -> Path:
    """A run of three tasks, so many of them learned."""
    random_store(path / "store", tasks)
    described = {"stream": "split-digits", "tasks": [{"name": f"task {i}"} for i in range(3)]}
    replace(result(tasks, complete=complete), stream_description=described).save(path / "result.json")
    return path


def test_a_run_tells_its_task_and_how_far_it_is(tmp_path):
    run_folder(tmp_path)
    begin(tmp_path / "live.jsonl", "task 0", done=True)
    begin(tmp_path / "live.jsonl", "task 1", score=True)
    found = under_way("run", tmp_path)
    (job,) = found.jobs
    assert (job.task.name, job.learned, job.of, job.file) == ("task 1", 1, 3, "live.jsonl")
    assert job.remaining is not None
    assert job.silent < 60
    assert found.complete is False


def test_a_complete_run_has_nothing_under_way(tmp_path):
    run_folder(tmp_path, 3, complete=True)
    begin(tmp_path / "live.jsonl", "task 2", done=True)
    assert under_way("run", tmp_path).complete
    assert not under_way("run", tmp_path).jobs


def test_the_dense_networks_of_a_reference_are_a_job_of_their_own(tmp_path):
    run_folder(tmp_path, 3)
    begin(tmp_path / "live.jsonl", "task 2", done=True)
    run_folder(tmp_path / "reference")
    begin(tmp_path / "reference/live.jsonl", "task 1")
    (job,) = under_way("run", tmp_path).jobs
    assert (job.name, job.task.name) == ("reference", "task 1")


def test_what_a_store_learns_is_found_beside_its_checkpoint(tmp_path):
    store = random_store(tmp_path / "store", 1)
    assert not under_way("store", store.path).jobs
    begin(store.path / "progress/next-0123456789abcdef.live.jsonl", "next")
    (job,) = under_way("store", store.path).jobs
    assert job.task.name == "next"


def test_a_grid_tells_of_every_job_and_its_last_line(tmp_path):
    (tmp_path / "grid.json").write_text("{}")
    assert under_way("comparison", tmp_path).jobs == ()
    for seed, done in ((0, True), (1, False)):
        folder = run_folder(tmp_path / f"runs/ibm-e1-s{seed}", 3 if done else 1, complete=done)
        begin(folder / "live.jsonl", "task 1")
        folder.with_name(f"{folder.name}.log").write_text("first\ntask 0: accuracy 90%\n\n")
    head = {"format": "narrows-comparison", "version": 1, "left": 1, "failures": [{"job": "x", "reason": "y"}]}
    rows = [{"label": "ibm", "epochs": 1, "seeds": [0], "tried": []}]
    (tmp_path / "compare.json").write_text(json.dumps({**head, "rows": rows}))
    found = under_way("comparison", tmp_path)
    assert (found.done, found.left, found.failed, found.complete) == (1, 1, 1, False)
    (job,) = found.jobs
    assert (job.name, job.line, job.learned) == ("runs/ibm-e1-s1", "task 0: accuracy 90%", 1)


@pytest.mark.parametrize("text", ["", "{", "[]", "\0", '{"event":"begin","seconds":1,"task":"a"}\n{"event":"point"'])
def test_half_written_files_are_passed_over(text, tmp_path):
    run_folder(tmp_path)
    (tmp_path / "live.jsonl").write_text(text)
    assert len(under_way("run", tmp_path).jobs) == 1
    (tmp_path / "result.json").write_text(text)
    under_way("run", tmp_path)


def test_silence_is_told(tmp_path):
    run_folder(tmp_path)
    begin(tmp_path / "live.jsonl", "task 1")
    for name in ("live.jsonl", "result.json"):
        os.utime(tmp_path / name, (1000.0, 1000.0))
    assert under_way("run", tmp_path, now=1600.0).jobs[0].silent == 600.0
    follower = Follower(tmp_path)
    follower.look()
    assert "Nothing was heard for" in follower.shown.html["live"]


def test_it_waits_for_a_folder_and_then_shows_it(tmp_path):
    follower = Follower(tmp_path / "run")
    follower.look()
    assert list(follower.shown.versions) == ["live"]
    assert "waits for it" in follower.shown.html["live"]
    run_folder(tmp_path / "run")
    begin(tmp_path / "run/live.jsonl", "task 1", score=True)
    follower.look()
    assert list(follower.shown.versions)[:2] == ["live", "glance"]
    assert {"live-loss", "live-density", "live-score"} <= charts(follower)


def charts(follower: Follower) -> set[str]:
    html = follower.shown.html["live"]
    return {part.split('"')[0] for part in html.split('data-chart="')[1:]}


def test_only_what_is_under_way_is_made_anew_while_a_task_is_learned(tmp_path):
    run_folder(tmp_path)
    live = begin(tmp_path / "live.jsonl", "task 1")
    follower = Follower(tmp_path)
    follower.look()
    before = follower.shown
    follower.look()
    assert follower.shown is before
    live.log(Point(4, 0, 0.1, 0.01, 0.2, 0.1))
    follower.look()
    after = follower.shown
    assert after.number == before.number + 1
    assert [key for key in after.versions if after.versions[key] != before.versions.get(key)] == ["live"]
    assert after.page.sections[1] is before.page.sections[1]


def test_a_section_by_itself_is_as_it_stands_in_the_page(tmp_path):
    follower = Follower(run_folder(tmp_path))
    follower.look()
    page = render(follower.shown.page, live="events")
    for key in follower.shown.versions:
        assert follower.shown.html[key] in page


def test_damage_is_shown_and_gone_when_it_is_mended(tmp_path):
    run_folder(tmp_path)
    sound = (tmp_path / "result.json").read_text()
    (tmp_path / "result.json").write_text("{ damaged")
    follower = Follower(tmp_path)
    follower.look()
    assert "cannot be read" in follower.shown.html["glance"]
    stored = (tmp_path / "store" / "store.json").read_text()
    (tmp_path / "store" / "store.json").write_text("{ damaged")
    follower.look()
    assert "restore store.json" in follower.shown.html["live"]
    (tmp_path / "store" / "store.json").write_text(stored)
    (tmp_path / "result.json").write_text(sound)
    follower.look()
    assert "cannot be read" not in follower.shown.html["glance"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WatchServer]:
    follower = Follower(run_folder(tmp_path), pause=0.05)
    follower.look()
    with serving(follower) as server:
        yield server


def ask(server: WatchServer, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, dict(answer.getheaders())


def test_the_page_is_served_and_may_ask_this_server_only(server):
    status, text, headers = ask(server)
    assert status == 200
    assert "connect-src 'self'" in text
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("path", ["/result.json", "/store/store.json", "/../etc/passwd", "/%2e%2e/x", "/events/x"])
def test_nothing_else_is_served(path, server):
    assert ask(server, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE", "BREW"])
def test_nothing_but_get_is_answered(method, server):
    assert ask(server, method=method)[0] == 405


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("localhost:9000", 200),  # through a tunnel
        ("[::1]:{port}", 200),
        ("evil.example:{port}", 421),
        ("127.0.0.1.evil.example", 421),
        ("192.0.2.1:{port}", 421),
        ("localhost.", 421),
        ("", 421),
        ("[", 421),
    ],
)
def test_a_name_that_was_made_to_point_here_gets_nothing(host, status, server):
    assert ask(server, Host=host.format(port=server.server_port))[0] == status


def test_another_site_s_script_gets_nothing(server):
    assert ask(server, "/events", Origin="http://evil.example")[0] == 421
    assert ask(server, "/events", Origin="null")[0] == 421


def test_changes_are_sent_as_they_come_and_only_what_changed(server, tmp_path):
    follower = server.follower
    have = ",".join(f"{key}:{version}" for key, version in follower.shown.versions.items())
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request("GET", f"/events?have={have}")
    answer = connection.getresponse()
    assert answer.getheader("Content-Type").startswith("text/event-stream")
    assert answer.fp.readline() == b": still here\n"
    begin(tmp_path / "live.jsonl", "task 1")
    follower.look()
    lines = iter(answer.fp.readline, b"")
    message = json.loads(next(line for line in lines if line.startswith(b"data:"))[5:])
    assert list(message["changed"]) == ["live"]
    assert message["order"][:2] == ["live", "glance"]
    connection.close()


def test_a_page_that_had_nothing_is_sent_everything(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request("GET", "/events?have=live:old,gone:1,%00")
    answer = connection.getresponse()
    message = json.loads(answer.fp.readline()[5:])
    assert list(message["changed"]) == message["order"] == list(server.follower.shown.versions)
    connection.close()


def test_a_taken_port_is_said_and_passed_over_where_none_was_asked_for(server):
    with pytest.raises(ConfigError, match=f"port {server.server_port} .*--port 0"):
        WatchServer(server.follower, port=server.server_port)
    with WatchServer(server.follower) as one, WatchServer(server.follower) as other:
        assert one.server_port != other.server_port


def test_a_host_that_is_none_is_said(server):
    with pytest.raises(ConfigError, match="--host no such"):
        WatchServer(server.follower, host="no such host.invalid", port=0)


def test_following_ends_when_told(tmp_path):
    follower = Follower(tmp_path / "nothing", pause=0.01)
    thread = threading.Thread(target=follower.run)
    thread.start()
    began = time.monotonic()
    follower.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert time.monotonic() - began < 5
    assert follower.after(follower.shown.number, 60.0) is follower.shown
