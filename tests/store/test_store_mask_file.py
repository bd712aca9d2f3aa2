from __future__ import annotations

import numpy as np
import pytest
import torch
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.errors import DamagedStoreError
from narrows.store import TensorSpec, mask_file
from store_samples import assert_tensors

SPECS = [TensorSpec("w", (2, 5), "float32"), TensorSpec("v", (3,), "float32")]
USED = {"w": torch.tensor([[1, 0, 0, 1, 0], [0, 0, 0, 1, 1]]).bool(), "v": torch.tensor([0, 1, 1]).bool()}
CLAIMED = {"w": torch.tensor([[0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]).bool(), "v": torch.tensor([0, 0, 1]).bool()}
PAYLOAD = bytes([0b00001001, 0b11, 0b110, 0b1010, 0b10])


@st.composite
def masks(draw):
    shapes = draw(st.lists(st.lists(st.integers(0, 9), max_size=3).map(tuple), max_size=4))
    specs = [TensorSpec(f"p{i}", shape, "float32") for i, shape in enumerate(shapes)]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density, share = draw(st.sampled_from([0, 0.03, 0.5, 1])), draw(st.sampled_from([0, 0.5, 1]))
    used = {s.name: torch.from_numpy(np.asarray(random.random(s.shape) < density)) for s in specs}
    claimed = {s.name: used[s.name] & torch.from_numpy(np.asarray(random.random(s.shape) < share)) for s in specs}
    return specs, used, claimed


def framed(payload: bytes, announced: int | None = None, **options: bool) -> bytes:
    settings = {"level": 19, "write_content_size": True, "write_checksum": True} | options
    length = len(payload) if announced is None else announced
    return b"NRWMASK1" + length.to_bytes(8, "little") + zstandard.ZstdCompressor(**settings).compress(payload)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(masks())
def test_masks_come_back(sample):
    specs, used, claimed = sample
    data = mask_file.encode(specs, used, claimed)
    assert data == mask_file.encode(specs, used, claimed)
    for found, expected in zip(mask_file.decode(data, specs, "m"), (used, claimed), strict=True):
        assert_tensors(found, expected)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=60), st.booleans())
def test_no_bytes_do_worse_than_damage(noise, dressed):
    data = framed(noise) if dressed else b"NRWMASK1" + noise
    try:
        used, claimed = mask_file.decode(data, SPECS, "m")
    except DamagedStoreError:
        return
    assert mask_file.pack(SPECS, used, claimed) == noise


def test_payload_is_these_bytes():
    assert mask_file.pack(SPECS, USED, CLAIMED) == PAYLOAD
    data = mask_file.encode(SPECS, USED, CLAIMED)
    assert data[:16] == b"NRWMASK1" + bytes([5, 0, 0, 0, 0, 0, 0, 0])
    assert zstandard.ZstdDecompressor().decompress(data[16:]) == PAYLOAD
    parameters = zstandard.get_frame_parameters(data[16:])
    assert parameters.content_size == 5
    assert parameters.has_checksum


def test_a_mask_of_another_memory_order_is_stored_in_c_order():
    turned = {"w": USED["w"].t().contiguous().t(), "v": USED["v"]}
    assert not turned["w"].is_contiguous()
    assert mask_file.pack(SPECS, turned, CLAIMED) == PAYLOAD


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (framed(bytes(1 << 20)), "announces a payload of 1048576 bytes"),
        (framed(bytes(1 << 20), 5), "not as announced"),
        (framed(PAYLOAD, 4), "not as announced"),
        (framed(PAYLOAD, write_checksum=False), "not as announced"),
        (framed(PAYLOAD, write_content_size=False), "not as announced"),
        (framed(PAYLOAD) + b"\0", "does not decompress"),
        (framed(PAYLOAD)[:-1], "does not decompress"),
        (framed(PAYLOAD + b"\0"), "1 bytes after its last bit"),
        (framed(PAYLOAD[:4]), "too short"),
        (framed(bytes([9, 0b111, 6, 10, 2])), "padding"),
        (framed(bytes([9, 3, 6, 0b11010, 2])), "padding"),
        (b"NRWMASK2" + framed(PAYLOAD)[8:], "version 1"),
        (b"", "version 1"),
        (b"NRWMASK1\5", "version 1"),
    ],
)
def test_refused(data, what):
    with pytest.raises(DamagedStoreError, match=what) as caught:
        mask_file.decode(data, SPECS, "tasks/0000-x/mask.bin")
    assert "tasks/0000-x/mask.bin" in str(caught.value)


def test_a_bomb_costs_no_memory():
    bomb = framed(bytes(1 << 26))  # 64 MiB in some kilobytes, announced as 5 bytes
    size = zstandard.ZstdCompressor(level=1).compress(PAYLOAD)  # any frame header that says 5
    assert zstandard.get_frame_parameters(size).content_size == 5
    lying = bomb[:8] + (5).to_bytes(8, "little") + bomb[16:]
    with pytest.raises(DamagedStoreError):
        mask_file.decode(lying, SPECS, "m")


def test_sparse_masks_are_stored_near_their_entropy():
    spec = TensorSpec("w", (400_000,), "float32")
    used = torch.from_numpy(np.random.default_rng(0).random(400_000) < 0.03)
    entropy = 0.1944 * 400_000 / 8  # bytes
    none = torch.zeros_like(used)
    assert len(mask_file.encode([spec], {"w": used}, {"w": none})) < 1.35 * entropy
