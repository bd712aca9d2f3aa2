"""What the program advises where store.json is lost or old destroys nothing, and leads back to every task."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import store_samples
from narrows.cli import main
from narrows.store import StoreDirectory
from narrows.subnet import digest_kept, resolved

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def narrows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["narrows", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out + printed.err

    return run


def append(path: Path, name: str) -> None:
    store = StoreDirectory.open(path)
    given = store_samples.content(0)
    isolated = digest_kept(resolved(given.subnet, ()), given.private)
    with store.lock():
        store.append(store_samples.record(name, isolation="own", weights_sha256=isolated), given)


@pytest.fixture
def rolled_back(tmp_path: Path) -> Path:
    path = tmp_path / "shop"
    store_samples.make(path, 0)
    append(path, "first")
    shutil.copy(path / "store.json", tmp_path / "backup.json")
    append(path, "second")
    shutil.copy(tmp_path / "backup.json", path / "store.json")
    return path


def test_verify_fails_and_names_what_to_do_where_store_json_is_older(narrows: Command, rolled_back: Path):
    code, said = narrows("verify", rolled_back)
    assert code == 1
    assert "tasks/0001-second" in said
    assert "narrows recover" in said


def test_recover_says_what_it_would_do_and_asks(narrows: Command, rolled_back: Path):
    before = store_samples.snapshot(rolled_back)
    code, said = narrows("recover", rolled_back, "--dry-run")
    assert (code, "first: listed" in said, "second: taken back" in said) == (0, True, True)
    code, said = narrows("recover", rolled_back)
    assert (code, "say --yes" in said) == (1, True)
    assert store_samples.snapshot(rolled_back) == before


def test_recover_takes_back_every_task(narrows: Command, rolled_back: Path):
    assert narrows("recover", rolled_back, "--yes")[0] == 0
    code, said = narrows("verify", rolled_back, "--deep")
    assert (code, "2 tasks" in said) == (0, True)
    assert "There is nothing to recover." in narrows("recover", rolled_back)[1]


def test_a_damaged_store_json_leads_to_recover(narrows: Command, rolled_back: Path):
    (rolled_back / "store.json").write_bytes(b"damaged")
    code, said = narrows("verify", rolled_back)
    assert (code, "narrows recover" in said) == (1, True)
    code, said = narrows("recover", rolled_back, "-y")
    assert (code, "Recovered: 2 tasks" in said) == (0, True)
    assert StoreDirectory.open(rolled_back).task_names() == ("first", "second")


def test_a_task_whose_record_is_gone_is_given_up_by_name(narrows: Command, rolled_back: Path):
    (rolled_back / "tasks/0000-first/task.json").unlink()
    narrows("recover", rolled_back, "-y")
    assert narrows("verify", rolled_back)[0] == 1
    assert narrows("forget", rolled_back, "first", "--yes")[0] == 0
    assert narrows("verify", rolled_back)[0] == 0
    assert torch.equal(
        StoreDirectory.open(rolled_back).private_of("second")["bias"], store_samples.content(0).private["bias"]
    )
