"""The kept store of format version 2 must be read, to the last bit, by every narrows to come; and version 1 goes on."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import zstandard

from narrows.store import StoreDirectory, TaskContent, commit
from narrows.store.compose import composed, resolved, weights_of
from narrows.subnet import dense, digest, digest_kept
from store_samples import assert_tensors, snapshot

FOLDER = Path(__file__).parent.parent / "golden"
GOLDEN = FOLDER / "store-v2"
VERSIONS = {1: "store-v2", 2: "store-v2-kept"}
"""Of task.json, whose digest is another."""
sys.path.insert(0, str(FOLDER))
from make_store_v2 import SECOND_KEPT, SECOND_OWN, THIRD_OWN, make  # noqa: E402

PAYLOAD = {
    # Gaps, bits, gaps; as it took over what it had reused, all that it keeps is claimed.
    "0005-groe": "02 0100000000000000 03 01"
    "03 0300000000000000 405505 01"
    "02 0900000000000000 02 02 ff ff b8 ff ff ff 22 01",
}


@pytest.fixture(params=VERSIONS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StoreDirectory:
    """A golden store, copied: no test may write in the kept one."""
    return StoreDirectory.open(shutil.copytree(FOLDER / VERSIONS[request.param], tmp_path / "s"))


def expected(name: str, **values: float) -> torch.Tensor:
    flat = torch.zeros({"conv": 12, "fc": 20, "wide": 2000}[name])
    for position, value in values.items():
        flat[int(position[1:])] = value
    return flat


def test_header(store: StoreDirectory) -> None:
    assert store.header.version == 2
    assert store.task_names() == ("Größe 二", "third", "own", "overwriting")
    assert [task.directory for task in store.header.tasks] == [
        "0005-groe",
        "0006-third",
        "0003-own",
        "0004-overwriting",
    ]
    assert [record.isolation for record in store.records()] == ["shared", "shared", "own", "none"]


def test_weights(store: StoreDirectory) -> None:
    second, third = (weights_of(store, name)[0] for name in ("Größe 二", "third"))
    late = {f"_{at}": 100 + k for k, at in enumerate(SECOND_OWN["fc.weight"])}
    assert torch.equal(second["conv.weight"].reshape(-1), expected("conv", _3=4).bfloat16())
    assert torch.equal(second["fc.weight"].reshape(-1), expected("fc", _6=9, _8=11, **late))
    assert torch.equal(second["wide.weight"].reshape(-1), expected("wide", _2=4, _700=5, _5=100, _1500=101))
    assert torch.equal(third["conv.weight"].reshape(-1), expected("conv", _3=4, _9=6).bfloat16())
    assert torch.equal(third["fc.weight"].reshape(-1), expected("fc", _8=11, _10=100, _12=-9, _19=-8))
    assert torch.equal(third["wide.weight"].reshape(-1), expected("wide", _1=3, _2=4, _5=-9, _6=-8))
    claimed = {name: part.claimed.tolist() for name, part in store.subnet("third").parts.items()}
    assert claimed == {"conv.weight": [9], "fc.weight": THIRD_OWN["fc.weight"], "wide.weight": [1, 5, 6]}
    assert {name: part.kept.tolist() for name, part in store.subnet("Größe 二").parts.items()} == SECOND_KEPT


@pytest.mark.parametrize("task", PAYLOAD)
def test_mask_payload_is_these_bytes(task: str) -> None:
    data = (GOLDEN / "tasks" / task / "mask.bin").read_bytes()
    payload = bytes.fromhex(PAYLOAD[task])
    assert zstandard.ZstdDecompressor().decompress(data[16:]).hex() == payload.hex()
    assert data[:16] == b"NRWMASK2" + len(payload).to_bytes(8, "little")


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_made_again_to_the_bit_but_for_the_packing_of_masks(version: int, tmp_path: Path) -> None:
    make(tmp_path / "s", version)
    golden = FOLDER / VERSIONS[version]
    tasks = StoreDirectory.open(golden).header.tasks
    masks = {f"tasks/{ref.directory}/mask.bin" for ref in tasks}
    hashed = {f"tasks/{ref.directory}/task.json" for ref in tasks} | {"store.json"}
    made, kept = snapshot(tmp_path / "s"), snapshot(golden)
    assert made.keys() == kept.keys()
    assert {name for name in kept if made[name] != kept[name]} <= masks | hashed


@pytest.mark.parametrize("version", VERSIONS)
def test_the_digest_is_of_what_the_version_says(version: int) -> None:
    store = StoreDirectory.open(FOLDER / VERSIONS[version])
    for record in store.records():
        whole, private = resolved(store, record.name), store.private_of(record.name)
        digests = {1: digest(dense(whole), private), 2: digest_kept(whole, private)}
        assert record.version == version
        assert {kind for kind, found in digests.items() if found == record.weights_sha256} == {version}


def test_it_is_sound_and_goes_on(store: StoreDirectory) -> None:
    assert store.verify(deep=True) == []
    versions = {record.version for record in store.records()}
    before, third = snapshot(GOLDEN), weights_of(store, "third")[0]
    with store.lock():
        store.forget("Größe 二")
        store.compact()
    assert_tensors(weights_of(store, "third")[0], third)
    assert store.verify(deep=True) == []
    assert {record.version for record in store.records()} == versions  # also of those that took weights over
    assert snapshot(GOLDEN) == before


def again(store: StoreDirectory, name: str, content: TaskContent) -> None:
    record = store.record(store.task_names()[0])
    with store.lock():
        store.append(type(record)(**(vars(record) | {"name": name, "created": "", "parents": ()})), content)


@pytest.mark.parametrize("kept", ["store-v1", "store-v1-full", "store-v1-history"])
def test_a_store_of_version_1_goes_on_as_version_2(kept: str, tmp_path: Path) -> None:
    """Its tasks stay as they lie, and each says in its mask of which version it is."""
    path = Path(shutil.copytree(FOLDER / kept, tmp_path / "s"))
    store = StoreDirectory.open(path)
    assert store.header.version == 1
    assert store.verify() == []
    before = snapshot(path)
    first = store.task_names()[0]
    again(store, "again", store.content(first))
    after = snapshot(path)
    assert json.loads(after["store.json"])["version"] == json.loads(after["origin.json"])["version"] == 2
    assert all(after[name] == data for name, data in before.items() if name.startswith("tasks/"))
    magics = [after[f"tasks/{ref.directory}/mask.bin"][:8] for ref in store.header.tasks]
    assert magics == [b"NRWMASK1"] * (len(magics) - 1) + [b"NRWMASK2"]
    assert store.verify() == []
    assert composed(store).kept == composed(store, anew=True).kept
    assert_tensors(weights_of(store, "again")[0], weights_of(store, first)[0])


@pytest.mark.parametrize("kept", ["store-v1", "store-v1-full"])
def test_an_upgrade_that_was_killed_leaves_a_sound_store(kept: str, tmp_path: Path) -> None:
    path = Path(shutil.copytree(FOLDER / kept, tmp_path / "s"))
    store = StoreDirectory.open(path)
    commit.write_origin(path, replace(store.header, version=2))
    assert StoreDirectory.open(path).header.version == 1
    assert store.verify() == []
    again(store, "again", store.content(store.task_names()[0]))
    assert store.verify() == []
