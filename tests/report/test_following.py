"""Nothing wrong with the files, or with this process, ends the follower: the page says what it could not read."""

from __future__ import annotations

import errno
import json
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis_samples import random_store, result
from narrows.report import build, follow
from narrows.report.blocks import Notice
from narrows.report.follow import Follower
from narrows.report.render import render
from narrows.trackers import LiveFile, hear
from narrows.training import Point, Schedule


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a live file of two tasks, one of them done."""
    live = LiveFile(path)
    for name in ("first", "second"):
        live.begin(name, {"method": {"name": "ibm"}, "schedule": Schedule(total_steps=9, epochs=3), "resumed": 0})
        for step in range(1, 4):
            live.log(Point(step, step - 1, 1 / step, 0.01, 1 / step, 0.0, (1.0, 2.0, 3.0, 4.0, 5.0)))
            live.score(step - 1, 0.5)
        if name == "first":
            live.end({"accuracy": 0.5})
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its store, and a follower's other files."""
    path = tmp_path_factory.mktemp("following") / "run"
    random_store(path / "store", 1)
    result(1, complete=False).save(path / "result.json")
    lines_of(path / "live.jsonl")
    return path


@pytest.fixture(scope="module")
def follower(run: Path) -> Follower:
    """One that follows it through every mutation."""
    return Follower(run)


VALUES = st.recursive(
    st.sampled_from([None, True, -1, 0, 10**400, 2**63, 1e308, float("nan"), float("-inf"), "", "\ud800", "</script>"])
    | st.integers()
    | st.floats()
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place of a tree of lists and dictionaries that can hold another value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


@st.composite
def mutated(draw: st.DrawFn, lines: list[dict[str, Any]]) -> bytes:
    """The lines with values put in, keys taken out, and the bytes of the whole cut, flipped and put in."""
    whole = json.loads(json.dumps(lines))
    for _ in range(draw(st.integers(0, 4))):
        holder, key = draw(st.sampled_from(places(whole)))
        kind = draw(st.sampled_from(["put", "take", "twice"]))
        if kind == "take" and isinstance(holder, dict):
            holder.pop(key, None)
        elif kind == "twice" and holder is whole:
            whole.insert(key, whole[key])
        elif kind == "put" and (isinstance(holder, dict) or key < len(holder)):
            holder[key] = draw(VALUES)
    data = bytearray(b"".join(json.dumps(line).encode() + b"\n" for line in whole))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 9))] = draw(st.binary(max_size=9))
    return bytes(data)


SAMPLE: list[dict[str, Any]] = []
LINES = st.deferred(lambda: mutated(SAMPLE))


@pytest.fixture(scope="module", autouse=True)
def sample(tmp_path_factory: pytest.TempPathFactory) -> None:
    SAMPLE[:] = lines_of(tmp_path_factory.mktemp("sample") / "live.jsonl")


def examples(short: int, long: int) -> settings:
    most = long if os.environ.get("NARROWS_TORTURE") == "long" else short
    return settings(
        max_examples=most, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    )


@examples(40, 6000)
@given(data=LINES)
def test_a_mutated_live_file_is_followed_and_what_could_not_be_read_is_said(
    data: bytes, run: Path, follower: Follower
) -> None:
    (run / "live.jsonl").write_bytes(data)
    unread = hear(run / "live.jsonl").unread
    follower.look(again=True)
    html = follower.shown.html["live"]
    assert "could not be made" not in html
    assert ("Lines of live.jsonl that could not be read" in html) == bool(unread)
    json.dumps(follower.shown.html).encode()
    render(follower.shown.page, live="events").encode()


@examples(5, 2000)
@given(
    name=st.sampled_from(["result.json", "store/store.json"]),
    cut=st.integers(0, 5000),
    away=st.integers(0, 9),
    put=st.binary(max_size=9) | VALUES.map(lambda value: json.dumps(value).encode()),
)
def test_mutated_records_are_followed(name: str, cut: int, away: int, put: bytes, run: Path) -> None:
    file = run / name
    sound = file.read_bytes()
    follower = Follower(run)
    at = cut % len(sound)
    try:
        file.write_bytes(sound[:at] + put + sound[at + away :])
        follower.look()
        render(follower.shown.page, live="events").encode()
        assert "could not be made anew" not in follower.shown.html["live"]
    finally:
        file.write_bytes(sound)
    follower.look()
    assert "glance" in follower.shown.versions


