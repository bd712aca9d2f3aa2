"""What somebody may do to a store before they send it, and checksums that fit all the same."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzz_targets import framed, seal

Attack = Callable[[Path, Path], None]  # (store, a folder outside of it)


def forge(root: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change store.json behind a checksum that fits."""
    values = json.loads((root / "store.json").read_bytes())
    del values["sha256"]
    edit(values)
    (root / "store.json").write_bytes(seal(json.dumps(values, indent=1).encode()))


def forge_task(root: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change the first task's record behind hashes that fit."""
    file = root / "tasks/0000-root/task.json"
    values = json.loads(file.read_bytes())
    edit(values)
    file.write_text(json.dumps(values))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    forge(root, lambda header: header["tasks"][0].update(sha256=digest))


def forge_blob(root: Path, name: str, data: bytes) -> None:
    (root / "tasks/0000-root" / name).write_bytes(data)
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    forge_task(root, lambda values: values["blobs"].update({name: entry}))


def link(part: str) -> Attack:
    """The part of the store, moved outside, and a symbolic link in its place."""

    def attack(root: Path, outside: Path) -> None:
        target = outside / Path(part).name
        if (root / part).exists():
            shutil.move(root / part, target)
        else:
            target.write_text("precious")
        (root / part).symlink_to(target)

    return attack


def hard_link(part: str) -> Attack:
    def attack(root: Path, outside: Path) -> None:
        (outside / "precious").write_text("precious")
        (root / part).unlink(missing_ok=True)
        os.link(outside / "precious", root / part)

    return attack


def pipe(part: str) -> Attack:
    def attack(root: Path, _: Path) -> None:
        (root / part).unlink(missing_ok=True)
        os.mkfifo(root / part)

    return attack


def leading_out(root: Path, outside: Path) -> None:
    """A task directory, unlisted so that it is swept, which is a link to somebody's folder."""
    (outside / "folder").mkdir()
    (outside / "folder/precious").write_text("precious")
    (root / "tasks/0077-swept").symlink_to(outside / "folder")
    (root / "tasks/.new-0078-swept").symlink_to(outside / "folder")
    (root / "progress/x-0123456789abcdef.ckpt.tmp").symlink_to(outside / "folder")
    (root / "store.json.tmp").symlink_to(outside / "folder/precious")


def pickled(root: Path, _: Path) -> None:
    code = b"cos\nsystem\n(S'touch pwned'\ntR."
    forge_blob(root, "private.safetensors", code)
    (root / "base.safetensors").write_bytes(code)


def in_the_names(root: Path, _: Path) -> None:
    forge(root, lambda values: values["tasks"][0].update(name="../../root", directory="../../tmp"))


def in_the_fields(root: Path, _: Path) -> None:
    def edit(values: dict[str, Any]) -> None:
        values["head"] = {"path": "__class__.__init__", "kind": "os.system", "module": "os:system"}
        values["method"] = {"name": "__import__('os').system('id')", "config": {"__reduce__": "x"}}
        values["data"] = {"$ref": "file:///etc/passwd"}

    forge_task(root, edit)
    forge(root, lambda values: values.update(model={"factory": "os:system", "arguments": ["touch pwned"]}))


def bomb(root: Path, _: Path) -> None:
    forge_blob(root, "mask.bin", framed(bytes(1 << 26)))


def huge(root: Path, _: Path) -> None:
    def edit(values: dict[str, Any]) -> None:
        values["shared"][0]["shape"] = [1 << 40]
        values["base"]["bytes"] = 1 << 62

    forge(root, edit)


def huge_file(root: Path, _: Path) -> None:
    """A file of no blocks that claims to be of 8 TiB, as an archive may hold it."""
    with open(root / "base.safetensors", "r+b") as file:
        file.truncate(1 << 43)
    forge(root, lambda values: values["base"].update(bytes=1 << 43))


PARTS = (
    "tasks",
    "carry",
    "snapshot",
    "progress",
    ".lock",
    ".lock.json",
    "store.json",
    "origin.json",
    "base.safetensors",
    "tasks/0000-root",
    "tasks/0000-root/mask.bin",
)
ATTACKS: dict[str, Attack] = {
    **{f"{part} is a link": link(part) for part in PARTS if part != "snapshot"},
    **{f"{part} is a hard link": hard_link(part) for part in (".lock", ".lock.json", "store.json.tmp")},
    **{
        f"{part} is a pipe": pipe(part)
        for part in (
            ".lock",
            ".lock.json",
            "store.json",
            "store.json.tmp",
            "origin.json",
            "base.safetensors",
            "carry/0002.safetensors",
        )
    },
    "what is swept leads out": leading_out,
    "pickles": pickled,
    "paths in names": in_the_names,
    "code in fields": in_the_fields,
    "a compression bomb": bomb,
    "a parameter of 2^40 weights": huge,
    "a file of 8 TiB": huge_file,
}
