"""Names of files and directories in a store, and what a task may be called.

Knows no file's contents and touches no disk.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from narrows.errors import ConfigError, TaskExistsError

STORE_FILE: Final = "store.json"
ORIGIN_FILE: Final = "origin.json"
BASE_FILE: Final = "base.safetensors"
TASKS_DIR: Final = "tasks"
CARRY_DIR: Final = "carry"
SNAPSHOT_DIR: Final = "snapshot"
PROGRESS_DIR: Final = "progress"
LOCK_FILE: Final = ".lock"
HOLDER_FILE: Final = ".lock.json"
DIRECTORIES: Final = (TASKS_DIR, CARRY_DIR, SNAPSHOT_DIR, PROGRESS_DIR)
PARTS: Final = (STORE_FILE, ORIGIN_FILE, BASE_FILE, *DIRECTORIES, LOCK_FILE, HOLDER_FILE)
"""What may stand in a store's own directory."""

TASK_FILE: Final = "task.json"
CLAIMED_FILE: Final = "claimed.safetensors"
MASK_FILE: Final = "mask.bin"
PRIVATE_FILE: Final = "private.safetensors"
BLOB_FILES: Final = (CLAIMED_FILE, MASK_FILE, PRIVATE_FILE)

TEMPORARY_SUFFIX: Final = ".tmp"
STAGED_FILE: Final = STORE_FILE + TEMPORARY_SUFFIX
NEW_PREFIX: Final = ".new-"

MAX_NAME: Final = 200
MAX_SLUG: Final = 40
# A name may not hold what would break a line, a terminal or UTF-8.
_REFUSED: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
# Of other categories, and not to be seen: joiners, fillers of Hangul, selectors of variants.
_UNSEEN: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u3164\uffa0") | {
    chr(code) for code in range(0xFE00, 0xFE10)
}
_DIRECTORY: Final = re.compile(r"([0-9]{4,12})-[a-z0-9_-]{1,40}")
_CARRY: Final = re.compile(r"carry/([0-9]{4,12})\.safetensors")
_SNAPSHOT: Final = re.compile(r"snapshot/([0-9]{4,12})\.safetensors")
_PROGRESS: Final = re.compile(r"progress/[a-z0-9_-]{1,40}-[0-9a-f]{16}\.(ckpt|live\.jsonl)")


def name_fault(name: str) -> str | None:
    """What makes `name` unfit for a task, or None if it is fit."""
    if not name.strip():
        return "is empty"
    if len(name) > MAX_NAME:
        return f"has {len(name)} characters, more than {MAX_NAME}"
    if _SURROGATES.search(name):
        return "is no text in the language settings of this terminal (LANG, LC_ALL)"
    if _REFUSED.search(name):
        return "holds a control character or a line break"
    return None


def require_new(name: str, known: Iterable[str]) -> None:
    """Raise TaskExistsError where a task among `known` has the name, ConfigError where no new one may have it."""
    if name in map(one_form, known):
        raise TaskExistsError(f"The store already has a task {name!r}, and tasks do not change. Choose another name.")
    check_task_name(name)


def check_task_name(name: str) -> None:
    """Raise ConfigError unless a new task may have this name: one that looks like no other.

    Beside what `name_fault` says, white space around it and characters that cannot be seen are refused, and letters
    that are spelled as a letter and its accent. (A store from before keeps its names.)
    """
    fault = name_fault(name)
    unseen = next((character for character in name if _is_unseen(character)), None)
    if not fault and name != name.strip():
        fault = "has white space around it"
    elif not fault and unseen:
        fault = f"holds U+{ord(unseen):04X}, which cannot be seen or looks like a plain space"
    elif not fault and name != one_form(name):
        fault = f"spells a letter in parts (Unicode NFD): write {one_form(name)!r}"
    if fault:
        raise ConfigError(f"the task name {name!a} {fault}; choose another")


def one_form(name: str) -> str:
    """The name as people see it: composed, without what cannot be seen and white space around it."""
    seen = "".join(character for character in name if not _is_unseen(character) or character.isspace())
    return unicodedata.normalize("NFC", seen).strip()


def _is_unseen(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind == "Cf" or (kind == "Zs" and character != " ") or character in _UNSEEN


def slug(name: str) -> str:
    """An ASCII file name for `name`: [a-z0-9_-], 1 to 40 characters. Not unique; the index before it is."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-")[:MAX_SLUG].rstrip("-") or "task"


def task_directory(index: int, name: str) -> str:
    """The directory, under tasks/, of the task with this index, e.g. '0003-returns'."""
    return f"{index:04d}-{slug(name)}"


def carry_file(index: int) -> str:
    """The path, from the store, of the training state that the task with this index left."""
    return f"{CARRY_DIR}/{index:04d}.safetensors"


def snapshot_file(index: int) -> str:
    """The path, from the store, of the snapshot made in the change that gave this index."""
    return f"{SNAPSHOT_DIR}/{index:04d}.safetensors"


def progress_file(name: str) -> str:
    """The path, from the store, of the checkpoint of the task `name` while it is learned."""
    return f"{_in_progress(name)}.ckpt"


def live_file(name: str) -> str:
    """The path, from the store, of what is told of the task `name` while it is learned."""
    return f"{_in_progress(name)}.live.jsonl"


def _in_progress(name: str) -> str:
    return f"{PROGRESS_DIR}/{slug(name)}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def is_progress_file(file: str) -> bool:
    """Whether that is the path of a checkpoint, or of a live file beside one."""
    return bool(_PROGRESS.fullmatch(file))


def directory_index(directory: str) -> int | None:
    """The index in a task directory's name, or None if that is not such a name (so no path gets out)."""
    match = _DIRECTORY.fullmatch(directory)
    return int(match[1]) if match else None


def snapshot_index(file: str) -> int | None:
    """The index in a snapshot's path, or None if that is not such a path."""
    match = _SNAPSHOT.fullmatch(file)
    return int(match[1]) if match else None


def carry_index(file: str) -> int | None:
    """The index in a carry file's path, or None if that is not such a path."""
    match = _CARRY.fullmatch(file)
    return int(match[1]) if match else None
