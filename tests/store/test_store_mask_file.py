from __future__ import annotations

import numpy as np
import pytest
import torch
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.errors import DamagedStoreError
from narrows.store import TensorSpec, mask_file
from narrows.subnet import SubNetwork
from subnets import subnet_of

SPECS = [TensorSpec("w", (2, 5), "float32"), TensorSpec("v", (3,), "float32")]
KEPT = {"w": torch.tensor([[1, 0, 0, 1, 0], [0, 0, 0, 1, 1]]).bool(), "v": torch.tensor([0, 1, 1]).bool()}
CLAIMED = {"w": torch.tensor([[0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]).bool(), "v": torch.tensor([0, 0, 1]).bool()}
VALUES = {"w": torch.ones(2), "v": torch.ones(1)}
PAYLOAD = bytes.fromhex(
    # w keeps 0 3 8 9, which is as many that bits are shorter; of those it claims the second and the fourth
    "03 0200000000000000 0903"
    "03 0100000000000000 0a"
    # v keeps 1 2; of those it claims the second
    "03 0100000000000000 06"
    "03 0100000000000000 02"
)
FIRST_VERSION = bytes([0b00001001, 0b11, 0b110, 0b1010, 0b10])


@st.composite
def subnets(draw):
    shapes = draw(st.lists(st.lists(st.integers(0, 9), max_size=3).map(tuple), max_size=4))
    specs = [TensorSpec(f"p{i}", shape, "float32") for i, shape in enumerate(shapes)]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density, share = draw(st.sampled_from([0, 0.03, 0.5, 1])), draw(st.sampled_from([0, 0.5, 1]))
    kept = {s.name: torch.from_numpy(np.asarray(random.random(s.shape) < density)) for s in specs}
    claimed = {s.name: kept[s.name] & torch.from_numpy(np.asarray(random.random(s.shape) < share)) for s in specs}
    return SubNetwork.of(specs, kept, claimed, {s.name: torch.zeros(s.shape) for s in specs})


def framed(payload: bytes, announced: int | None = None, magic: bytes = b"NRWMASK2", **options: bool) -> bytes:
    settings = {"level": 19, "write_content_size": True, "write_checksum": True} | options
    length = len(payload) if announced is None else announced
    return magic + length.to_bytes(8, "little") + zstandard.ZstdCompressor(**settings).compress(payload)


def assert_outline(found: mask_file.Outline, expected: SubNetwork) -> None:
    assert found.keys() == expected.parts.keys()
    for name, part in expected.parts.items():
        assert torch.equal(found[name][0], part.claimed)
        assert torch.equal(found[name][1], part.reused)
        assert found[name][0].dtype == found[name][1].dtype == torch.int32


@settings(max_examples=100, deadline=None, derandomize=True)
@given(subnets())
def test_masks_come_back(subnet):
    data = mask_file.encode(subnet)
    assert data == mask_file.encode(subnet)
    assert_outline(mask_file.decode(data, subnet.specs, "m"), subnet)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=60), st.sampled_from([b"NRWMASK1", b"NRWMASK2"]), st.booleans())
def test_no_bytes_do_worse_than_damage(noise, magic, dressed):
    data = framed(noise, magic=magic) if dressed else magic + noise
    try:
        outline = mask_file.decode(data, SPECS, "m")
    except DamagedStoreError:
        return
    assert dressed
    for spec in SPECS:
        claimed, reused = outline[spec.name]
        both = torch.cat([claimed, reused])
        assert len(both.unique()) == len(both)
        assert not len(both) or (int(both.min()) >= 0 and int(both.max()) < spec.numel)


def test_payload_is_these_bytes():
    subnet = subnet_of(SPECS, KEPT, CLAIMED, VALUES)
    data = mask_file.encode(subnet)
    assert data[:16] == b"NRWMASK2" + bytes([len(PAYLOAD), 0, 0, 0, 0, 0, 0, 0])
    assert zstandard.ZstdDecompressor().decompress(data[16:]) == PAYLOAD
    parameters = zstandard.get_frame_parameters(data[16:])
    assert parameters.content_size == len(PAYLOAD)
    assert parameters.has_checksum


def test_the_first_version_is_read():
    data = framed(FIRST_VERSION, magic=b"NRWMASK1")
    assert_outline(mask_file.decode(data, SPECS, "m"), subnet_of(SPECS, KEPT, CLAIMED, VALUES))


NOTHING = bytes(4)
"""Four empty runs."""


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
        (framed(PAYLOAD + b"\0"), "1 bytes after its last run"),
        (framed(PAYLOAD[:4]), "ends inside a run"),
        (framed(PAYLOAD[:-1]), "ends inside a run"),
        (framed(PAYLOAD[:-10]), "ends before its last run"),
        (framed(bytes([3, 2, *bytes(7), 9, 0b111, *NOTHING])), "padding"),
        (framed(bytes([3, 1, *bytes(7), 9, *NOTHING])), "1 bytes for 10 bits"),
        (framed(bytes([3, 2, *bytes(9), *NOTHING])), "another way"),
        (framed(bytes([2, 1, *bytes(7), 10, *NOTHING])), "gaps beyond its 10 elements"),
        (framed(bytes([2, 1, *bytes(7), 255, *NOTHING])), "without an end"),
        (framed(bytes([2, *bytes(8), *NOTHING])), "without an end"),
        (framed(bytes([2, 11, *bytes(18), *NOTHING])), "gaps beyond its 10 elements"),
        (framed(bytes([2, 10, *bytes(17), *NOTHING])), "another way"),
        (framed(bytes([4, *bytes(12)])), "unknown kind 4"),
        (b"NRWMASK3" + framed(PAYLOAD)[8:], "version 1 or 2"),
        (b"", "version 1 or 2"),
        (b"NRWMASK1\5", "version 1 or 2"),
        (framed(FIRST_VERSION + b"\0", magic=b"NRWMASK1"), "1 bytes after its last bit"),
        (framed(FIRST_VERSION[:4], magic=b"NRWMASK1"), "too short"),
        (framed(bytes([9, 0b111, 6, 10, 2]), magic=b"NRWMASK1"), "padding"),
        (framed(bytes([9, 3, 6, 0b11010, 2]), magic=b"NRWMASK1"), "padding"),
        (framed(bytes(9), magic=b"NRWMASK1"), "announces a payload of 9 bytes"),
    ],
)
def test_refused(data, what):
    with pytest.raises(DamagedStoreError, match=what) as caught:
        mask_file.decode(data, SPECS, "tasks/0000-x/mask.bin")
    assert "tasks/0000-x/mask.bin" in str(caught.value)


def test_a_bomb_costs_no_memory():
    bomb = framed(bytes(1 << 26))  # 64 MiB in some kilobytes, announced as 5 bytes
    lying = bomb[:8] + (5).to_bytes(8, "little") + bomb[16:]
    with pytest.raises(DamagedStoreError):
        mask_file.decode(lying, SPECS, "m")


@pytest.mark.parametrize(("density", "excess"), [(0.1, 1.1), (0.04, 1.03), (0.01, 1.05), (0.003, 1.2)])
def test_sparse_masks_are_stored_near_their_entropy(density, excess):
    spec = TensorSpec("w", (400_000,), "float32")
    kept = torch.from_numpy(np.random.default_rng(0).random(400_000) < density)
    entropy = -(density * np.log2(density) + (1 - density) * np.log2(1 - density)) * 400_000 / 8  # bytes
    subnet = SubNetwork.of([spec], {"w": kept}, {"w": kept}, {"w": torch.zeros(400_000)})
    assert len(mask_file.encode(subnet)) < excess * entropy
