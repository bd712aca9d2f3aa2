"""A network's layers that hold shared parameters: which there are, and which unit and which input a weight belongs to.

Knows modules and parameters by name; no task, store or data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from narrows.methods.features import CONVOLUTIONS
from narrows.tasks.partition import named_tensors

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True, eq=False)
class Layer:
    """A module that holds a shared parameter; tied parameters are held by several.

    Attributes:
        name: path of the module.
        parameter: as the store names it.
        module: the module.
        weight: the parameter.
    """

    name: str
    parameter: str
    module: nn.Module
    weight: nn.Parameter

    def per_unit(self, values: Tensor) -> Tensor:
        """Sums of `values`, of the weight's shape, over the weights of each unit: an output channel, a neuron, a
        hidden state of an LSTM (its four gates together), a dimension of an embedding. Shape (units,)."""
        module = self.module
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            return values.sum(0)
        if isinstance(module, TRANSPOSED):
            return values.reshape(module.groups, -1, *values.shape[1:]).flatten(3).sum((1, 3)).flatten()
        rows = values.flatten(1).sum(1)
        if isinstance(module, nn.RNNBase) and len(rows) % module.hidden_size == 0:
            return rows.reshape(-1, module.hidden_size).sum(0)
        return rows

    def per_input(self, values: Tensor) -> Tensor:
        """Sums of `values` over the weights that read each input: a channel, a neuron, a word. Shape (inputs,)."""
        module = self.module
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag, *TRANSPOSED)):
            return values.flatten(1).sum(1)
        if isinstance(module, CONVOLUTIONS):
            return values.reshape(module.groups, -1, *values.shape[1:]).flatten(3).sum((1, 3)).flatten()
        return values.flatten(2).sum(2).sum(0) if values.dim() > 2 else values.sum(0)


def layers_of(model: nn.Module, parameters: Iterable[str]) -> tuple[Layer, ...]:
    """The layers that hold these parameters, in the order in which the model registers them."""
    tensors = named_tensors(model)
    wanted = {id(tensors[name]): name for name in parameters if name in tensors}
    return tuple(
        Layer(path, wanted[id(param)], module, param)
        for path, module in model.named_modules()
        for _, param in module.named_parameters(recurse=False, remove_duplicate=False)
        if id(param) in wanted
    )


def first_layer(layers: Iterable[Layer]) -> Layer | None:
    """The first that was registered: mostly what the inputs go into. (The order of calls is not looked at.)"""
    return next(iter(layers), None)


@contextmanager
def still(model: nn.Module) -> Iterator[None]:
    """Eval mode with gradients switched on and no parameter asking for one; all is put back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    asking = [(param, param.requires_grad) for param in model.parameters()]
    model.eval().requires_grad_(False)
    try:
        with torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for param, asks in asking:
            param.requires_grad_(asks)


def tensor_in(output: object) -> Tensor | None:
    """The floating-point tensor that a module gave, or the first of several; None where there is none."""
    first = output[0] if isinstance(output, tuple | list) and output else output
    return first if isinstance(first, Tensor) and first.is_floating_point() else None


def instead(output: object, tensor: Tensor) -> object:
    """`output` with `tensor` in the place of what `tensor_in` found."""
    if isinstance(output, tuple):
        return (tensor, *output[1:])
    return [tensor, *output[1:]] if isinstance(output, list) else tensor
