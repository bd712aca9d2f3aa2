"""Effective ranks of layers: right on outputs of known rank, and the model is left as it was."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from narrows.methods.features import effective_ranks
from toys import TOYS, hooked, same, state


def orthogonal(rows: int, columns: int, rank: int) -> Tensor:
    """A matrix of that rank whose non-zero singular values are all 1."""
    left, right = torch.linalg.qr(torch.randn(rows, rank))[0], torch.linalg.qr(torch.randn(columns, rank))[0]
    return left @ right.T


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_linear_of_known_rank(rank: int) -> None:
    model = nn.Sequential(nn.Linear(10, 8))
    model[0].weight.data.copy_(orthogonal(8, 10, rank))
    batches = [(torch.randn(500, 10), None) for _ in range(3)]
    assert effective_ranks(model, batches, ["0.weight"]) == {"0.weight": rank / 8}


def test_convolution_counts_channels_over_all_positions() -> None:
    model = nn.Sequential(nn.Conv2d(4, 6, 1))
    model[0].weight.data.copy_(orthogonal(6, 4, 2)[..., None, None])
    assert effective_ranks(model, [(torch.randn(50, 4, 5, 5), None)], ["0.weight"]) == {"0.weight": 2 / 6}


def test_constant_and_unseen_outputs() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))
    nn.init.zeros_(model[0].weight)
    ranks = effective_ranks(model, [(torch.randn(30, 4), None)], ["0.weight", "1.weight"])
    assert ranks == {"0.weight": 1 / 8, "1.weight": 1 / 3}
    assert effective_ranks(model, [], ["0.weight"]) == {}
    assert effective_ranks(model, [(torch.randn(1, 4), None)], ["0.weight"]) == {"0.weight": 1.0}


@pytest.mark.parametrize("name", ["attention", "lstm", "grouped", "embedding", "tied"])
def test_every_kind_of_layer_and_nothing_is_left_behind(name: str) -> None:
    toy = TOYS[name]
    model = toy.make()
    asleep = next(iter(model.children()))  # the user keeps one layer in eval mode while training
    asleep.eval()
    modes, before = [module.training for module in model.modules()], state(model)
    names = [key for key, param in model.named_parameters() if param.dim() >= 2]
    ranks = effective_ranks(model, [toy.batch(16, 2)], names)
    assert ranks.keys() == set(names) - {"attention.out_proj.weight"}  # never called on its own
    assert all(0 < rank <= 1 for rank in ranks.values())
    assert [module.training for module in model.modules()] == modes
    assert not hooked(model)
    assert same(before, state(model))

    def broken() -> None:
        effective_ranks(model, [(torch.zeros(1, 1, 1, 1, 1), None)], names)

    with pytest.raises((RuntimeError, IndexError, ValueError, AssertionError)):
        broken()
    assert [module.training for module in model.modules()] == modes
    assert not hooked(model)
