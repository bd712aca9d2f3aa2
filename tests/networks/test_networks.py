"""The benchmarks' networks: their sizes, what they can take, and that they are plain modules with a head."""

from __future__ import annotations

import pytest
import torch

from narrows.errors import ConfigError, UnknownNameError
from narrows.networks import NETWORKS, make_network, mlp

WEIGHTS = {
    ("mlp", (1, 28, 28)): 663_552,
    ("mlp-100", (1, 28, 28)): 88_400,
    ("mlp-256", (1, 28, 28)): 266_240,
    ("conv", (3, 32, 32)): 577_024,
    ("conv4", (3, 64, 64)): 2_743_520,
    ("lenet", (1, 28, 28)): 144_272,
    ("lenet-wide", (3, 32, 32)): 2_986_500,
    ("lenet-large", (1, 32, 32)): 24_436_400,
    ("alexnet", (3, 32, 32)): 6_499_328,
    ("resnet18", (3, 32, 32)): 11_159_232,
    ("resnet18", (3, 64, 64)): 11_159_232,
    ("resnet18", (3, 84, 84)): 11_166_912,
    ("resnet18-reduced", (3, 32, 32)): 1_090_140,
}
SMALLEST = {"conv": 19, "lenet": 16, "lenet-wide": 4, "lenet-large": 4, "alexnet": 19, "conv4": 16} | {
    "resnet18": 8,
    "resnet18-reduced": 8,
}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_networks_end_in_a_head_and_train(name: str) -> None:
    network = make_network(name, (3, 32, 32), 4)
    assert isinstance(network.head, torch.nn.Linear)
    assert network.head.out_features == 4
    network(torch.randn(2, 3, 32, 32)).sum().backward()
    for parameter in network.parameters():  # not left in the layout of the images
        assert parameter.grad is not None
        assert parameter.is_contiguous()
        assert parameter.grad.is_contiguous()


@pytest.mark.parametrize(("name", "shape"), list(WEIGHTS))
def test_sizes_of_networks(name: str, shape: tuple[int, int, int]) -> None:
    with torch.device("meta"):
        network = make_network(name, shape, 10)
    shared = {n: p.numel() for n, p in network.named_parameters() if p.dim() > 1 and "head" not in n}
    assert sum(shared.values()) == WEIGHTS[name, shape]


def test_every_network_has_a_counted_size() -> None:
    assert {name for name, _ in WEIGHTS} == set(NETWORKS)
    assert (
        sum(p.numel() for n, p in mlp((1, 8, 8), 10, hidden=(5,)).named_parameters() if n.endswith("0.weight")) == 320
    )


@pytest.mark.parametrize("name", list(SMALLEST))
def test_images_that_are_too_small_are_refused_and_the_smallest_are_not(name: str) -> None:
    side = SMALLEST[name]
    network = make_network(name, (1, side, side), 2)
    assert network(torch.zeros(2, 1, side, side)).shape == (2, 2)
    with pytest.raises(ConfigError, match="as small as"):
        make_network(name, (1, side - 1, side), 2)
    with pytest.raises(ConfigError, match="use mlp"):
        make_network(name, (64,), 2)


def test_norms_keep_running_statistics_so_that_a_prediction_does_not_depend_on_its_batch() -> None:
    for name in ("alexnet", "resnet18-reduced"):
        network = make_network(name, (3, 32, 32), 4)
        network(torch.randn(4, 3, 32, 32))
        network.eval()
        x = torch.randn(3, 3, 32, 32)
        assert torch.allclose(network(x)[:1], network(x[:1]), atol=1e-5)
        norms = [m for m in network.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
        assert norms
        assert all(norm.track_running_stats and int(norm.num_batches_tracked) == 1 for norm in norms)


def test_dropout_of_alexnet_is_as_published() -> None:
    rates = [m.p for m in make_network("alexnet", (3, 32, 32), 4).modules() if isinstance(m, torch.nn.Dropout)]
    assert rates == [0.2, 0.2, 0.5, 0.5, 0.5]


def test_networks_refuse_what_they_cannot_take() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'conv"):
        make_network("convv", (3, 32, 32), 2)
    with pytest.raises(ConfigError, match="at least one class"):
        make_network("mlp", (64,), 0)
