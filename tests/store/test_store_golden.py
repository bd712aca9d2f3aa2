"""The kept store of format version 1 must be read, to the last bit, by every narrows to come."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import zstandard

from narrows.store import StoreDirectory, TaskRecord, TensorSpec, tensors_file
from narrows.store.compose import composed
from store_samples import assert_tensors, snapshot
from subnets import content_of, values_of

GOLDEN = Path(__file__).parent.parent / "golden" / "store-v1"
PAYLOADS = {
    "0000-first": bytes([0x49, 0x02, 0xFF, 0x03, 0x00, 0x0F, 0xFF, 0x03]),
    "0001-groe": bytes([0x08, 0x00, 0x40, 0x55, 0x05, 0x00, 0x7C]),
}


@pytest.fixture
def store(tmp_path) -> StoreDirectory:
    """The golden store, copied: no test may write in the kept one."""
    return StoreDirectory.open(shutil.copytree(GOLDEN, tmp_path / "s"))


def bits(text: str, *shape: int) -> torch.Tensor:
    return torch.tensor([digit == "1" for digit in text.replace(" ", "")]).reshape(shape)


def test_header(store):
    assert store.task_names() == ("first", "Größe 二")
    assert store.shared == (
        TensorSpec("conv.weight", (2, 3, 1, 2), "bfloat16"),
        TensorSpec("fc.weight", (4, 5), "float32"),
    )
    assert store.private == ("*.bias", "bn.*")
    assert store.header.next_index == 2
    assert store.header.created == "2026-01-02T03:04:05+00:00"
    assert store.header.fingerprint == "21b907f8ec2192b23fb3b51a35bb9cdc95f11bd535e955e3fd548902bd99707d"


def test_fingerprint_is_the_hash_of_this_text(store):
    tensors = (
        '[{"dtype":"int64","name":"bn.num_batches_tracked","shape":[]},'
        '{"dtype":"bfloat16","name":"conv.weight","shape":[2,3,1,2]},'
        '{"dtype":"float32","name":"fc.bias","shape":[4]},'
        '{"dtype":"float32","name":"fc.weight","shape":[4,5]}]'
    )
    shared = (
        '[{"dtype":"bfloat16","name":"conv.weight","shape":[2,3,1,2]},'
        '{"dtype":"float32","name":"fc.weight","shape":[4,5]}]'
    )
    text = f'{{"base":{tensors},"shared":{shared}}}'
    assert hashlib.sha256(text.encode()).hexdigest() == store.header.fingerprint


def test_store_json_ends_with_its_own_hash():
    data = (GOLDEN / "store.json").read_bytes()
    assert data[-69:].endswith(b'"\n}\n')
    blank = data[:-68] + b"0" * 64 + data[-4:]
    assert hashlib.sha256(blank).hexdigest().encode() == data[-68:-4]


def test_records(store):
    first, second = store.records()
    assert second == TaskRecord(
        name="Größe 二",
        index=1,
        directory="0001-groe",
        created="2026-01-02T03:04:05+00:00",
        isolation="shared",
        method={"name": "wsn", "config": {"density": 0.25}},
        head={"at": "fc", "classes": 4},
        data={"examples": 128},
        metrics={"accuracy": 0.75},
        seconds=1.5,
        parents=("first",),
        layers={"fc.weight": {"used": 10}},
        weights_sha256="b" * 64,
        version=1,
        blobs={
            "claimed.safetensors": {
                "sha256": "b47a4b0b9bc8f366de144437a5ad405b42b9f2feee0634869226b020ea1b5b4a",
                "bytes": 92,
            },
            "mask.bin": {
                "sha256": "3c0365eea9336d598bf81757b8db276b5a4d7b3fd90b37bbc03a09c8f0cfc902",
                "bytes": 36,
            },
            "private.safetensors": {
                "sha256": "7e3eaaf6561eb6a6aa99a2ee2c8d886d9cd2d63c6300cefc3b0d18e9df5077b0",
                "bytes": 88,
            },
        },
    )
    assert first.directory == "0000-first"
    assert (first.bytes, second.bytes) == (192 + 37 + 235 + 916, 92 + 36 + 88 + 931)


def test_base_and_carry(store):
    conv = [-1.5, -1.25, -1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1, 1.25]
    expected = {
        "conv.weight": torch.tensor(conv, dtype=torch.bfloat16).reshape(2, 3, 1, 2),
        "fc.weight": torch.arange(20, dtype=torch.float32).reshape(4, 5) / 8 - 1,
        "fc.bias": torch.tensor([0.0, 0.5, 1.0, 1.5]),
        "bn.num_batches_tracked": torch.tensor(7),
    }
    assert_tensors(store.base(), expected)
    scores = torch.arange(20, dtype=torch.float32).reshape(4, 5)
    assert_tensors(store.carry("wsn") or {}, {"fc.weight": scores})


def test_contents(store):
    first, second = store.content("first"), store.content("Größe 二")
    used = {"conv.weight": bits("100100 100100", 2, 3, 1, 2), "fc.weight": bits("11111 11111 00000 00000", 4, 5)}
    assert_tensors(first.subnet.kept_masks(), used)
    assert_tensors(first.subnet.claimed_masks(), used)
    fc = torch.tensor([-2.0, 1, 4, 7, 10, 13, 16, 19, 22, 25])
    values = {"conv.weight": torch.tensor([0.125, 0.25, 0.375, 0.5], dtype=torch.bfloat16), "fc.weight": fc}
    assert_tensors(values_of(first.subnet), values)
    private = {
        "fc.bias": torch.tensor([-0.5, 0.5, 1.5, 2.5]),
        "bn.num_batches_tracked": torch.tensor(1234567890123),
        "flags": torch.tensor([True, False, True]),
    }
    assert_tensors(first.private, private)

    used = {"conv.weight": bits("000100 000000", 2, 3, 1, 2), "fc.weight": bits("00000 01010 10101 01010", 4, 5)}
    assert_tensors(second.subnet.kept_masks(), used)
    claimed = {"conv.weight": bits("0" * 12, 2, 3, 1, 2), "fc.weight": bits("00000 00000 10101 01010", 4, 5)}
    assert_tensors(second.subnet.claimed_masks(), claimed)
    assert_tensors(values_of(second.subnet), {"fc.weight": torch.tensor([100, 100.0625, 100.125, 100.1875, 100.25])})
    assert_tensors(second.private, {"fc.bias": torch.zeros(4)})
    assert second.private["fc.bias"].signbit().all()


@pytest.mark.parametrize("task", PAYLOADS)
def test_mask_payload_is_these_bytes(task):
    data = (GOLDEN / "tasks" / task / "mask.bin").read_bytes()
    payload = PAYLOADS[task]
    assert data[:16] == b"NRWMASK1" + len(payload).to_bytes(8, "little")
    assert zstandard.ZstdDecompressor().decompress(data[16:]) == payload


def test_safetensors_are_written_again_byte_for_byte():
    files = sorted(GOLDEN.rglob("*.safetensors"))
    assert len(files) == 6
    for file in files:
        data = file.read_bytes()
        assert tensors_file.encode(tensors_file.decode(data, file.name), file.name) == data


def test_it_is_sound_and_goes_on(store):
    assert store.verify() == []
    contents = [store.content(record.name) for record in store.records() if record.isolation == "shared"]
    claimed = sum(content.subnet.claimed for content in contents)
    assert composed(store).held().values_kept() == claimed / sum(spec.numel for spec in store.shared)
    before = snapshot(store.path)
    content = store.content("Größe 二")
    nothing = content_of(store.shared, content.subnet.kept_masks(), {}, {}, {})
    with store.lock():
        third = store.append(replace(store.record("first"), name="third"), nothing)
    assert third.directory == "0002-third"
    assert store.verify() == []
    after = snapshot(store.path)
    assert {name for name in before if after.get(name) != before[name]} == {"store.json", "carry/0001.safetensors"}
    assert snapshot(GOLDEN) == before
