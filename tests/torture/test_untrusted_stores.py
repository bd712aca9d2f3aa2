"""A store from somebody else runs no code, starts no process, opens no connection, and writes nothing outside itself."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import resource
import shutil
import signal
import sys
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from children import child
from fuzz_targets import framed, seal
from hypothesis import HealthCheck, given, settings
from mutations import edited
from tally import Tally
from torture_store import LEARNING, network, state

import narrows as nw
from narrows.errors import NarrowsError, StoreError
from narrows.store import names

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # torch has threads; the child needs none

Attack = Callable[[Path, Path], None]  # (store, a folder outside of it)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
MAKING = {"os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "os.utime", "os.setxattr"}
MOVING = {"os.rename", "os.link", "os.symlink", "shutil.move", "shutil.copyfile"}
FORBIDDEN = ("subprocess.", "os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "socket.connect", "pty.", "ctypes.dlopen", "pickle.")

OWN = {typing.__file__, dataclasses.__file__}  # they compile annotations of narrows' own
LIBRARIES = {"torch", "numpy", "narrows", *sys.stdlib_module_names}  # load a part of themselves late


class Watch:
    """An audit hook that notes what a hostile store must never bring about. Hooks stay, so this one can be put to sleep."""

    def __init__(self) -> None:
        self.root: Path | None = None
        self.seen: list[str] = []
        sys.addaudithook(self.hear)

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self.root is None:
            return
        if event.startswith(FORBIDDEN) or (event in ("compile", "exec") and sys._getframe(1).f_code.co_filename not in OWN):
            self.note(event, args)
        elif event == "import" and str(args[0]).partition(".")[0] not in LIBRARIES:
            self.note(event, args)
        elif event == "open":
            path, mode, flags = args
            writes = bool(flags & WRITING) if isinstance(flags, int) else False
            if writes or (isinstance(mode, str) and set(mode) & set("wxa+")):
                self.require_inside(event, path)
        elif event in MAKING:
            self.require_inside(event, args[0], *args[1:])
        elif event in MOVING:
            self.require_inside(event, args[0])
            self.require_inside(event, args[1])

    def require_inside(self, event: str, path: Any, *rest: Any) -> None:
        if isinstance(path, int):
            return  # a descriptor, which was opened before
        folder = next((Path(f"/proc/self/fd/{part}").resolve() for part in reversed(rest) if isinstance(part, int) and part > 2), None)
        place = Path(os.path.abspath(folder / os.fsdecode(path) if folder else os.fsdecode(path)))
        assert self.root is not None
        # Where it leads, and not only how it is spelled; the last part of what is removed is not followed.
        real = place.parent.resolve() / place.name
        if event == "open":
            real = place.resolve()
        if not real.is_relative_to(self.root):
            self.note(event, (str(real),))

    def note(self, event: str, args: tuple[Any, ...]) -> None:
        self.seen.append(f"{event} {args!r:.200}")


@pytest.fixture(scope="module")
def watch(place: Path, prepared: Path) -> Watch:
    """The hook, after everything was done once: what is imported late has been by then."""
    ask_everything(Path(shutil.copytree(prepared, place / "warm")), tolerant=False)
    return Watch()


@contextmanager
def watched(watch: Watch, root: Path) -> Iterator[None]:
    watch.seen, watch.root = [], root.resolve()
    try:
        yield
    finally:
        watch.root = None
    assert watch.seen == []


def ask_everything(root: Path, tolerant: bool = True) -> None:
    """Every operation on the store at `root`, each alone: an error of ours is an answer."""

    def opened() -> nw.TaskStore:
        return nw.TaskStore.open(root, network())

    def learn() -> None:
        store = opened()
        with store.begin("of mine", nw.WSN(density=0.3)) as task:
            task.fit([(torch.ones(4, 4), torch.arange(4) % 3)], epochs=1)
            task.commit()

    asks: list[Callable[[], object]] = [
        lambda: nw.TaskStore.open(root).tasks(),
        lambda: state(root),
        *(lambda name=name: opened().load(name) for name in ("root", "middle", "leaf")),
        lambda: nw.TaskStore.open(root).verify(deep=True),
        lambda: opened().progress(LEARNING).load(),
        lambda: opened().progress(LEARNING).save({"step": 3}),
        lambda: opened().progress(LEARNING).drop(),
        lambda: opened().forget("root", dry_run=True),
        learn,
        lambda: opened().forget("middle"),
        lambda: opened().compact(),
        lambda: opened().directory.bytes_total(),
    ]
    for ask in asks:
        try:
            ask()
        except NarrowsError:
            if not tolerant:
                raise


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


PARTS = ("tasks", "carry", "snapshot", "progress", ".lock", ".lock.json", "store.json", "base.safetensors", "tasks/0000-root", "tasks/0000-root/mask.bin")
ATTACKS: dict[str, Attack] = {
    **{f"{part} is a link": link(part) for part in PARTS if part != "snapshot"},
    **{f"{part} is a hard link": hard_link(part) for part in (".lock", ".lock.json", "store.json.tmp")},
    **{f"{part} is a pipe": pipe(part) for part in (".lock", ".lock.json", "store.json", "store.json.tmp", "base.safetensors", "carry/0002.safetensors")},
    "what is swept leads out": leading_out,
    "pickles": pickled,
    "paths in names": in_the_names,
    "code in fields": in_the_fields,
    "a compression bomb": bomb,
    "a parameter of 2^40 weights": huge,
    "a file of 8 TiB": huge_file,
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_gets_out(prepared: Path, tmp_path: Path, watch: Watch, attack: str, tally: Tally):
    root, outside = Path(shutil.copytree(prepared, tmp_path / "s")), tmp_path / "outside"
    outside.mkdir()
    ATTACKS[attack](root, outside)
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}

    def work() -> None:
        signal.alarm(20)
        resource.setrlimit(resource.RLIMIT_AS, (_address_space() + (1 << 30), resource.RLIM_INFINITY))
        with watched(watch, root):
            ask_everything(root)

    with tally.fault("hostile store, every operation", attack):
        assert child(work) == 0
        assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before
        assert {path.name for path in tmp_path.iterdir()} == {"s", "outside"}


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def test_the_watch_sees(tmp_path: Path, watch: Watch):
    """Else the tests above would show nothing."""
    with watched(watch, tmp_path):
        (tmp_path / "mine").write_text("inside")
    for act in (
        lambda: (tmp_path.parent / "not mine").write_text("outside"),
        lambda: os.mkdir(tmp_path.parent / "folder"),
        lambda: exec("1"),
        lambda: os.system("true"),
    ):
        with pytest.raises(AssertionError), watched(watch, tmp_path):
            act()


def test_a_sound_store_needs_nothing_of_that(prepared: Path, tmp_path: Path, watch: Watch):
    root = Path(shutil.copytree(prepared, tmp_path / "s"))
    with watched(watch, root):
        ask_everything(root, tolerant=False)
    assert nw.TaskStore.open(root).verify(deep=True) == []


@pytest.mark.parametrize("part", names.PARTS)
def test_a_link_in_the_place_of_a_part_is_refused_for_writing(prepared: Path, tmp_path: Path, part: str):
    root = Path(shutil.copytree(prepared, tmp_path / "s"))
    outside = tmp_path / "outside"
    if (root / part).exists():
        shutil.move(root / part, outside)
    (root / part).symlink_to(outside)
    with pytest.raises(StoreError, match="symbolic link"):
        nw.TaskStore.open(root).directory.lock()


def questions(root: Path) -> None:
    """What asks a forged store for most of its fields. Lets through whatever is no NarrowsError."""
    asks: list[Callable[[nw.TaskStore], object]] = [
        lambda store: store.tasks(),
        lambda store: store.verify(deep=True),
        lambda store: store.used(),
        *(lambda store, name=name: store.load(name) for name in ("root", "leaf")),
        *(lambda store, name=name: store.explain(name) for name in ("root", "leaf")),
        *(lambda store, name=name: store.forget(name, dry_run=True) for name in ("root", "leaf")),
        _begin_and_abandon,
    ]
    for ask in asks:
        with suppress(NarrowsError):
            ask(nw.TaskStore.open(root, network()))


def _begin_and_abandon(store: nw.TaskStore) -> None:
    with store.begin("of mine", nw.WSN(density=0.3)):
        pass


@pytest.mark.parametrize("file", ["store.json", "task.json"])
def test_any_field_forged(prepared: Path, tmp_path: Path, file: str, tally: Tally, long: bool):
    root = Path(shutil.copytree(prepared, tmp_path / "s"))
    forgery = forge if file == "store.json" else forge_task
    kept = {path: path.read_bytes() for path in (root / "store.json", root / "tasks/0000-root/task.json")}
    sound = json.loads((root / file if file == "store.json" else root / "tasks/0000-root/task.json").read_bytes())
    sound.pop("sha256", None)

    @settings(
        max_examples=2000 if long else 40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(edited(sound))
    def lie(values: Any) -> None:
        if not isinstance(values, dict):
            return
        for path, data in kept.items():
            path.write_bytes(data)

        def replace(found: dict[str, Any]) -> None:
            found.clear()
            found.update(values)

        with tally.fault("hostile store, every operation", f"{file}: any field forged"):
            forgery(root, replace)
            questions(root)

    lie()
