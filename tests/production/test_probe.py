"""A probe asks the same question everywhere, and its answer binds only where bits can be compared."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from narrows.errors import ModelMismatchError
from narrows.production import probe

SHAPE = [3]


def test_the_probe_never_changes():
    expected = [position * 2_654_435_761 % 2**32 / 2**31 - 1 for position in range(8)]
    assert probe.make([2]).flatten().tolist() == torch.tensor(expected, dtype=torch.float64).float().tolist()


def test_the_same_network_answers_the_same_with_any_number_of_threads():
    model = nn.Sequential(nn.Linear(3, 50), nn.ReLU(), nn.Linear(50, 2)).eval()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first = probe.answer(model, SHAPE)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert first == probe.answer(model, SHAPE)
    assert json.loads(json.dumps(first)) == first
    assert first["engine"]["torch"] == torch.__version__


def test_another_network_answers_otherwise():
    model = nn.Linear(3, 2).eval()
    first = probe.answer(model, SHAPE)
    with torch.no_grad():
        model.weight[0, 0] += 1
    second = probe.answer(model, SHAPE)
    assert first["sha256"] != second["sha256"]
    assert not probe.agree(first["outputs"], second["outputs"])


def test_rounding_agrees_and_nothing_more():
    assert probe.agree([1.0, 100.0], [1.05, 100.0])
    assert not probe.agree([1.0, 100.0], [1.2, 100.0])
    assert not probe.agree([1.0], [1.0, 2.0])
    assert probe.agree(["inf", 1.0], ["inf", 1.0])
    assert not probe.agree(["inf", 1.0], ["-inf", 1.0])
    assert probe.agree([0.0], [0.0])


def test_whole_numbers_stay_whole_and_within_their_range():
    ids = torch.tensor([[0.0, 7, 1.5], [4.0, 7, 2.0], [2.0, 7, 9.0]])
    assert probe.ranges_of(ids) == [[0, 4], [7, 7], None]
    asked = probe.make([3], probe.ranges_of(ids))
    assert set(asked[:, 0].tolist()) <= {0.0, 1.0, 2.0, 3.0, 4.0}
    assert asked[:, 1].tolist() == [7.0] * 4
    assert torch.equal(asked[:, 2], probe.make([3])[:, 2])


def test_long_examples_have_one_range():
    long = torch.arange(6000.0).reshape(2, 3, 1000)
    assert probe.ranges_of(long) == [[0, 5999]]
    assert probe.ranges_of(long + 0.5) is None
    asked = probe.make([3, 1000], [[5, 9]])
    assert asked.shape == (4, 3, 1000)
    assert asked.unique().tolist() == [5.0, 6.0, 7.0, 8.0, 9.0]


def test_an_answer_says_what_was_asked():
    words = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(8, 2)).eval()
    words.register_forward_pre_hook(lambda _, inputs: (inputs[0].long(),))
    said = probe.answer(words, [2], [[0, 8]])
    assert json.loads(json.dumps(said)) == said
    assert said == probe.answer(words, said["shape"], said["whole"])
    assert "whole" not in probe.answer(nn.Linear(3, 2).eval(), SHAPE)


def test_a_model_that_gives_no_tensor_is_named():
    with pytest.raises(ModelMismatchError, match="gives a tuple"):
        probe.answer(nn.LSTM(3, 2), SHAPE)
