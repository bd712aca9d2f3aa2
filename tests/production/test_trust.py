"""A record found in a store runs only where its user, its environment or its origin with us says so."""

from __future__ import annotations

import json
import os
import sys
import threading

import pytest

from narrows.errors import ConfigError, UntrustedModelError
from narrows.networks import NETWORKS
from narrows.production import ModelRecord
from narrows.production.trust import OURS, is_trusted, remember, require_trust, trusted_file

HOSTILE = ModelRecord("os:system", {"command": "echo owned > owned"})


def test_a_strangers_record_is_refused_with_what_it_would_call():
    with pytest.raises(UntrustedModelError) as refused:
        require_trust(HOSTILE, "somewhere/store")
    said = str(refused.value)
    for part in ("os:system(command='echo owned > owned')", "somewhere/store", "--trust", "NARROWS_TRUST"):
        assert part in said


def test_trust_once_said_is_remembered_for_this_call_only():
    record = ModelRecord("shop.nets:build", {"width": 3})
    require_trust(record, "store", trust=True)
    require_trust(record, "store")
    assert not is_trusted(ModelRecord("shop.nets:build", {"width": 4}))
    assert not is_trusted(ModelRecord("shop.nets:rebuild", {"width": 3}))


def test_the_environment_trusts_factories_by_their_whole_name(monkeypatch):
    monkeypatch.setenv("NARROWS_TRUST", "shop.nets:build, other:thing")
    assert is_trusted(ModelRecord("shop.nets:build", {"width": 3}))
    assert is_trusted(ModelRecord("other:thing"))
    assert not is_trusted(ModelRecord("shop.nets:builder"))
    monkeypatch.setenv("NARROWS_TRUST", "")
    assert not is_trusted(ModelRecord("shop.nets:build", {"width": 3}))


def test_our_networks_are_trusted_and_nothing_else_of_ours():
    assert all(is_trusted(ModelRecord(factory)) for factory in OURS)
    assert len(OURS) == len(NETWORKS)
    for name in ("make_network", "base.importlib.import_module", "small.math.prod", "ConfigError"):
        assert not is_trusted(ModelRecord(f"narrows.networks:{name}"))


def test_asking_imports_nothing(tmp_path, monkeypatch):
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UntrustedModelError):
        require_trust(ModelRecord("trap:build"), "store")
    assert "trap" not in sys.modules


def test_a_damaged_list_is_an_error_that_names_it():
    remember(HOSTILE)
    for damaged in (b"{", b"[]", b'{"trusted": []}', b"\xff\xfe", b"[" * 100_000):
        trusted_file().write_bytes(damaged)
        with pytest.raises(ConfigError, match=r"trusted\.json, is damaged"):
            is_trusted(ModelRecord("other:thing"))


def test_two_that_write_at_once_lose_nothing():
    records = [ModelRecord("shop:build", {"width": width}) for width in range(12)]
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
