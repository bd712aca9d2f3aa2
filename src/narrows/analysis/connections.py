"""What goes into and out of each unit of a task's sub-network: kept weights counted, without any data.

A unit is an output channel of a convolution, a neuron of a linear layer, a hidden state of an LSTM, a dimension of an
embedding. Its weights *in* are its own; its weights *on* are those of the layer that reads it. Which layer that is is
found by running the network once: B reads A where A's output reaches the network's outputs through B's input only
(tested by cutting the gradient there), so a network with skip connections gets None for them, and not a wrong number.
That unit i of A is input i of B (or inputs i*k to (i+1)*k, after flattening) is taken from the sizes; a layer between
them that reorders channels would not be seen.

Knows a loaded sub-network and its mask; no store and no targets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from narrows.analysis.inputs import TaskInputs
from narrows.analysis.layers import Layer, first_layer, instead, layers_of, still, tensor_in
from narrows.subnet import SubNetwork


@dataclass(frozen=True)
class UnitConnections:
    """Units of one layer (`tasks/*/mask.bin`, `claimed.safetensors`).

    Attributes:
        layer, parameter: the module's path, and its parameter's name.
        kept_in, strength_in: for each unit the kept weights that go into it, and the sum of their absolute values.
        reader: path of the layer that alone reads the units; None where there is no one such.
        kept_on, strength_on: for each unit the kept weights that read it; () without a reader.
        dead: units that can say nothing about the input: no kept weight goes in, or none on.
    """

    layer: str
    parameter: str
    kept_in: tuple[int, ...]
    strength_in: tuple[float, ...]
    reader: str | None
    kept_on: tuple[int, ...]
    strength_on: tuple[float, ...]
    dead: tuple[int, ...]


@dataclass(frozen=True)
class InputConnections:
    """Inputs of the first layer that is registered.

    Attributes:
        layer, parameter: the module's path, and its parameter's name.
        kept, strength: for each input (channel, pixel of flattened images, column, word) the kept weights that read
            it, and the sum of their absolute values.
        names: of the columns, of a table; () otherwise.
        unread: inputs that no kept weight reads.
    """

    layer: str
    parameter: str
    kept: tuple[int, ...]
    strength: tuple[float, ...]
    names: tuple[str, ...]
    unread: tuple[int, ...]


@dataclass(frozen=True)
class Connections:
    """Of a task: its inputs (None for a network without a shared layer) and the units of each layer."""

    task: str
    inputs: InputConnections | None
    layers: tuple[UnitConnections, ...]


def connections(
    task: str,
    model: nn.Module,
    subnet: SubNetwork,
    *,
    head: str | None = None,
    inputs: TaskInputs | None = None,
    sample: Any = None,
) -> Connections:
    """Kept weights of each input and unit.

    Args:
        model: from `store.load`; put back as it was.
        subnet: what it keeps.
        head: path of the head, which reads the last units; all its weights count as kept.
        inputs: names of the columns, and the shape of an example, to run the network on one random example.
        sample: inputs (n, ...) to run it on instead: a network that takes words needs it. Without either no reader is
            found.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> subnet = SubNetwork.of_masks({"0.weight": torch.tensor([[True, False], [True, False], [False, False]])})
    >>> found = connections("a", model, subnet, head="2", inputs=TaskInputs((2,)))
    >>> found.inputs.unread, found.layers[0].kept_in, found.layers[0].reader, found.layers[0].dead
    ((1,), (1, 1, 0), '2', (2,))
    """
    layers = layers_of(model, subnet.parts)
    readers = [*layers, *_head(model, head)]
    if sample is None and inputs is not None and inputs.shape:
        sample = torch.randn(2, *inputs.shape, generator=torch.Generator().manual_seed(0))
    reading = {} if sample is None else _readers(model, readers, sample)

    def kept(layer: Layer) -> Tensor:
        if layer.parameter not in subnet.parts:
            return torch.ones(layer.weight.shape).double()
        return subnet.kept_mask(layer.parameter).double()

    return Connections(
        task,
        _inputs(first_layer(layers), kept, inputs),
        tuple(_units(layer, reading.get(layer.name), kept) for layer in layers),
    )


def _inputs(layer: Layer | None, kept: Callable[[Layer], Tensor], inputs: TaskInputs | None) -> InputConnections | None:
    if layer is None:
        return None
    counts, strengths = (layer.per_input(part) for part in (kept(layer), _sizes(layer)))
    names = inputs.names if inputs is not None and len(inputs.names) == len(counts) else ()
    return InputConnections(layer.name, layer.parameter, _ints(counts), _floats(strengths), names, _where(counts == 0))


def _units(layer: Layer, reader: Layer | None, kept: Callable[[Layer], Tensor]) -> UnitConnections:
    into, strength = (layer.per_unit(part) for part in (kept(layer), _sizes(layer)))
    dead = into == 0
    on, strength_on = (
        (None, None)
        if reader is None
        else (_folded(reader.per_input(part), len(into)) for part in (kept(reader), _sizes(reader)))
    )
    if on is not None:
        dead = dead | (on == 0)
    return UnitConnections(
        layer=layer.name,
        parameter=layer.parameter,
        kept_in=_ints(into),
        strength_in=_floats(strength),
        reader=None if reader is None or on is None else reader.name,
        kept_on=() if on is None else _ints(on),
        strength_on=() if strength_on is None else _floats(strength_on),
        dead=_where(dead),
    )


def _head(model: nn.Module, path: str | None) -> list[Layer]:
    head = model.get_submodule(path) if path else None
    weight = getattr(head, "weight", None)
    if not isinstance(head, nn.Linear) or not isinstance(weight, nn.Parameter):
        return []
    return [Layer(path or "", "", head, weight)]


def _readers(model: nn.Module, layers: list[Layer], sample: Any) -> dict[str, Layer]:
    """For each layer the one that alone reads it. Nothing where the network cannot take the sample."""
    called: list[Layer] = []
    hooks = [layer.module.register_forward_hook(_note(called, layer)) for layer in layers]
    try:
        with still(model):
            model(sample)
    except Exception:  # whatever the user's forward may raise: an example of the wrong kind was made up for it
        return {}
    finally:
        for hook in hooks:
            hook.remove()
    once = [layer for layer in called if sum(other.module is layer.module for other in called) == 1]
    pairs = pairwise(once)
    return {one.name: other for one, other in pairs if _reads_alone(model, one, other, sample)}


def _note(called: list[Layer], layer: Layer) -> Any:
    def note(*_: Any) -> None:
        called.append(layer)

    return note


def _reads_alone(model: nn.Module, one: Layer, other: Layer, sample: Any) -> bool:
    """Whether all that comes from `one` goes through the input of `other`."""
    units, inputs = len(one.per_unit(one.weight.detach())), len(other.per_input(other.weight.detach()))
    if inputs % units:
        return False
    reached: list[bool] = []

    def begin(_: nn.Module, __: Any, output: Any) -> Any:
        found = tensor_in(output)
        return output if found is None else instead(output, found.detach().requires_grad_())

    def cut(_: nn.Module, args: tuple[Any, ...]) -> Any:
        reached.append(any(isinstance(arg, Tensor) and arg.requires_grad for arg in args))
        return tuple(arg.detach() if isinstance(arg, Tensor) else arg for arg in args)

    hooks = [one.module.register_forward_hook(begin), other.module.register_forward_pre_hook(cut)]
    try:
        with still(model):
            output = tensor_in(model(sample))
    finally:
        for hook in hooks:
            hook.remove()
    return reached == [True] and output is not None and not output.requires_grad


def _folded(values: Tensor, units: int) -> Tensor:
    return values.reshape(units, -1).sum(1)


def _sizes(layer: Layer) -> Tensor:
    return layer.weight.detach().abs().double().cpu()


def _ints(values: Tensor) -> tuple[int, ...]:
    return tuple(int(value) for value in values.tolist())


def _floats(values: Tensor) -> tuple[float, ...]:
    return tuple(float(f"{value:.4g}") for value in values.tolist())


def _where(holds: Tensor) -> tuple[int, ...]:
    return tuple(holds.nonzero().flatten().tolist())
