"""The live file: what a reader finds of tasks under way, whatever was cut off in the middle of a line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.trackers import LiveFile, Trackers, read_live
from narrows.training import Point, Schedule, Score

METHOD = {"name": "ibm", "config": {"density": 0.1, "range": (1.0, 2.0)}}


def about(resumed: int = 0, **schedule: Any) -> dict[str, Any]:
    return {"method": METHOD, "schedule": Schedule(**schedule), "resumed": resumed}


def point(step: int) -> Point:
    return Point(step, 0, 1 / step, 0.1, 0.123456, 0.0, (1.0, 2.0, 3.0, 4.0, 5.0) if step == 1 else None)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_json_and_say_what_a_point_knows(tmp_path: Path) -> None:
    live = LiveFile(tmp_path / "new" / "live.jsonl")
    live.begin("Größe", about(total_steps=20))
    live.log(point(1))
    live.log(Point(3, None, None, 0.1))
    live.score(0, float("nan"))
    live.end({"accuracy": 0.5, "odd": float("inf")})
    begun, first, second, score, end = lines(tmp_path / "new" / "live.jsonl")
    assert (begun["event"], begun["task"], begun["schedule"]["total_steps"]) == ("begin", "Größe", 20)
    assert first.pop("seconds") >= 0
    assert first == {
        "event": "point",
        "step": 1,
        "epoch": 0,
        "loss": 1.0,
        "lr": 0.1,
        "new": 0.1235,
        "reused": 0.0,
        "log_alpha": [1.0, 2.0, 3.0, 4.0, 5.0],
    }
    assert set(second) == {"event", "seconds", "step", "lr"}
    assert (score["epoch"], score["value"]) == (0, None)
    assert end["figures"] == {"accuracy": 0.5}


def test_tasks_are_read_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    assert read_live(path) == ()
    live = LiveFile(path)
    for name, end in (("done", {"accuracy": 1.0}), ("stopped", None)):
        live.begin(name, about())
        live.log(point(1))
        live.end(end)
    live.begin("running", about(total_steps=20))
    live.log(point(5))
    live.score(0, 0.25)
    done, stopped, running = read_live(path)
    assert (done.name, done.state, done.figures) == ("done", "done", {"accuracy": 1.0})
    assert (stopped.name, stopped.state, stopped.figures) == ("stopped", "stopped", None)
    assert (running.name, running.state, running.scores) == ("running", "running", (Score(0, 0.25),))
    assert running.points[0]["step"] == 5
    assert running.remaining == pytest.approx(3 * running.points[0]["seconds"])
    assert done.remaining is stopped.remaining is None


def test_a_task_that_went_on_is_one_task(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    first = LiveFile(path, anew=True)
    first.begin("a", about(total_steps=8))
    for step in (1, 3, 5):
        first.log(point(step))
    first.score(0, 0.5)
    with open(path, "ab") as file:
        file.write(b'{"event":"point","sec')  # killed here
    again = LiveFile(path, anew=False)
    again.begin("a", about(resumed=4, total_steps=8))
    for step in (5, 7):
        again.log(point(step))
    again.score(1, 0.75)
    (task,) = read_live(path)
    assert [found["step"] for found in task.points] == [1, 3, 5, 7]
    assert [score.value for score in task.scores] == [0.5, 0.75]
    assert task.remaining == pytest.approx(task.points[-1]["seconds"] / 3)


def test_one_that_begins_anew_replaces_what_there_was(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    for name in ("old", "new"):
        live = LiveFile(path, anew=True)
        live.begin(name, about())
        live.log(point(1))
        live.begin("next", about())
    assert [task.name for task in read_live(path)] == ["new", "next"]


def test_every_truncation_is_read(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    live = LiveFile(path)
    live.begin("a", about())
    live.log(point(1))
    live.score(0, 0.5)
    live.end({})
    data = path.read_bytes()
    whole = read_live(path)
    for size in range(len(data)):
        path.write_bytes(data[:size])
        found = read_live(path)
        assert len(found) <= 1
        assert all(task.points in ((), whole[0].points) for task in found)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)
KEYS = ("task", "step", "epoch", "value", "figures", "schedule", "resumed", "method", "time")
LINE = st.fixed_dictionaries(
    {"event": st.sampled_from(["begin", "point", "score", "end", "other"]), "seconds": st.integers(-1, 9) | VALUES},
    optional=dict.fromkeys(KEYS, st.sampled_from(["a", 0, 3, {"total_steps": 9}]) | VALUES),
)


@given(st.lists(LINE.map(json.dumps).map(str.encode) | st.binary(max_size=9), max_size=6))
def test_any_lines_are_read(tmp_path_factory: pytest.TempPathFactory, data: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(b"\n".join(data))
    for task in read_live(path):
        assert task.remaining is None or task.remaining >= 0


def test_it_does_not_follow_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "live.jsonl").symlink_to(tmp_path / "mine.txt")
    with pytest.warns(UserWarning, match="LiveFile failed"):
        Trackers([LiveFile(tmp_path / "live.jsonl", anew=True)]).begin("a", about())
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_it_leaves_a_file_alone_that_has_another_name(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for name, make in (("hard", os.link), ("pipe", lambda _, path: os.mkfifo(path))):
        make(tmp_path / "mine.txt", tmp_path / name)
        for anew in (True, False):
            with pytest.warns(UserWarning, match="LiveFile failed"):
                Trackers([LiveFile(tmp_path / name, anew=anew)]).begin("a", about())
    assert (tmp_path / "mine.txt").read_text() == "mine"
