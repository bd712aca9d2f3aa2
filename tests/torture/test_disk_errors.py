"""A disk that is full, broken, over quota, read-only or forbidden, at every call: a clear error, and nothing lost."""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import signal
from collections import Counter
from pathlib import Path
from tempfile import gettempdir

import pytest
from children import can_mount, child, mount_small
from operations import Range
from tally import Tally
from torture_store import state, thin

from disk_faults import CHANGING, Fault, disk
from narrows.errors import NarrowsError, StoreError
from narrows.store import UnconfirmedCommitError

CODES = ("ENOSPC", "EIO", "EDQUOT", "EROFS", "EACCES")


def attempt(scene: Range, root: Path, fault: Fault) -> NarrowsError | None:
    """The error that the operation raises under the fault, which must be one of ours."""
    with scene.operation.ready(root) as act:
        try:
            with fault.active():
                act()
        except NarrowsError as error:
            return error
    return None


def require_clear(error: NarrowsError, root: Path) -> None:
    """The message names a file or the store, says what is wrong, and what to do."""
    text = str(error)
    assert re.search(
        r"store\.json|\.safetensors|mask\.bin|task\.json|carry|progress|tasks|" + re.escape(str(root)), text
    )
    assert isinstance(error, StoreError)
    assert len(text) > 40


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for-ever"])
@pytest.mark.parametrize("code", CODES)
def test_the_disk_fails_at_every_call(scene: Range, code: str, for_ever: bool, tally: Tally, long: bool):
    calls = scene.calls()
    found: Counter[str] = Counter()
    points = [(at, late) for at in range(len(calls)) for late in (False, True)]
    if not long:  # calls that change the disk, each by one code or another, at the call or after it
        mine = CODES.index(code) * 2 + for_ever
        changing = [(at, late) for at, late in points if calls[at] in CHANGING | {"fsync"}]
        points = thin([point for turn, point in enumerate(changing) if turn % 10 == mine], 2, long)
    for at, late in points:
        root = scene.fresh()
        fault = Fault(at, disk(getattr(errno, code)), for_ever, late)
        with tally.fault(scene.operation.name, f"{code} {'for ever' if for_ever else 'once'}"):
            error = attempt(scene, root, fault)
            assert fault.hit == calls[at]
            if error is not None:
                require_clear(error, root)
            which = scene.check()
            if error is None or isinstance(error, UnconfirmedCommitError):
                assert which == "new"
            elif scene.operation.exact and scene.old != scene.new:
                assert which == "old"
            found[which] += 1
    assert found["old"] or scene.old == scene.new or not long


def test_files_may_not_grow_beyond_a_limit(scene: Range, tally: Tally, long: bool):
    """The real EFBIG of RLIMIT_FSIZE, at any size."""
    largest = max(4096, *(file.stat().st_size for file in scene.prepared.rglob("*") if file.is_file()))
    for limit in thin(range(0, largest, 16), 2, long):
        root = scene.fresh()

        def work(root=root, limit=limit) -> None:
            with scene.operation.ready(root) as act:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
                try:
                    act()
                except StoreError as error:
                    require_clear(error, root)
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        with tally.fault(scene.operation.name, "EFBIG, file size limit"):
            assert child(work) == 0
            scene.check()


if can_mount(Path(gettempdir())):

    def test_a_disk_that_really_fills_up(scene: Range, tally: Tally, long: bool, tmp_path: Path):
        """A file system in memory with room for the store and ever fewer pages beyond it."""
        place = tmp_path / "disk"
        for spare in thin(range(30), 2, long):
            scene.fresh()

            def work(spare=spare) -> None:
                mount_small(place, 400)
                here, scene.here = scene.here, place / "here"
                shutil.copytree(here, scene.here)
                with scene.operation.ready(scene.here / "store") as act:
                    room = os.statvfs(place)
                    (place / "ballast").write_bytes(bytes((room.f_bavail - spare) * room.f_frsize))
                    try:
                        act()
                    except StoreError as error:
                        require_clear(error, scene.here / "store")
                assert state(scene.here / "store") in (scene.old, scene.new)
                (place / "ballast").unlink()
                scene.check()

            place.mkdir(exist_ok=True)
            with tally.fault(scene.operation.name, "ENOSPC, full tmpfs"):
                assert child(work) == 0
