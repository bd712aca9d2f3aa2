"""A pipe, a device, a folder or a file without end in the place of any file that is read whole: an answer, at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from narrows.analysis.measurements import Cache, LeftOut
from narrows.analysis.subject import open_subject
from narrows.analysis.underway import under_way
from narrows.benchmarks.compare.comparison_file import read_comparison
from narrows.benchmarks.compare.folder import open_folder
from narrows.benchmarks.datasets.cifar import open_cifar100
from narrows.benchmarks.datasets.idx import read_idx
from narrows.benchmarks.datasets.parquet import open_parquet
from narrows.benchmarks.together import Trained
from narrows.data.sources import open_data
from narrows.errors import ConfigError, DataError, NarrowsError, StorageError, StoreError, WeightsError
from narrows.factories import Factory
from narrows.factories.trust import is_trusted
from narrows.production.weights import load_weights
from narrows.store import StoreDirectory, bounded
from narrows.store.checkpoint_file import CheckpointFile
from narrows.trackers import read_live


def endless(path: Path) -> None:
    """A file of no blocks that claims to be of 1 TiB."""
    with open(path, "wb") as file:
        file.truncate(1 << 40)


KINDS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": os.mkdir,
    "endless": endless,
}


@contextmanager
def at_once() -> Iterator[None]:
    """TimeoutError after ten seconds: a pipe that is opened to be read waits for ever."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(10)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def a_grid(path: Path) -> object:
    with open_folder(path.parent, {}, None):
        return None


def a_checkpoint(path: Path) -> object:
    progress = CheckpointFile(path.parent.parent, "x", 1 << 30)
    path.rename(path.parent.parent / progress.file)
    return progress.load()


REFUSED: dict[str, tuple[Callable[[Path], object], type[NarrowsError]]] = {
    "store.json": (lambda path: StoreDirectory.open(path.parent), StoreError),
    "result.json": (lambda path: open_subject(path.parent), StoreError),
    "compare.json": (lambda path: open_subject(path.parent), StoreError),
    "other.json": (read_comparison, StoreError),
    "any.json": (open_subject, StoreError),
    "grid.json": (a_grid, StorageError),
    "progress/x.ckpt": (a_checkpoint, StoreError),
    "trained.safetensors": (lambda path: Trained.load(path, {}), StoreError),
    "narrows/trusted.json": (lambda _: is_trusted(Factory("torch.nn:Linear")), ConfigError),
    "train.bin": (lambda path: open_cifar100(path.parent), DataError),
    "t10k-labels-idx1-ubyte": (lambda path: read_idx(path, 1), DataError),
    "train-0.parquet": (lambda path: open_parquet("x", {"train": [path], "test": [path]}, 4), DataError),
    "train.parquet": (lambda path: open_data(path.parent), DataError),
    "weights.pt": (load_weights, WeightsError),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file", REFUSED)
def test_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, file: str):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("NARROWS_TRUST", "")
    ask, error = REFUSED[file]
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    (tmp_path / "test.bin").touch()
    KINDS[kind](path)
    with at_once(), pytest.raises(error):
        ask(path)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_watched_goes_on_without_it(tmp_path: Path, kind: str):
    for file in ("live.jsonl", "result.json"):
        KINDS[kind](tmp_path / file)
    log = tmp_path.with_name(f"{tmp_path.name}.log")
    KINDS[kind](log)
    with at_once():
        (job,) = under_way("run", tmp_path).jobs
    assert (job.task, job.learned, job.of) == (None, 0, None)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_live_file_is_a_file(tmp_path: Path, kind: str):
    KINDS[kind](tmp_path / "live.jsonl")
    with at_once(), pytest.raises(OSError, match="is not a regular file"):
        read_live(tmp_path / "live.jsonl")


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_measured_is_measured_again(tmp_path: Path, kind: str):
    KINDS[kind](tmp_path / "measured.json")
    with at_once():
        assert Cache(tmp_path / "measured.json").get("key", LeftOut) is None


def test_a_pipe_on_the_command_line_is_told_to_be_one():
    reader, writer = os.pipe()
    try:
        for ask, error in ((open_subject, StoreError), (load_weights, WeightsError), (open_data, DataError)):
            with at_once(), pytest.raises(error, match=r"pipe or a device.* save what it gives into a file"):
                ask(Path(f"/dev/fd/{reader}"))
    finally:
        os.close(reader)
        os.close(writer)


def test_a_file_that_does_not_say_its_size_is_read():
    with open("/proc/self/status", "rb") as file:
        beginning = file.readline()
    assert bounded.read_bytes("/proc/self/status", 1 << 20).startswith(beginning)
    with pytest.raises(bounded.UnfitFileError, match="more than 3"):
        bounded.read_bytes("/proc/self/status", 3)


def test_a_file_is_read_to_its_limit(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert bounded.read_bytes(path, 5) == b"12345"
    assert (bounded.read_end(path, 2), bounded.read_end(path, 9)) == (b"45", b"12345")
    with pytest.raises(bounded.UnfitFileError, match="has 5 bytes, more than 4"):
        bounded.read_bytes(path, 4)
