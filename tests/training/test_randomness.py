"""The state of chance: of all devices in use, and read from what earlier versions wrote."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from narrows.training.randomness import generators, set_generators

CPU = torch.device("cpu")


class Devices:
    """Stands for `torch.cuda` with several devices, of which each draws from a generator of its own."""

    def __init__(self, count: int) -> None:
        self.all = [torch.Generator().manual_seed(index) for index in range(count)]

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def device_count(self) -> int:
        return len(self.all)

    def get_rng_state_all(self) -> list[torch.Tensor]:
        return [one.get_state() for one in self.all]

    def set_rng_state(self, state: torch.Tensor, device: Any) -> None:
        self.all[device if isinstance(device, int) else device.index].set_state(state)

    def draw(self) -> list[float]:
        return [float(torch.rand((), generator=one)) for one in self.all]


@pytest.mark.parametrize("count", [1, 3])
def test_every_device_in_use_goes_on_where_it_was(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = Devices(count)
    monkeypatch.setattr(torch, "cuda", devices)
    kept = generators(CPU)
    drawn = devices.draw()
    set_generators(kept, CPU)
    assert devices.draw() == drawn


@pytest.mark.parametrize(("before", "now"), [(3, 2), (2, 3)])
def test_with_other_devices_those_that_are_there_go_on(before: int, now: int, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = Devices(before)
    monkeypatch.setattr(torch, "cuda", devices)
    kept = generators(CPU)
    drawn = devices.draw()
    devices = Devices(now)
    monkeypatch.setattr(torch, "cuda", devices)
    set_generators(kept, CPU)
    assert devices.draw()[:2] == drawn[:2]


def test_what_was_kept_of_one_device_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = Devices(2)
    monkeypatch.setattr(torch, "cuda", devices)
    kept = generators(CPU) | {"cuda": devices.all[1].get_state()}
    drawn = devices.draw()
    set_generators(kept, torch.device("cuda", 1))
    assert devices.draw()[1] == drawn[1]


def test_apples_gpu_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    one = torch.Generator().manual_seed(5)
    monkeypatch.setattr(torch.mps, "get_rng_state", one.get_state)
    monkeypatch.setattr(torch.mps, "set_rng_state", one.set_state)
    kept = generators(torch.device("mps"))
    drawn = torch.rand(3, generator=one)
    set_generators(kept, torch.device("mps"))
    assert torch.equal(torch.rand(3, generator=one), drawn)
    assert "mps" not in generators(CPU)
