"""The kept store with every optional part of version 1 must be read, to the last bit, by every narrows to come."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from narrows.store import StoreDirectory, checkpoint_file
from narrows.store.compose import composed, weights_of
from narrows.subnet import Composition
from store_samples import assert_tensors, snapshot

GOLDEN = Path(__file__).parent.parent / "golden" / "store-v1-full"


@pytest.fixture
def store(tmp_path: Path) -> StoreDirectory:
    """The golden store, copied: no test may write in the kept one."""
    return StoreDirectory.open(shutil.copytree(GOLDEN, tmp_path / "s"))


def sparse(count: int, dtype: torch.dtype, **values: float) -> torch.Tensor:
    """Zeros but for the elements named, as `_3=0.25`."""
    found = torch.zeros(count, dtype=dtype)
    for name, value in values.items():
        found[int(name[1:])] = value
    return found


def test_header(store: StoreDirectory) -> None:
    header = store.header
    assert store.task_names() == ("Größe 二", "third", "own", "overwriting")
    assert [task.directory for task in header.tasks] == ["0005-groe", "0006-third", "0003-own", "0004-overwriting"]
    assert header.next_index == 8
    assert header.model == {"factory": "shop.models:network", "options": {"width": 5, "names": ["Größe", None]}}
    assert header.snapshot is not None
    assert (header.snapshot.file, header.snapshot.tasks) == ("snapshot/0007.safetensors", 4)
    assert header.carry is not None
    assert (header.carry.file, header.carry.method) == ("carry/0004.safetensors", "ewc")
    assert store.record("third").parents == ("Größe 二",)
    assert [record.isolation for record in store.records()] == ["shared", "shared", "own", "none"]


def test_weights_that_were_taken_over_from_a_forgotten_task(store: StoreDirectory) -> None:
    second, third = weights_of(store, "Größe 二")[0], weights_of(store, "third")[0]
    late = {f"_{10 + 2 * k}": 100 + k / 16 for k in range(5)}
    assert_tensors(
        second,
        {
            "conv.weight": sparse(12, torch.bfloat16, _3=0.25).reshape(2, 3, 1, 2),
            "fc.weight": sparse(20, torch.float32, _6=16, _8=22, **late).reshape(4, 5),
        },
    )
    assert_tensors(
        third,
        {
            "conv.weight": sparse(12, torch.bfloat16, _3=0.25, _9=0.5).reshape(2, 3, 1, 2),
            "fc.weight": sparse(20, torch.float32, _8=22, _10=100, _12=-1, _19=-2).reshape(4, 5),
        },
    )
    claimed = {name: len(part.claimed) for name, part in store.subnet("third").parts.items()}
    assert claimed == {"conv.weight": 1, "fc.weight": 2}
    for name, value in (("own", 0.5), ("overwriting", 2.0)):
        assert all(bool((tensor == value).all()) for tensor in weights_of(store, name)[0].values())


def test_snapshot(store: StoreDirectory) -> None:
    found = store.snapshot()
    assert found is not None
    gathered = composed(store, anew=True).held()
    for name, part in gathered.parts.items():
        assert_tensors(vars(found.parts[name]), vars(part))
    owners = Composition(store.shared, found).owners["fc.weight"]
    assert owners.tolist() == [-1] * 6 + [
        0,
        -1,
        0,
        -1,
        0,
        -1,
        1,
        -1,
        0,
        -1,
        0,
        -1,
        0,
        1,
    ]
    assert (found.kept, found.own, found.overwriting) == (8 + 3, 1, True)


def test_checkpoint(store: StoreDirectory) -> None:
    tree = store.checkpoint("next").load()
    assert tree is not None
    weights = tree.pop("weights")
    assert_tensors(
        weights,
        {"fc.weight": torch.arange(4, dtype=torch.bfloat16).reshape(2, 2), "count": torch.tensor(3)},
    )
    rate = tree.pop("rate")
    assert rate != rate
    assert tree == {"step": 7, "done": False, "best": None, "losses": [0.5, float("inf"), [1, "二"]]}
    (file,) = GOLDEN.glob("progress/*")
    assert file.name == "next-c6c1c9a9c8543f1e.ckpt"
    again = checkpoint_file.decode(file.read_bytes(), "x")
    assert checkpoint_file.encode(again, "x") == file.read_bytes()


def test_it_is_sound_and_goes_on(store: StoreDirectory) -> None:
    assert store.verify(deep=True) == []
    before = snapshot(GOLDEN)
    third = weights_of(store, "third")
    with store.lock():
        store.forget("Größe 二")
        store.compact()
    assert store.header.model == StoreDirectory.open(GOLDEN).header.model
    assert_tensors(weights_of(store, "third")[0], third[0])
    assert store.verify(deep=True) == []
    assert snapshot(GOLDEN) == before
