"""Held-out training data: no test data, nothing in both parts, and the seed is all the chance there is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from narrows import IBM
from narrows.benchmarks.holdout import first_tasks, held_out
from narrows.benchmarks.options import RunOptions
from narrows.benchmarks.runner import run
from narrows.benchmarks.streams import make_stream
from narrows.benchmarks.transformations import quarter_turns
from narrows.errors import ConfigError, DataError


def rows(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_both_parts_are_training_data_and_share_no_example():
    whole, part = make_stream("split-digits"), held_out(make_stream("split-digits"), 0.2, seed=0)
    for task, of in zip(part.tasks, whole.tasks, strict=True):
        assert len(task.test_y) == round(0.2 * len(of.train_y))
        assert len(task.train_y) + len(task.test_y) == len(of.train_y)
        assert rows(task.train_x) | rows(task.test_x) == rows(of.train_x)
        assert not rows(task.train_x) & rows(task.test_x)
        assert not (rows(task.train_x) | rows(task.test_x)) & rows(of.test_x)
    described = [(task["train"], task["test"]) for task in part.description["tasks"]]
    assert described == [(len(task.train_y), len(task.test_y)) for task in part.tasks]


def test_the_seed_decides_and_all_tasks_of_the_same_examples_hold_out_the_same():
    stream = make_stream("permuted-digits", tasks=2)
    one, again, other = (held_out(stream, 0.2, seed) for seed in (0, 0, 1))
    assert torch.equal(one.tasks[0].test_x, again.tasks[0].test_x)
    assert not torch.equal(one.tasks[0].test_x, other.tasks[0].test_x)
    assert torch.equal(one.tasks[0].test_y, one.tasks[1].test_y)
    first, second = (task.test_x.flatten(1).sort(dim=1).values for task in one.tasks[:2])
    assert torch.equal(first, second)  # the same images, their pixels in another order


def test_all_orientations_of_an_image_are_held_out_together():
    digits = make_stream("split-digits", tasks=1)
    task = digits.tasks[0]
    x, y = quarter_turns(task.train_x, task.train_y)
    described = [digits.description["tasks"][0] | {"train": len(y)}]
    description = digits.description | {"transformation": "quarter-turns", "tasks": described}
    turned = replace(digits, tasks=[replace(task, train_x=x, train_y=y)], description=description)
    part = held_out(turned, 0.2, seed=0)
    held = rows(part.tasks[0].test_x)
    turns = [torch.rot90(part.tasks[0].test_x, turn, (2, 3)) for turn in range(4)]
    assert all(rows(view) == held for view in turns)
    assert not held & rows(part.tasks[0].train_x)
    assert len(part.tasks[0].train_y) + len(part.tasks[0].test_y) == len(y)
    assert part.description["tasks"][0]["test"] == len(part.tasks[0].test_y)


def test_the_first_tasks_are_those_of_the_whole_stream():
    whole = make_stream("rotated-digits", tasks=4)
    part = first_tasks(whole, 2)
    assert len(part.tasks) == 2
    assert torch.equal(part.tasks[-1].train_x, whole.tasks[1].train_x)
    assert part.description["degrees"] == whole.description["degrees"][:2]
    assert [task.name for task in part.tasks[0:9]] == ["rotation-01", "rotation-02"]


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 2])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ConfigError, match="holdout is a fraction"):
        held_out(make_stream("split-digits"), fraction, 0)


def test_nothing_left_to_train_on_and_tasks_that_are_not_there_are_refused():
    with pytest.raises(DataError, match="leaves none to train on"):
        held_out(make_stream("split-digits"), 0.9999, 0)
    with pytest.raises(ConfigError, match="has 5 tasks here; its first 6"):
        first_tasks(make_stream("split-digits"), 6)


def test_a_run_measures_on_held_out_data_and_says_so(tmp_path):
    options = RunOptions("split-digits", IBM(density=0.05), epochs=1, first=1, holdout=0.25)
    result = run(options, tmp_path / "run")
    recorded = json.loads((tmp_path / "run/result.json").read_text())
    assert recorded["config"]["holdout"] == 0.25
    (task,) = recorded["stream_description"]["tasks"]
    assert len(result.tasks) == 1
    assert round(result.tasks[0].accuracy * task["test"], 6) % 1 == 0  # a count of held-out examples
    with pytest.raises(ConfigError, match="holds another run: config"):
        run(replace(options, holdout=0.2), tmp_path / "run")
    run(replace(options, holdout=None), tmp_path / "plain")
    assert "holdout" not in json.loads((tmp_path / "plain/result.json").read_text())["config"]
