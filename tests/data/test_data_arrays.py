"""NPZ files and functions: arrays as images, as numbers, or as they are."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from narrows.data import ArrayInputs, DataOptions, HookInputs, ImageInputs, make_batches, read_training, read_with
from narrows.errors import DataError

Y = np.array([0, 1, 0, 1])


def npz(tmp_path: Path, **arrays: Any) -> Path:
    np.savez(tmp_path / "a.npz", **arrays)
    return tmp_path / "a.npz"


@pytest.mark.parametrize("shape", [(4, 6, 5), (4, 3, 6, 5), (4, 6, 5, 3), (4, 6, 5, 1)])
def test_bytes_in_the_shape_of_images_are_images(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    schema, examples = read_training(npz(tmp_path, x=x, y=Y))
    assert isinstance(schema.inputs, ImageInputs)
    channels = 3 if 3 in shape else 1
    assert examples.x.dtype == torch.uint8
    assert examples.shape == (channels, 6, 5)
    want = x[:, None] if x.ndim == 3 else x if x.shape[1] == channels else x.transpose(0, 3, 1, 2)
    assert np.array_equal(examples.x.numpy(), want)


def test_images_in_arrays_are_resized_and_ambiguous_ones_refused(tmp_path: Path) -> None:
    x = np.zeros((4, 8, 8), dtype=np.uint8)
    x[:, ::2] = 200
    schema, examples = read_training(npz(tmp_path, x=x, y=Y), DataOptions(image_size=4, channels=3))
    assert examples.x.unique().tolist() == [100]
    assert examples.shape == schema.shape == (3, 4, 4)
    assert examples.notes == (
        "4 of 4 images were resized to 4 x 4 pixels",
        "4 of 4 images were grey and got three equal channels",
        "4 of 4 images are in more than one class, pixel for pixel: 0 in '0' is 1 in '1'",
    )
    with pytest.raises(DataError, match="may have their channels first or last"):
        read_training(npz(tmp_path, x=np.zeros((4, 3, 6, 3), dtype=np.uint8), y=Y))


def test_numbers_are_scaled_when_batches_are_made(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(5, 2, (4, 2, 7))
    schema, examples = read_training(npz(tmp_path, x=x, y=Y))
    assert isinstance(schema.inputs, ArrayInputs)
    assert np.array_equal(examples.x.numpy(), x.astype(np.float32))
    batch, _ = next(iter(make_batches(schema, examples, 4, shuffle=False)))
    assert batch.mean((0, 2)).tolist() == pytest.approx([0, 0], abs=1e-5)
    assert batch.std((0, 2), correction=0).tolist() == pytest.approx([1, 1], abs=1e-5)
    with pytest.raises(DataError, match=r"float32 \(2, 6\); the task was learned from float32 \(2, 7\)"):
        read_with(schema, npz(tmp_path, x=x[..., :6], y=Y))
    one, _ = read_training(npz(tmp_path, x=np.array([[1.1, 1], [1.1, 2], [1.1, 3], [1.1, 4]]), y=Y))
    assert isinstance(one.inputs, ArrayInputs)
    assert one.inputs.std[0] == 1.0  # a feature that never changes


def test_nan_and_infinite_inputs_are_bad_rows(tmp_path: Path) -> None:
    x = np.arange(8.0).reshape(4, 2)
    x[1, 0], x[2, 1] = np.nan, np.inf
    with pytest.raises(DataError, match=r"(?s)2 of 4.*1: an input is NaN.*2: an input is infinite"):
        read_training(npz(tmp_path, x=x, y=Y))
    schema, examples = read_training(tmp_path / "a.npz", DataOptions(bad="skip"))
    assert examples.ids == ("0", "3")
    assert isinstance(schema.inputs, ArrayInputs)
    assert schema.inputs.mean == (3.0, 4.0)


def test_targets_of_several_numbers(tmp_path: Path) -> None:
    x, y = np.arange(8.0).reshape(4, 2), np.arange(8.0).reshape(4, 2) / 3
    schema, _ = read_training(npz(tmp_path, x=x, y=y))
    assert (schema.target.kind, schema.target.names) == ("regression", ("y[0]", "y[1]"))
    schema, examples = read_training(npz(tmp_path, x=x, y=np.array([[1, 1], [0, 1], [0, 0], [1, 0]])))
    assert schema.target.kind == "multilabel"
    assert read_with(schema, tmp_path / "a.npz").fingerprint == examples.fingerprint
    with pytest.raises(DataError, match=r"the targets are y\[0\], y\[1\], y\[2\]; the task was learned with"):
        read_with(schema, npz(tmp_path, x=x, y=np.ones((4, 3))))


def test_arrays_are_found_by_name(tmp_path: Path) -> None:
    x = np.zeros((4, 2))
    path = npz(tmp_path, x_train=x, y_train=np.array(["a", "b", "a", "b"]), x_test=x[:2])
    with pytest.raises(
        DataError, match=r"no array for the inputs: looked for one named x,.*there are x_train, y_train"
    ):
        read_training(path)
    options = DataOptions(features=("x_train",), target="y_train")
    schema, _ = read_training(path, options)
    assert schema.target.names == ("a", "b")
    assert len(read_with(schema, path, DataOptions(features=("x_test",)), targets="ignored")) == 2
    with pytest.raises(DataError, match="no array 'x_trian'; did you mean 'x_train'"):
        read_training(path, DataOptions(features=("x_trian",)))
    with pytest.raises(DataError, match="several arrays for the inputs"):
        read_training(npz(tmp_path, x=x, images=x, y=Y))
    with pytest.raises(DataError, match="there are no targets"):
        read_training(npz(tmp_path, x=x))


def test_npz_files_that_are_broken_are_refused(tmp_path: Path) -> None:
    x = np.arange(8.0).reshape(4, 2)
    for arrays, said in (
        ({"x": x, "y": np.array(["a", 1, None, 2], dtype=object)}, "'y' cannot be read.*not as Python objects"),
        ({"x": np.array([object()] * 4), "y": Y}, "'x' cannot be read"),
        ({"x": x, "y": Y[:3]}, "'y' has 3 entries, the inputs 4"),
        ({"x": x[:0], "y": Y[:0]}, "'x' has no rows"),
        ({"x": np.array(3.0), "y": Y}, "not an array with rows"),
        ({"x": x.astype(complex), "y": Y}, "array of complex128; needs numbers"),
        ({"x": np.zeros((4, 0)), "y": Y}, "empty array"),
        ({"x": x, "y": Y.astype(complex)}, "'y' is an array of complex128"),
    ):
        with pytest.raises(DataError, match=said):
            read_training(npz(tmp_path, **arrays))
    path = npz(tmp_path, x=x, y=Y)
    whole = path.read_bytes()
    for data in (whole[:100], whole[:-30], b"no archive", whole[:60] + bytes(20) + whole[80:]):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"a\.npz"):
            read_training(path)
    np.save(tmp_path / "b.npy", x)
    (tmp_path / "b.npy").rename(path)
    with pytest.raises(DataError, match="a single array and not an NPZ file"):
        read_training(path)


def test_arrays_need_no_extra_and_tables_say_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = npz(tmp_path, x=np.zeros((4, 6, 5), dtype=np.uint8), y=np.array(["a", "b", "a", "b"]))
    for module in ("sklearn.impute", "pyarrow", "pyarrow.csv", "PIL.Image"):
        monkeypatch.setitem(sys.modules, module, None)
    assert len(read_training(path)[1]) == 4
    (tmp_path / "a.csv").write_text("a,y\n1,u\n2,v\n")
    with pytest.raises(DataError, match=r'needs pyarrow: pip install "narrows\[data\]"'):
        read_training(tmp_path / "a.csv")


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of the user's."""
    module = ModuleType("shop_data")
    monkeypatch.setitem(sys.modules, "shop_data", module)
    return module


