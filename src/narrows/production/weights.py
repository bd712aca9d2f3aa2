"""Weights that a user brings: read from a file without running code from it, and put into a model.

Knows state dicts and their usual wrappings; no store and no task.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
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
_WRAPPERS = ("module.", "_orig_mod.")  # of DataParallel and torch.compile
_PREFIXES = (*_WRAPPERS, "model.")  # the last of Lightning, and of whoever keeps the network as self.model
_HOW = (
    "Save the state dict alone, where the model can be loaded: safetensors.torch.save_file(model.state_dict(), "
    "'weights.safetensors') or torch.save(model.state_dict(), 'weights.pt')."
)


def load_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The state dict in a `.safetensors` file or in one of `torch.save` (.pt, .pth, .bin, .ckpt), on the CPU.

    A state dict under "state_dict", "model_state_dict" or "model" is unwrapped, and the prefixes "module." and
    "_orig_mod." of DataParallel and torch.compile, in any order, are taken off.

    Raises:
        WeightsError: there is no such file, it is damaged, or it holds more than tensors (a whole pickled model, say,
            whose reading could run any code; it is refused).
    """
    file = Path(path)
    if file.exists() and not file.is_file() and not file.is_dir():
        raise WeightsError(f"{file} is a pipe or a device: save what it gives into a file.")
    if not file.is_file():
        raise WeightsError(f"There is no file of weights at {file}.")
    if file.suffix == ".safetensors":
        return _strip(_read_safetensors(file), _WRAPPERS)
    if file.suffix in _TORCH:
        return _strip(_state_dict(_read_torch(file), file), _WRAPPERS)
    raise WeightsError(f"{file} is neither .safetensors nor one of {', '.join(_TORCH)}. {_HOW}")


def put_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str | os.PathLike[str] = "the file") -> None:
    """Copies a whole state dict into `model`; `source` names it in errors.

    Tied parameters may stand under any one of their names; a norm's `num_batches_tracked` may be missing. Where no
    name fits as it is, the prefixes "module.", "_orig_mod." and "model.", in any order, are taken off where all names
    have them, there and here, until nothing changes.

    Raises:
        ModelMismatchError: names or shapes do not fit; up to five of each are said, and a prefix that all have.
        WeightsError: a parameter is NaN or infinite.
    """
    state = model.state_dict(keep_vars=True)
    if not weights.keys() & state.keys():
        weights, state = _strip(weights, _PREFIXES), _strip(state, _PREFIXES)
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
        problems += _prefixes(weights, state)
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


def _strip(weights: Mapping[str, Tensor], prefixes: Sequence[str]) -> dict[str, Tensor]:
    """Without these prefixes, where all names have them, until nothing changes."""
    while found := [known for known in prefixes if weights and all(name.startswith(known) for name in weights)]:
        weights = {name.removeprefix(found[0]): value for name, value in weights.items()}
    return dict(weights)


def _prefixes(weights: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """What all names of one side begin with and none of the other."""
    theirs, ours = _common(weights), _common(state)
    found = []
    if theirs and not any(name.startswith(theirs) for name in state):
        found.append(f"all names there begin with {theirs!r}, which would have to go")
    if ours and not any(name.startswith(ours) for name in weights):
        found.append(f"all names of the model begin with {ours!r}")
    return found


def _common(names: Iterable[str]) -> str:
    """The modules that all names lie in, with a dot, or nothing."""
    levels = zip(*(name.split(".")[:-1] for name in names), strict=False)
    return "".join(f"{level[0]}." for level in takewhile(lambda level: len(set(level)) == 1, levels))


def _finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(torch.isfinite(value).all())


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
