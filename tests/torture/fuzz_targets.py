"""The readers of a store as functions of bytes, and what to begin from. Only a NarrowsError may come out of one.

A reader whose file carries its own hash is there twice: as it is, and behind a hash that fits (`sealed`), as a forger
would write it.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import zstandard

import store_samples
from narrows.errors import NarrowsError
from narrows.store import TensorSpec, checkpoint_file, mask_file, records, snapshot, strict_json, tensors_file
from narrows.store.header import header_from_json, header_to_json
from narrows.subnet import Composition, Part, SubNetwork
from subnets import subnet_of

GOLDEN = Path(__file__).parent.parent / "golden"
MASKED = [TensorSpec("w", (2, 5), "float32"), TensorSpec("v", (3,), "float32")]
_SHARED = store_samples.specs()


def seal(data: bytes) -> bytes:
    """store.json from a JSON object without its checksum, which is put at the end as narrows does."""
    body = data.rstrip()
    start = (body[:-1].rstrip() if body.endswith(b"}") else body) + b',\n "sha256": "'
    end = b'"\n}\n'
    return start + hashlib.sha256(start + b"0" * 64 + end).hexdigest().encode() + end


def framed(payload: bytes) -> bytes:
    """mask.bin around any payload."""
    compressor = zstandard.ZstdCompressor(level=1, write_content_size=True, write_checksum=True)
    return mask_file.MAGIC + len(payload).to_bytes(8, "little") + compressor.compress(payload)


def checkpoint(payload: bytes) -> bytes:
    """A checkpoint file around any payload."""
    return checkpoint_file.MAGIC + hashlib.sha256(payload).digest() + payload


def tree(text: bytes) -> bytes:
    """A checkpoint file around any JSON."""
    tensors = {"tree": torch.frombuffer(bytearray(text or b" "), dtype=torch.uint8), "0": torch.ones(2)}
    return checkpoint(tensors_file.encode(tensors, "tree"))


def _header(data: bytes) -> None:
    header = header_from_json(data)
    assert header_from_json(header_to_json(header)) == header, "what is read is written otherwise"


def _record(data: bytes) -> None:
    record = records.task_from_json(data, "task.json")
    assert records.task_from_json(records.task_to_json(record), "task.json") == record, (
        "what is read is written otherwise"
    )


def _mask(data: bytes) -> None:
    outline = mask_file.decode(data, MASKED, "mask.bin")
    subnet = SubNetwork(
        tuple(MASKED), {name: Part(mine, torch.zeros(len(mine)), others) for name, (mine, others) in outline.items()}
    )
    subnet.require_fit(MASKED)
    assert mask_file.decode(mask_file.encode(subnet), MASKED, "mask.bin").keys() == outline.keys()


def _progress(data: bytes) -> None:
    checkpoint_file.encode(checkpoint_file.decode(data, "newest.ckpt"), "newest.ckpt")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "json": lambda data: strict_json.dump(strict_json.parse(data, "x.json"), "x.json") and None,
    "store.json": _header,
    "store.json, sealed": lambda data: _header(seal(data)),
    "task.json": _record,
    "mask.bin": _mask,
    "mask.bin, framed": lambda data: _mask(framed(data)),
    "safetensors": lambda data: tensors_file.encode(tensors_file.decode(data, "x"), "x") and None,
    "snapshot": lambda data: snapshot.decode(data, _SHARED, ("a", "b"), "x") and None,
    "checkpoint": _progress,
    "checkpoint, sealed": lambda data: _progress(checkpoint(data)),
    "checkpoint, tree": lambda data: _progress(tree(data)),
}


def run(target: str, data: bytes) -> bool:
    """Whether the reader accepts the bytes. Lets through whatever is no NarrowsError."""
    try:
        TARGETS[target](data)
    except NarrowsError:
        return False
    return True


def seeds() -> dict[str, list[bytes]]:
    """Sound inputs for each target."""
    composition = Composition(_SHARED)
    for step in range(2):
        composition.add("ab"[step], "shared", store_samples.content(step).subnet)
    headers = [file.read_bytes() for file in sorted(GOLDEN.glob("*/store.json"))]
    open_headers = [_unsealed(data) for data in headers]
    masks = [file.read_bytes() for file in sorted(GOLDEN.rglob("mask.bin"))]
    masks += [mask_file.encode(subnet_of(MASKED, *masks_of(share))) for share in (0.2, 0.5, 1.0)]
    saved = checkpoint_file.encode({"step": 1, "x": [torch.ones(2), None, 1.5, float("nan"), {"a": "b"}]}, "x")
    parsed: Any = tensors_file.decode(saved[40:], "x")["tree"].numpy().tobytes()
    tensors = [file.read_bytes() for file in sorted(GOLDEN.rglob("*.safetensors"))]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:  # what torch.save writes, and an unpickler would take
        made.writestr("archive/data.pkl", b"cos\nsystem\n(S'exit'\ntR.")
    return {
        "json": [*open_headers, b"[]", b"{}"],
        "store.json": headers,
        "store.json, sealed": open_headers,
        "task.json": [file.read_bytes() for file in sorted(GOLDEN.rglob("task.json"))],
        "mask.bin": masks,
        "mask.bin, framed": [zstandard.ZstdDecompressor().decompress(data[16:]) for data in masks],
        "safetensors": [*tensors, archive.getvalue(), b"\x80\x04."],
        "snapshot": [snapshot.encode(composition.held(), "x")],
        "checkpoint": [saved],
        "checkpoint, sealed": [saved[40:]],
        "checkpoint, tree": [parsed],
    }


def masks_of(share: float) -> tuple[dict[str, torch.Tensor], ...]:
    """What is kept, claimed, and at which values, of `MASKED`."""
    kept = {spec.name: (torch.arange(spec.numel) < 10 * share).reshape(spec.shape) for spec in MASKED}
    return kept, kept, {name: torch.ones(int(mask.sum())) for name, mask in kept.items()}


def _unsealed(data: bytes) -> bytes:
    values = json.loads(data)
    del values["sha256"]
    return json.dumps(values, indent=1).encode()