def test_a_function_gives_tensors_as_they_are(shop: Any) -> None:
    x, y = torch.randn(4, 5, 2), torch.tensor([1, 0, 1, 0])
    shop.load = lambda: (x, y)
    schema, examples = read_training("hook:shop_data:load")
    assert schema.inputs == HookInputs((5, 2), "float32")
    assert torch.equal(examples.x, x)
    batch, labels = next(iter(make_batches(schema, examples, 4, shuffle=False)))
    assert torch.equal(batch, x)
    assert torch.equal(labels, y)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=3)
    for batches in (loader, [(x[:3], y[:3]), (x[3:], y[3:])], ((x[i : i + 1], y[i : i + 1]) for i in range(4))):
        shop.load = lambda batches=batches: batches
        again = read_with(schema, "hook:shop_data:load")
        assert again.fingerprint == examples.fingerprint
    shop.load = lambda: x
    assert read_with(schema, "hook:shop_data:load", targets="optional").y is None
    shop.load = lambda: (x.numpy().tolist(), ["a", "b", "a", "b"])
    assert read_training("hook:shop_data:load")[0].target.names == ("a", "b")
    shop.load = lambda: (torch.zeros(4, 3, 2, 2, dtype=torch.uint8), y)
    assert read_training("hook:shop_data:load")[0].inputs == HookInputs((3, 2, 2), "uint8")


def test_what_a_function_gives_wrong_is_said(shop: Any) -> None:
    x, y = torch.randn(4, 2), torch.tensor([1, 0, 1, 0])
    for result, said in (
        ((x, y[:3]), "'y' has 3 entries, the inputs 4"),
        (None, "returned NoneType"),
        ([], "gave no data"),
        ((["a", "b"], [1, 2]), "x is an array of"),
        (([[1], [1, 2]], [1, 2]), "x cannot be made one array"),
        ([(x, y, y)], r"must give \(x, y\)"),
        ((torch.full((4, 2), float("nan")), y), "4 of 4 examples cannot be used"),
    ):
        shop.load = lambda result=result: result
        with pytest.raises(DataError, match=said):
            read_training("hook:shop_data:load")
    with pytest.raises(DataError, match="has no function 'laod'; did you mean 'load'"):
        read_training("hook:shop_data:laod")
    with pytest.raises(DataError, match="module 'no_such_module' cannot be imported"):
        read_training("hook:no_such_module:load")


def test_a_function_runs_only_by_its_prefix(shop: Any, tmp_path: Path) -> None:
    ran = []
    shop.load = lambda: ran.append(1)
    with pytest.raises(DataError):
        read_training("shop_data:load")
    assert not ran
    hook = HookInputs((2,), "float32")
    schema, _ = read_training(npz(tmp_path, x=np.eye(4)[:, :2], y=Y))
    with pytest.raises(
        DataError, match="holds an array; the task was learned from float32 arrays of 2 numbers, from a"
    ):
        read_with(type(schema)(hook, schema.target), tmp_path / "a.npz")
