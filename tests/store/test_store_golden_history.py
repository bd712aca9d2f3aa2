"""The kept store whose first task has the optional `history` must be read by every narrows to come, as it is kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from narrows.store import DamagedFileError, StoreDirectory, records
from narrows.training import Point, Schedule, Score, read_history
from store_samples import snapshot

GOLDEN = Path(__file__).parent.parent / "golden" / "store-v1-history"


@pytest.fixture
def store(tmp_path: Path) -> StoreDirectory:
    """The golden store, copied: no test may write in the kept one."""
    return StoreDirectory.open(shutil.copytree(GOLDEN, tmp_path / "s"))


def test_the_history_says_what_it_said(store: StoreDirectory) -> None:
    history = read_history(store.record("first").history)
    assert history is not None
    assert history.schedule == Schedule(120, 3, 2560, 64, "AdamW", 0.006, True, 6, 72)
    assert (history.steps, history.best_epoch) == (120, 2)
    assert history.points == (
        Point(1, 0, 2.303, 0.006, 1.0, 0.0, (-30.0, -4.0, -2.5, -1.0, -0.5)),
        Point(33, 0, 0.8125, 0.004, 0.5, 0.0, None),
        Point(65, 1, None, 0.002, 0.25, 0.0, (-6.0, -5.0, -4.0, -3.0, -0.25)),
        Point(97, 2, 1.5e-05, 6e-06, 0.25, 0.125, None),
    )
    assert history.scores == (Score(0, 0.5), Score(1, None), Score(2, 0.75))
    assert store.record("second").history is None


def test_records_are_written_as_they_were(store: StoreDirectory) -> None:
    for record in store.records():
        file = store.path / "tasks" / record.directory / "task.json"
        assert records.task_to_json(record) == file.read_bytes()


def test_it_is_sound_and_goes_on(store: StoreDirectory) -> None:
    assert store.verify(deep=True) == []
    before, history = snapshot(GOLDEN), store.record("first").history
    assert history is not None
    assert history["of a later narrows"] == {"colour": "blue"}
    with store.lock():
        store.forget("second")
        store.compact()
    assert store.record("first").history == history
    assert store.verify(deep=True) == []
    assert snapshot(GOLDEN) == before


@pytest.mark.parametrize("history", ["fast", ["fast"], 3, True])
def test_a_history_that_is_no_object_is_damage(history: object) -> None:
    import json

    data = (GOLDEN / "tasks/0000-first/task.json").read_bytes()
    values = json.loads(data) | {"history": history}
    with pytest.raises(DamagedFileError, match="history should be an object"):
        records.task_from_json(json.dumps(values).encode(), "task.json")
    assert records.task_from_json(json.dumps(values | {"history": None}).encode(), "task.json").history is None
