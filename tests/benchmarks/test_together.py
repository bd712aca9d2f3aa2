"""A joint run: all tasks learned at once, and being cut off anywhere never mixes two trainings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn

from narrows import Joint
from narrows.benchmarks import together
from narrows.benchmarks.options import RunOptions
from narrows.benchmarks.results import Result
from narrows.benchmarks.runner import TRAINED, run
from narrows.benchmarks.together import Member, Mixed, train_together
from narrows.cli.tables import print_summary
from narrows.data.batches import Batches
from narrows.errors import StoreError
from narrows.tasks import TaskStore
from narrows.training import Training
from subnets import values_of

OPTIONS = RunOptions("split-digits", Joint(), epochs=2, tasks=3)


class Killed(Exception):
    """A kill at a chosen moment."""


def weights(out: Path) -> list[str]:
    return [record.weights_sha256 for record in TaskStore.open(out / "store").tasks()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("joint") / "whole"
    return out, run(OPTIONS, out)


def test_only_the_last_row_is_measured_and_what_needs_more_is_null(whole: tuple[Path, Result], capsys: Any) -> None:
    out, result = whole
    assert result.complete
    assert result.rows[:-1] == [[None] * 3] * 2
    assert min(result.rows[-1]) > 0.8
    data = json.loads((out / "result.json").read_text())
    figures = data["metrics"]
    assert figures["ACC"] == pytest.approx(sum(result.rows[-1]) / 3)
    assert [figures[name] for name in ("BWT", "forgetting", "fwt_gem", "fwt_independent")] == [None] * 4
    assert (figures["density"], figures["used"]) == (1, 1)
    assert Result.load(out / "result.json").to_json() == result.to_json()
    print_summary(Console(), result)
    assert "BWT -   FWT: - against independent, - (GEM)" in capsys.readouterr().out


def test_every_task_is_in_the_store_with_the_same_shared_weights_and_its_own_others(whole: tuple[Path, Result]) -> None:
    out, result = whole
    store = TaskStore.open(out / "store")
    contents = [store.directory.content(record.name) for record in store.tasks()]
    for content in contents[1:]:
        assert all(
            torch.equal(value, values_of(content.subnet)[name]) for name, value in values_of(contents[0].subnet).items()
        )
        assert not any(torch.equal(value, content.private[name]) for name, value in contents[0].private.items())
    on_disk = [sum(f.stat().st_size for f in folder.iterdir()) for folder in sorted((out / "store/tasks").iterdir())]
    assert [task.bytes for task in result.tasks] == on_disk
    assert store.verify(deep=True) == []
    assert not (out / TRAINED).exists()
    assert result.metrics()["seconds"] > 0


def test_as_many_steps_as_one_after_another_and_every_example_once_an_epoch() -> None:
    sets = [
        Batches(torch.arange(n)[:, None].float() + 100 * n, torch.zeros(n).long(), 4, shuffle=True) for n in (9, 14)
    ]
    mixed = Mixed(sets, seed=0)
    first, second = ([(task, x) for (task, x), _ in mixed] for _ in range(2))
    assert len(mixed) == len(first) == len(sets[0]) + len(sets[1])
    seen = sorted(float(value) for task, x in first for value in x.flatten() if task == 1)
    assert seen == [1400.0 + i for i in range(14)]
    assert len({task for task, _ in first}) == 2
    assert [task for task, _ in first] != [task for task, _ in second]


def test_private_parameters_learn_from_their_own_task_alone() -> None:
    def network() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))

    def member(seed: int, offset: float) -> Member:
        x = torch.randn(12, 3, generator=torch.Generator().manual_seed(seed)) + offset
        return Member(str(seed), network(), "2", Batches(x, torch.arange(12) % 2, 4, shuffle=True), 0.5, {})

    trained = train_together([member(1, 0.0), member(2, 50.0)], ["0.weight"], Training(2, lr=0.01), seed=0)
    one, two = trained.networks
    assert torch.equal(one["0.weight"], two["0.weight"])
    assert not torch.equal(one["0.weight"], network()[0].weight)
    assert (two["1.running_mean"] - one["1.running_mean"]).abs().min() > 0.1
    assert int(one["1.num_batches_tracked"]) == 6
    assert trained.steps == 12


@pytest.mark.parametrize("commits", [0, 1, 2, 3])
def test_cut_off_around_the_commits_it_ends_the_same(
    commits: int, whole: tuple[Path, Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, put, left = tmp_path / "cut", TaskStore.put, [commits]

    def put_some(store: TaskStore, *given: Any, **options: Any) -> Any:
        if not left[0]:
            raise Killed
        left[0] -= 1
        record = put(store, *given, **options)
        if commits == 3 and not left[0]:
            raise Killed
        return record

    with monkeypatch.context() as patch:
        patch.setattr(TaskStore, "put", put_some)
        with pytest.raises(Killed):
            run(OPTIONS, out)
    assert len(TaskStore.open(out / "store").tasks()) == commits
    cut = Result.load(out / "result.json")
    assert (cut.complete, cut.rows, cut.tasks) == (False, [], [])

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("it was trained again")

    monkeypatch.setattr(together, "train_together", never)
    resumed = run(OPTIONS, out)
    assert resumed.complete
    assert resumed.rows == whole[1].rows
    assert weights(out) == weights(whole[0])
    assert not (out / TRAINED).exists()


def test_cut_off_in_training_it_starts_again(
    whole: tuple[Path, Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(together.Trained, "save", killed)
        with pytest.raises(Killed):
            run(OPTIONS, tmp_path / "cut")
    assert run(OPTIONS, tmp_path / "cut").rows == whole[1].rows
    assert weights(tmp_path / "cut") == weights(whole[0])
    assert run(OPTIONS, tmp_path / "cut").complete  # and nothing more happens to a complete one


def test_what_was_trained_is_not_completed_from_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, put = tmp_path / "cut", TaskStore.put

    def put_first(store: TaskStore, name: str, *given: Any, **options: Any) -> Any:
        if name != "split-01":
            raise Killed
        return put(store, name, *given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(TaskStore, "put", put_first)
        with pytest.raises(Killed):
            run(OPTIONS, out)
    trained = (out / TRAINED).read_bytes()
    for flip in (len(trained) // 2, len(trained) - 1):
        (out / TRAINED).write_bytes(trained[:flip] + bytes([trained[flip] ^ 1]) + trained[flip + 1 :])
        with pytest.raises(StoreError, match="damaged"):
            run(OPTIONS, out)
    (out / TRAINED).unlink()
    with pytest.raises(StoreError, match="only 1 of 3"):
        run(OPTIONS, out)