@pytest.mark.parametrize("line", ['{"event":"score","seconds":1,"epoch":0,"value":1' + 400 * "0" + "}", "[" * 100_000])
def test_the_values_that_once_ended_it(line: str, run: Path, follower: Follower) -> None:
    begun = json.dumps({"event": "begin", "seconds": 0, "task": "\ud800"})
    (run / "live.jsonl").write_text(f"{begun}\n{line}\n")
    follower.look(again=True)
    assert "could not be read and were passed over: 1." in follower.shown.html["live"]
    assert "\ufffd" in follower.shown.html["live"]


def test_a_file_of_endless_lines_takes_a_moment(run: Path, follower: Follower) -> None:
    point = '{"event":"point","seconds":1,"step":1,"loss":1}\n'
    (run / "live.jsonl").write_text('{"event":"begin","seconds":0,"task":"long"}\n' + 100_000 * point)
    (task,) = hear(run / "live.jsonl").tasks or (None,)
    assert task is None  # its beginning is beyond what is read
    (run / "live.jsonl").write_text('{"event":"begin","seconds":0,"task":"long"}\n' + 50_000 * point)
    assert len(hear(run / "live.jsonl").tasks[0].points) == 1000
    follower.look(again=True)
    assert "live-loss" in follower.shown.html["live"]


@contextmanager
def no_descriptors() -> Iterator[None]:
    """This process can open no file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)


def test_without_descriptors_it_says_so_and_goes_on(run: Path) -> None:
    lines_of(run / "live.jsonl")
    follower = Follower(run)
    follower.look()
    sections = list(follower.shown.versions)
    with no_descriptors():
        follower.look(again=True)
    assert os.strerror(errno.EMFILE) in follower.shown.html["live"]
    follower.look(again=True)
    assert os.strerror(errno.EMFILE) not in "".join(follower.shown.html.values())
    assert list(follower.shown.versions) == sections


def test_a_section_that_cannot_be_made_is_a_notice_and_is_tried_again(run: Path, monkeypatch: Any) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("out of luck")

    broken.__name__ = "accuracy"
    follower = Follower(run)
    with monkeypatch.context() as patch:
        patch.setattr(build, "SECTIONS", [broken, *build.SECTIONS[:1]])
        follower.look()
    assert "RuntimeError: out of luck" in follower.shown.html["accuracy"]
    assert "out of luck" not in follower.shown.html["glance"]
    follower.look()
    assert "out of luck" in follower.shown.html["accuracy"], "nothing has changed"
    follower.look(again=True)
    assert "out of luck" not in "".join(follower.shown.html.values())


def test_a_section_that_makes_no_html_is_a_notice(run: Path, monkeypatch: Any) -> None:
    real = follow.render_section

    def fail_once(section: Any, language: str) -> str:
        if section.key == "accuracy" and not isinstance(section.blocks[0], Notice):
            raise ValueError("Out of range float values are not JSON compliant")
        return real(section, language)

    follower = Follower(run)
    monkeypatch.setattr(follow, "render_section", fail_once)
    follower.look()
    assert "not JSON compliant" in follower.shown.html["accuracy"]
    assert follower.shown.html["accuracy"] in render(follower.shown.page, live="events")


def test_the_loop_outlives_every_look(tmp_path: Path, monkeypatch: Any) -> None:
    follower = Follower(tmp_path / "run", pause=0.0)
    looks, enough = [], threading.Event()

    def fail(**_: Any) -> None:
        looks.append(1)
        if len(looks) == 3:
            enough.set()
            follower.stop()
        raise MemoryError

    monkeypatch.setattr(follower, "look", fail)
    thread = threading.Thread(target=follower.run)
    thread.start()
    assert enough.wait(60)
    thread.join(60)
    assert not thread.is_alive()
