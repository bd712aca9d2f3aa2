"""A record found in a store runs only where its user, its environment or its origin with us says so."""

from __future__ import annotations

import json
import os
import pathlib
import re
import sys
import threading

import pytest

from narrows.errors import ConfigError, ModelBuildError, UntrustedModelError
from narrows.factories import Factory
from narrows.factories.trust import OURS, is_trusted, remember, require_trust, trusted_file
from narrows.here import looking_here
from narrows.networks import NETWORKS


@pytest.fixture(autouse=True)
def _shop(tmp_path_factory, monkeypatch):
    """Packages and modules that there are; none is imported."""
    where = tmp_path_factory.mktemp("packages")
    for name in ("shop", "other"):
        (where / name).mkdir()
        (where / name / "__init__.py").write_text("raise SystemExit('imported')\n")
    (where / "nets.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(where))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))


HOSTILE = Factory("os:system", {"command": "echo owned > owned"})


def test_a_strangers_record_is_refused_with_what_it_would_call():
    with pytest.raises(UntrustedModelError) as refused:
        require_trust(HOSTILE, "somewhere/store")
    said = str(refused.value)
    for part in ("os:system(command='echo owned > owned')", "somewhere/store", "--trust", "NARROWS_TRUST"):
        assert part in said


def test_trust_once_said_is_remembered_for_this_call_only():
    record = Factory("shop.nets:build", {"width": 3})
    require_trust(record, "store", trust=True)
    require_trust(record, "store")
    assert not is_trusted(Factory("shop.nets:build", {"width": 4}))
    assert not is_trusted(Factory("shop.nets:rebuild", {"width": 3}))


def test_the_environment_trusts_a_whole_name_without_arguments(monkeypatch):
    monkeypatch.setenv("NARROWS_TRUST", "shop.nets:build, other:thing")
    assert is_trusted(Factory("shop.nets:build"))
    assert is_trusted(Factory("other:thing"))
    assert not is_trusted(Factory("shop.nets:builder"))
    assert not is_trusted(Factory("shop.nets:build", {"width": 3}))
    monkeypatch.setenv("NARROWS_TRUST", "")
    assert not is_trusted(Factory("shop.nets:build"))


def asked(record, store="store") -> str:
    with pytest.raises(UntrustedModelError) as refused:
        require_trust(record, store)
    return str(refused.value)


def test_the_environment_trusts_arguments_by_the_digest_that_the_refusal_says(monkeypatch):
    record = Factory("shop.nets:build", {"width": 3})
    entry = re.search(r"list (shop\.nets:build@[0-9a-f]{64}) in the environment", asked(record))[1]
    monkeypatch.setenv("NARROWS_TRUST", f"other:thing, {entry}")
    assert is_trusted(record)
    assert not is_trusted(Factory("shop.nets:build", {"width": 4}))
    assert not is_trusted(Factory("shop.nets:other", {"width": 3}))
    monkeypatch.setenv("NARROWS_TRUST", entry.replace("shop.nets:build", "other:thing"))
    assert not is_trusted(record)


def elsewhere(tmp_path, monkeypatch, text: str) -> None:
    """Another `nets` stands before the one that was trusted."""
    (tmp_path / "nets.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_the_same_name_from_another_place_is_asked_about_again(tmp_path, monkeypatch):
    record = Factory("nets:net", {"width": 3})
    require_trust(record, "store", trust=True)
    require_trust(record, "store")
    elsewhere(tmp_path, monkeypatch, "raise SystemExit('imported')\n")  # the same bytes
    said = asked(record)
    assert f"from the file {tmp_path}/nets.py (SHA-256 " in said
    assert "what was trusted is that call from the file " in said
    require_trust(record, "store", trust=True)
    require_trust(record, "store")


def test_a_file_that_has_changed_is_asked_about_again(tmp_path, monkeypatch):
    elsewhere(tmp_path, monkeypatch, "net = print\n")
    record = Factory("nets:net")
    require_trust(record, "store", trust=True)
    (tmp_path / "nets.py").write_text("net = eval\n")
    assert not is_trusted(record)
    (tmp_path / "nets.py").write_text("net = print\n")
    assert is_trusted(record)


def test_a_name_in_the_environment_is_no_file_of_the_current_directory(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("net = print\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NARROWS_TRUST", "mine:net")
    record = Factory("mine:net")
    with looking_here("mine"):
        entry = re.search(r"mine:net@[0-9a-f]{64}", asked(record))[0]
        monkeypatch.setenv("NARROWS_TRUST", entry)
        assert is_trusted(record)
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:-1])
    monkeypatch.syspath_prepend(str(tmp_path))  # as PYTHONPATH has it: this user said where it lies
    monkeypatch.setenv("NARROWS_TRUST", "mine:net")
    assert is_trusted(record)


def test_what_was_trusted_by_name_alone_is_asked_about_once():
    trusted_file().parent.mkdir(parents=True)
    old = {"factory": "shop:net", "arguments": {}, "since": "2026-01-01T00:00:00+00:00"}
    trusted_file().write_text(json.dumps({"trusted": {"0" * 64: old}}))
    record = Factory("shop:net")
    assert "what was trusted is that call from wherever it came from" in asked(record)
    require_trust(record, "store", trust=True)
    assert is_trusted(record)


def test_what_is_not_there_is_no_question_of_trust():
    for trust in (False, True):
        with pytest.raises(ModelBuildError, match=r"There is no module 'nowhere\.nets'"):
            require_trust(Factory("nowhere.nets:net"), "store", trust)
    assert not trusted_file().exists()


def test_a_letter_that_looks_like_another_stands_by_its_number():
    pathlib.Path(sys.path[0], "n\u0435ts.py").touch()
    said = asked(Factory("n\u0435ts:net"))
    assert r"calling n\u0435ts:net() (some of its letters look like others" in said
    assert "n\u0435ts:net" not in said


def test_arguments_cannot_speak_for_us():
    forged = {"w) which you have trusted.\n\x1b[2KSay --trust": 1}
    said = asked(Factory("shop:net", forged))
    assert said.isprintable()
    assert r"shop:net(**{'w) which you have trusted.\n\x1b[2KSay --trust': 1})" in said


def test_a_list_behind_a_link_is_written_where_it_lies(tmp_path):
    (tmp_path / "dotfiles.json").write_text('{"trusted": {}}')
    trusted_file().parent.mkdir(parents=True)
    trusted_file().symlink_to(tmp_path / "dotfiles.json")
    remember(HOSTILE)
    assert trusted_file().is_symlink()
    assert is_trusted(HOSTILE)


def test_our_networks_are_trusted_and_nothing_else_of_ours():
    assert all(is_trusted(Factory(factory)) for factory in OURS)
    assert len(OURS) == len(NETWORKS)
    for name in ("make_network", "base.importlib.import_module", "small.math.prod", "ConfigError"):
        assert not is_trusted(Factory(f"narrows.networks:{name}"))


def test_asking_imports_nothing(tmp_path, monkeypatch):
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UntrustedModelError):
        require_trust(Factory("trap:build"), "store")
    assert "trap" not in sys.modules


def test_a_damaged_list_is_an_error_that_names_it():
    remember(HOSTILE)
    for damaged in (b"{", b"[]", b'{"trusted": []}', b"\xff\xfe", b"[" * 100_000):
        trusted_file().write_bytes(damaged)
        with pytest.raises(ConfigError, match=r"trusted\.json, is damaged"):
            is_trusted(Factory("other:thing"))


def test_two_that_write_at_once_lose_nothing():
    records = [Factory("shop:build", {"width": width}) for width in range(12)]
    threads = [threading.Thread(target=remember, args=(record,)) for record in records]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(is_trusted(record) for record in records)
    assert len(json.loads(trusted_file().read_text())["trusted"]) == len(records)


def test_a_home_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="could not be remembered"):
        require_trust(HOSTILE, "store", trust=True)


def test_a_relative_config_home_is_not_followed(monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", "here")
    assert os.path.isabs(trusted_file())
