"""Stores whose checksums all fit and whose contents do not, as a malicious sender would make them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import zstandard
from safetensors.torch import save

from narrows.errors import DamagedStoreError, StoreVersionError
from narrows.store import DamagedFileError, StoreDirectory
from store_samples import assert_content, assert_sound, base, content, make, record
from subnets import subnet_of, values_of

BLOBS = ("claimed.safetensors", "mask.bin", "private.safetensors")
TASK_FILES = tuple(f"tasks/0001-task-1/{name}" for name in ("task.json", *BLOBS))
FILES = ("base.safetensors", "carry/0001.safetensors", *TASK_FILES)
Edit = Callable[[dict[str, Any]], object]


def seal(root: Path, values: dict[str, Any], text: str | None = None) -> None:
    values = {key: value for key, value in values.items() if key != "sha256"} | {"sha256": "0" * 64}
    data = (text or json.dumps(values, indent=1) + "\n").encode()
    assert data.endswith(b"0" * 64 + b'"\n}\n')
    end = len(data) - 68
    digest = hashlib.sha256(data).hexdigest().encode()
    (root / "store.json").write_bytes(data[:end] + digest + data[end + 64 :])


def forge(root: Path, edit: Edit) -> None:
    values = json.loads((root / "store.json").read_bytes())
    edit(values)
    seal(root, values)


def forge_task(root: Path, edit: Edit) -> None:
    file = root / "tasks/0001-task-1/task.json"
    values = json.loads(file.read_bytes())
    edit(values)
    file.write_text(json.dumps(values))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    forge(root, lambda header: header["tasks"][1].update(sha256=digest))


def forge_blob(root: Path, name: str, data: bytes) -> None:
    (root / "tasks/0001-task-1" / name).write_bytes(data)
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    forge_task(root, lambda values: values["blobs"].update({name: entry}))


def test_the_forgeries_fit(root):
    forge(root, lambda values: values.update(extra={"ignored": [1]}))
    forge_task(root, lambda values: values.update(extra=1))
    forge_blob(root, "mask.bin", (root / "tasks/0001-task-1/mask.bin").read_bytes())
    assert_sound(root, 2)


PATHS = ["../x", "/etc/passwd", "0001-task-1/../../x", "..", ".", "", "0001-", "0001-A", "0001-x\n", "a/0001-x", "1-x"]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out_of_the_store(root, path):
    sealed = (root / "store.json").read_bytes()
    edits: list[Edit] = [
        lambda values: values["tasks"][0].update(directory=path),
        lambda values: values["base"].update(file=path),
        lambda values: values["carry"].update(file=path),
        lambda values: values["carry"].update(file=f"carry/{path}"),
    ]
    for edit in edits:
        (root / "store.json").write_bytes(sealed)
        forge(root, edit)
        with pytest.raises(DamagedStoreError, match="plain name"):
            StoreDirectory.open(root)
    (root / "store.json").write_bytes(sealed)
    for key in (path, f"../{path}", "../0000-task-0/mask.bin"):
        forge_task(root, lambda values, key=key: values.update(blobs={key: {"sha256": "0" * 64, "bytes": 1}}))
        with pytest.raises(DamagedStoreError, match="blobs should list"):
            StoreDirectory.open(root).content("task 1")


@pytest.mark.parametrize(
    "edit",
    [
        lambda values: values.update(format="other"),
        lambda values: values.update(version="1"),
        lambda values: values.update(version=True),
        lambda values: values.update(version=None),
        lambda values: values.pop("shared"),
        lambda values: values.update(shared={}),
        lambda values: values.update(shared=[1]),
        lambda values: values["shared"].append(values["shared"][0]),
        lambda values: values["shared"][0].update(shape=[-1]),
        lambda values: values["shared"][0].update(shape=[True]),
        lambda values: values["shared"][0].update(shape=[1.0]),
        lambda values: values["shared"][0].update(shape=[10**6, 10**6]),
        lambda values: values["shared"][0].update(shape=[10**30]),
        lambda values: values["shared"][0].update(dtype="nn"),
        lambda values: values["shared"][0].update(dtype="load"),
        lambda values: values["shared"][0].update(name=""),
        lambda values: values.update(private=[1]),
        lambda values: values.update(created="yesterday"),
        lambda values: values.update(fingerprint="0" * 63),
        lambda values: values.update(base=None),
        lambda values: values["base"].update(bytes=-1),
        lambda values: values["base"].update(sha256="A" * 64),
        lambda values: values.update(next_index=1),
        lambda values: values.update(next_index=2.0),
        lambda values: values["tasks"].append(values["tasks"][0]),
        lambda values: values["tasks"][0].update(name="task 1"),
        lambda values: values["tasks"][0].update(directory="0001-other"),
        lambda values: values["tasks"][0].update(name="a\nb"),
        lambda values: values.update(carry=[]),
        lambda values: values["carry"].pop("method"),
    ],
)
def test_store_json_that_is_not_of_the_format(root, edit):
    forge(root, edit)
    with pytest.raises(DamagedStoreError, match=r"store\.json is not valid"):
        StoreDirectory.open(root)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "0" * 9, '1,"version":1', "[" * 100_000, "9" * 9_999])
def test_json_that_is_not_strict(root, number):
    text = json.dumps(json.loads((root / "store.json").read_bytes()), indent=1) + "\n"
    digest = json.loads(text)["sha256"]
    text = text.replace(digest, "0" * 64).replace('"version": 2', f'"x": {number}, "version": 2', 1)
    seal(root, {}, text)
    with pytest.raises(DamagedStoreError, match=r"store\.json is not valid JSON"):
        StoreDirectory.open(root)


@pytest.mark.parametrize("data", [b"[]", b"1", b"", b"\xff\xfe{}", b'{"a": "\xff"}', b"{'a': 1}"])
def test_store_json_that_is_no_object(root, data):
    (root / "store.json").write_bytes(data)
    with pytest.raises(DamagedStoreError, match=r"store\.json is not"):
        StoreDirectory.open(root)


def test_unknown_versions(root):
    forge_task(root, lambda values: values.update(version=3))
    store = StoreDirectory.open(root)
    with pytest.raises(StoreVersionError, match=r"tasks/0001-task-1/task\.json is of format version 3"):
        store.content("task 1")
    assert_content(store.content("task 0"), content(0))
    assert [problem.file for problem in store.verify()] == ["tasks/0001-task-1/task.json"]
    (root / "store.json").write_text('{"format": "narrows-store", "version": 3, "anything": []}')
    with pytest.raises(StoreVersionError, match="a newer one"):
        StoreDirectory.open(root)


@pytest.mark.parametrize(
    "edit",
    [
        lambda values: values.update(name="task 0"),
        lambda values: values.update(index=0),
        lambda values: values.update(index=0, directory="0000-task-0"),
        lambda values: values.update(directory="../0000-task-0"),
        lambda values: values.update(isolation="both"),
        lambda values: values.update(method={}),
        lambda values: values.update(head=[]),
        lambda values: values.update(seconds="1"),
        lambda values: values.update(seconds=10**400),
        lambda values: values.update(parents="task 0"),
        lambda values: values["blobs"].pop("mask.bin"),
        lambda values: values["blobs"]["mask.bin"].update(bytes=1.5),
        lambda values: values["blobs"]["mask.bin"].pop("sha256"),
        lambda values: values.update(blobs=[]),
    ],
)
def test_task_json_that_is_not_of_the_format(root, edit):
    forge_task(root, edit)
    store = StoreDirectory.open(root)
    with pytest.raises(DamagedStoreError, match=r"tasks/0001-task-1/task\.json"):
        store.record("task 1")
    assert_content(store.content("task 0"), content(0))


def safetensors(header: bytes, payload: bytes = b"", length: int | None = None) -> bytes:
    return (len(header) if length is None else length).to_bytes(8, "little") + header + payload


ENTRY = b'"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        safetensors(b"{}", length=2**63),
        safetensors(b" " * (17 << 20)),
        safetensors(b"{}", length=3),
        safetensors(b"{"),
        safetensors(b"[]"),
        safetensors(b"{" + ENTRY + b"," + ENTRY + b"}", b"abcd"),
        safetensors(b"{" + ENTRY + b"}", b"abc"),
        safetensors(b"{" + ENTRY + b"}", b"abcde"),
        safetensors(b"{" + ENTRY.replace(b"[1]", b"[2]") + b"}", b"abcd"),
        safetensors(b"{" + ENTRY.replace(b"[1]", b"[-1]") + b"}", b"abcd"),
        safetensors(b"{" + ENTRY.replace(b"F32", b"F33") + b"}", b"abcd"),
        safetensors(b"{" + ENTRY.replace(b"[0,4]", b"[4,0]") + b"}", b"abcd"),
        safetensors(b"{" + ENTRY.replace(b"[1]", b"[18446744073709551616]") + b"}", b"abcd"),
    ],
)
@pytest.mark.parametrize("name", ["private.safetensors", "claimed.safetensors"])
def test_safetensors_that_are_not_valid(root, name, data):
    forge_blob(root, name, data)
    store = StoreDirectory.open(root)
    with pytest.raises(DamagedFileError) as caught:
        store.content("task 1")
    assert caught.value.file == f"tasks/0001-task-1/{name}"
    assert_content(store.content("task 0"), content(0))
    assert [problem.file for problem in store.verify()] == [caught.value.file]


@pytest.mark.parametrize(
    "edit",
    [
        lambda values: values.pop("a.weight"),
        lambda values: values.update(extra=torch.ones(1)),
        lambda values: values.update({"a.weight": values["a.weight"][:-1]}),
        lambda values: values.update({"a.weight": values["a.weight"].double()}),
        lambda values: values.update({"a.weight": values["a.weight"][None]}),
        lambda values: values.update({"b.weight": values["b.weight"].half()}),
    ],
)
def test_claimed_values_that_disagree_with_the_mask(root, edit):
    values = values_of(content(1).subnet)
    edit(values)
    forge_blob(root, "claimed.safetensors", save({name: value.contiguous() for name, value in values.items()}))
    with pytest.raises(DamagedStoreError, match=r"claimed\.safetensors (holds other|does not fit)"):
        StoreDirectory.open(root).content("task 1")


def test_a_mask_of_other_parameters(root):
    payload = bytes(1000)
    frame = zstandard.ZstdCompressor(write_checksum=True).compress(payload)
    forge_blob(root, "mask.bin", b"NRWMASK1" + len(payload).to_bytes(8, "little") + frame)
    with pytest.raises(DamagedStoreError, match=r"mask\.bin announces a payload of 1000 bytes"):
        StoreDirectory.open(root).content("task 1")


def test_a_base_of_another_network(root):
    data = save(base() | {"bias": torch.ones(6)})
    (root / "base.safetensors").write_bytes(data)
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    forge(root, lambda values: values["base"].update(entry))
    with pytest.raises(DamagedStoreError, match="fingerprint"):
        StoreDirectory.open(root).base()


def test_what_is_reused_must_have_been_claimed_before(tmp_path):
    store = make(tmp_path / "s", 2)
    thief = content(1)
    with store.lock():
        store.append(record("own", isolation="own"), thief)
        store.append(record("refining"), thief)  # claims what another claimed: each keeps a value of its own
        assert store.verify() == []
        used = {name: torch.ones_like(mask) for name, mask in thief.subnet.kept_masks().items()}
        subnet = subnet_of(thief.subnet.specs, used, thief.subnet.claimed_masks(), values_of(thief.subnet))
        store.append(record("thief"), replace(thief, subnet=subnet))
    problems = store.verify()
    assert {(problem.file, problem.task) for problem in problems} == {("tasks/0004-thief/mask.bin", "thief")}
    assert "that no task before it claimed" in problems[0].what
