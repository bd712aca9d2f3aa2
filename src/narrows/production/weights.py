"""Weights that a user brings: read from a file without running code from it, and put into a model.

Knows state dicts and their usual wrappings; no store and no task.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from narrows.errors import ModelMismatchError, WeightsError

_COLOURS = re.compile(r"\x1b\[[\d;]*m")
_TORCH = (".pt", ".pth", ".bin", ".ckpt")
_WRAPPINGS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile
_HOW = (
    "Save the state dict alone, where the model can be loaded: safetensors.torch.save_file(model.state_dict(), "
    "'weights.safetensors') or torch.save(model.state_dict(), 'weights.pt')."
)


def load_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The state dict in a `.safetensors` file or in one of `torch.save` (.pt, .pth, .bin, .ckpt), on the CPU.

    A state dict under "state_dict", "model_state_dict" or "model" is unwrapped, and the prefixes "module." and
    "_orig_mod." of DataParallel and torch.compile are taken off.

    Raises:
        WeightsError: there is no such file, it is damaged, or it holds more than tensors (a whole pickled model, say,
            whose reading could run any code; it is refused).
    """
    file = Path(path)
    if not file.is_file():
        raise WeightsError(f"There is no file of weights at {file}.")
    if file.suffix == ".safetensors":
        return _strip(_read_safetensors(file))
    if file.suffix in _TORCH:
        return _strip(_state_dict(_read_torch(file), file))
    raise WeightsError(f"{file} is neither .safetensors nor one of {', '.join(_TORCH)}. {_HOW}")


def put_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str | os.PathLike[str] = "the file") -> None:
    """Copies a whole state dict into `model`; `source` names it in errors.

    Tied parameters may stand under any one of their names; a norm's `num_batches_tracked` may be missing.

    Raises:
        ModelMismatchError: names or shapes do not fit; up to five of each are said.
        WeightsError: a parameter is NaN or infinite.
    """
    state = model.state_dict(keep_vars=True)
    given = {id(state[name]) for name in weights if name in state}
    missing = [
        name
        for name, tensor in state.items()
        if name not in weights and id(tensor) not in given and not name.endswith("num_batches_tracked")
    ]
    misshapen = [
        f"{name} is {tuple(weights[name].shape)} there and {tuple(tensor.shape)} in the model"
        for name, tensor in state.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    unexpected = [name for name in weights if name not in state]
    said = [("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen)]
    problems = [f"{what}: {_some(names)}" for what, names in said if names]
    if problems:
        raise ModelMismatchError(
            f"The weights in {os.fspath(source)} are not this model's. {'; '.join(problems)}. Name the factory, and "
            "give it the arguments, with which they were trained."
        )
    broken = [name for name, _ in model.named_parameters() if name in weights and not _finite(weights[name])]
    if broken:
        raise WeightsError(f"The weights in {os.fspath(source)} hold NaN or infinite values: {_some(broken)}.")
    with torch.no_grad():
        for name, value in weights.items():
            state[name].copy_(value)


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(file)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise WeightsError(f"{file} cannot be read as safetensors: {error}. Copy or save it anew.") from error


def _read_torch(file: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch says of old formats is no matter here
            return torch.load(file, weights_only=True, map_location="cpu")
    except OSError as error:
        raise WeightsError(f"{file} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # torch's restricted unpickler raises many kinds
        first = _COLOURS.sub("", str(error)).strip().partition("\n")[0]
        raise WeightsError(
            f"{file} is damaged, or holds more than tensors: a whole pickled model is not read, because reading it "
            f"may run any code. {_HOW} (torch says: {first})"
        ) from error


def _state_dict(found: Any, file: Path) -> dict[str, Tensor]:
    while isinstance(found, Mapping) and (inner := [found[key] for key in _WRAPPINGS if _is_mapping(found.get(key))]):
        found = inner[0]
    if not isinstance(found, Mapping) or not found:
        raise WeightsError(f"{file} holds a {type(found).__name__}, and no state dict. {_HOW}")
    odd = [str(name) for name, value in found.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if odd:
        raise WeightsError(f"{file} holds entries that are no tensors: {_some(odd)}. {_HOW}")
    return dict(found)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _strip(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if weights and all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights


def _finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(torch.isfinite(value).all())


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
