"""What lies beside a store is the user's: nothing of it is written over but the file that was named."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess

import pytest

from narrows.store import durable, outside


def test_a_file_is_replaced_whole_and_nothing_stays_beside_it(tmp_path):
    path = tmp_path / "x.csv"
    outside.replace(path, b"one")
    outside.replace(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["x.csv"]


def test_a_name_as_long_as_the_disk_takes_will_do(tmp_path):
    path = tmp_path / ("x" * 251 + ".csv")
    outside.replace(path, b"one")
    assert path.read_bytes() == b"one"


def test_files_of_the_user_with_names_we_might_take_stay(tmp_path):
    mine = [tmp_path / name for name in ("x.csv.tmp", "x.csv.new", ".x.csv.new", f".x.csv.{os.getpid()}.new")]
    for path in mine:
        path.write_text("mine")
    outside.replace(tmp_path / "x.csv", b"theirs")
    assert all(path.read_text() == "mine" for path in mine)


@pytest.mark.parametrize("kind", ["symbolic", "dangling", "hard", "pipe", "folder"])
@pytest.mark.parametrize("write", [lambda path: outside.replace(path, b"x"), outside.open_to_append])
def test_links_and_what_is_no_file_are_refused_and_stay(kind, write, tmp_path):
    (tmp_path / "mine").write_text("mine")
    path = tmp_path / "x.csv"
    {
        "symbolic": lambda: path.symlink_to("mine"),
        "dangling": lambda: path.symlink_to("nowhere"),
        "hard": lambda: path.hardlink_to(tmp_path / "mine"),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }[kind]()
    before = os.lstat(path)
    with pytest.raises(OSError, match=r"link|regular|directory") as refused:
        write(path)
    assert refused.value.filename == os.fspath(path)
    assert os.path.samestat(os.lstat(path), before)
    assert (tmp_path / "mine").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["mine", "x.csv"]


def test_a_failing_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    path.write_text("old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "a name in between")

    monkeypatch.setattr(durable.os, "fsync", full)
    with pytest.raises(OSError, match="No space") as failed:
        outside.replace(path, b"new")
    assert (failed.value.errno, failed.value.filename) == (errno.ENOSPC, os.fspath(path))
    assert os.listdir(tmp_path) == ["x.csv"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("replace", [outside.replace, durable.replace])
def test_an_interruption_leaves_the_old_file_and_no_other(replace, tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    path.write_text("old")
    monkeypatch.setattr(durable.os, "fsync", lambda _: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        replace(path, b"new")
    assert os.listdir(tmp_path) == ["x.csv"]
    assert path.read_text() == "old"


def test_appending_empties_only_where_that_is_asked_for(tmp_path):
    path = tmp_path / "x.log"
    for anew, whole in ((False, b"a"), (False, b"aa"), (True, b"a")):
        descriptor = outside.open_to_append(path, anew=anew)
        os.write(descriptor, b"a")
        os.close(descriptor)
        assert path.read_bytes() == whole
    mask = int(subprocess.run(["sh", "-c", "umask"], capture_output=True, text=True, check=True).stdout, 8)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
