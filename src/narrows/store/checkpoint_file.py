"""The checkpoint of a task while it is learned: one file, replaced whole, checked on every read.

    bytes 0-7    b"NRWPROG1"
    bytes 8-39   SHA-256 of the rest
    bytes 40-    a safetensors file: the tensors "0", "1", ..., and "tree", uint8, which is JSON

The tree is nested dictionaries with text for keys, lists, texts, numbers, booleans, None and tensors. In the JSON a
dictionary is {"dict": {...}}, a tensor {"tensor": number}, NaN or an infinity {"float": "nan"}; the rest stands for
itself. No store.json lists the file: it is no part of the store, and its loss costs the training since, no more.
"""

from __future__ import annotations

import hashlib
import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from narrows.errors import ConfigError, StoreError
from narrows.memory import enough_memory
from narrows.store import durable, names, strict_json, tensors_file
from narrows.store.durable import DamagedFileError
from narrows.store.lock import refuse_links

MAGIC: Final = b"NRWPROG1"
REMEDY: Final = "delete this file and begin the task again; every task in the store is untouched"
_START: Final = len(MAGIC) + hashlib.sha256().digest_size
_TREE: Final = "tree"
_MOST: Final = 1 << 40  # bytes


class CheckpointFile:
    """The checkpoint of the task `name` in the store at `root`, of at most `most` bytes. The writer holds the lock.

    >>> import tempfile, torch
    >>> progress = CheckpointFile(Path(tempfile.mkdtemp()), "returns")
    >>> progress.save({"step": 3, "weights": [torch.ones(2)]})
    >>> progress.load()
    {'step': 3, 'weights': [tensor([1., 1.])]}
    """

    def __init__(self, root: Path, name: str, most: int = _MOST) -> None:
        if fault := names.name_fault(name):
            raise ConfigError(f"the task name {name!r} {fault}; choose another")
        self.file = names.progress_file(name)
        self._most = most
        self._root, self._path, self._live = root, root / self.file, root / names.live_file(name)

    def live(self) -> Path:
        """Where to append what is told of the task while it is learned, for others to read: no part of the store.

        `drop` removes it, too. StoreError where a part of the store is a symbolic link.
        """
        refuse_links(self._root)
        return self._live

    def exists(self) -> bool:
        """Whether there is one."""
        return self._path.exists()

    @enough_memory("save the checkpoint")
    def save(self, tree: dict[str, Any]) -> None:
        """Replace it, durably. StoreError if the disk fails: then the one before is still there."""
        data = encode(tree, self.file)
        if len(data) > self._most:
            raise StoreError(f"{self.file} would have {len(data)} bytes, more than {self._most}; train without it")
        refuse_links(self._root)
        try:
            durable.make_directory(self._path.parent)
            durable.replace(self._path, data)
        except OSError as error:
            raise StoreError(f"{self.file} could not be saved: {error}; make room or mend the disk") from error

    def load(self) -> dict[str, Any] | None:
        """What was saved last, None where nothing was. DamagedStoreError if it is not as it was written."""
        if not self._path.exists():
            return None
        return decode(durable.read(self._path, self.file, self._most, REMEDY), self.file)

    @enough_memory("remove the checkpoint")
    def drop(self) -> None:
        """Remove it, and the live file; nothing happens where there is none. StoreError if the disk fails."""
        refuse_links(self._root)
        try:
            for path in (self._path, self._live):
                with suppress(FileNotFoundError):
                    path.unlink()
        except OSError as error:
            raise StoreError(f"{self.file} could not be removed: {error}") from error


def encode(tree: dict[str, Any], label: str) -> bytes:
    """The bytes of a checkpoint. StoreError where `tree` holds what is no part of one."""
    tensors: dict[str, Tensor] = {}
    strict_json.require_shallow(tree, label)
    plain = _plain(tree, tensors, label)
    strict_json.require_shallow(plain, label)
    try:
        text = json.dumps(plain, allow_nan=False, separators=(",", ":")).encode()
        strict_json.loads(text)
    except ValueError as error:  # an integer of hundreds of digits
        raise StoreError(f"{label}: a checkpoint cannot hold this: {error}") from error
    tensors[_TREE] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    payload = tensors_file.encode(tensors, label)
    return MAGIC + hashlib.sha256(payload).digest() + payload


def decode(data: bytes, label: str) -> dict[str, Any]:
    """The reverse of `encode`; DamagedFileError where a byte is not as it must be."""
    if data[: len(MAGIC)] != MAGIC or len(data) < _START:
        raise DamagedFileError(label, "does not begin as a checkpoint of version 1", REMEDY)
    payload = data[_START:]
    if hashlib.sha256(payload).digest() != data[len(MAGIC) : _START]:
        raise DamagedFileError(label, "was altered: its own SHA-256 does not fit", REMEDY)
    tensors = tensors_file.decode(payload, label, REMEDY)
    text = tensors.pop(_TREE, None)
    if text is None or text.dtype != torch.uint8:
        raise DamagedFileError(label, "holds no tree", REMEDY)
    try:
        tree = _tree(strict_json.parse(text.numpy().tobytes(), label, REMEDY), tensors)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise DamagedFileError(label, f"holds a tree that does not fit its tensors ({error})", REMEDY) from error
    if not isinstance(tree, dict):
        raise DamagedFileError(label, "holds no tree", REMEDY)
    return tree


def _plain(node: Any, tensors: dict[str, Tensor], label: str) -> Any:
    if isinstance(node, Tensor):
        tensors[str(len(tensors))] = node
        return {"tensor": len(tensors) - 1}
    if isinstance(node, dict):
        for key in node:
            if not isinstance(key, str):
                raise StoreError(f"{label}: the key {key!r} is no text")
        return {"dict": {key: _plain(value, tensors, label) for key, value in node.items()}}
    if isinstance(node, list):
        return [_plain(value, tensors, label) for value in node]
    if isinstance(node, float) and not math.isfinite(node):
        return {"float": str(node)}
    if node is None or isinstance(node, bool | int | float | str):
        return node
    raise StoreError(f"{label}: a checkpoint cannot hold a {type(node).__qualname__}")


def _tree(node: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(node, list):
        return [_tree(value, tensors) for value in node]
    if not isinstance(node, dict):
        return node
    ((kind, value),) = node.items()
    if kind == "dict":
        return {key: _tree(part, tensors) for key, part in value.items()}
    if kind == "tensor":
        return tensors[str(value)]
    if kind == "float":
        return float(value)
    raise ValueError(f"an entry of the kind {kind!r}")
