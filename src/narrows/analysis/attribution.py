"""What a task leans on, measured on examples: gradient x input, and gradient x activation of each unit.

For an input x_i the figure is the mean over the examples of |dS/dx_i * x_i|; for a unit with activations a_p (its
positions in an image or a sequence) of |sum over p of dS/da_p * a_p|. S is the output for the example's own class; for
a regression and for labels the mean of the figure over the outputs (eight at most, evenly chosen). Both are first-order
estimates of how much S would change if the input were its mean (0 after normalisation) or the unit were silent.
Sources: gradient x input, Shrikumar et al. 2016 (arXiv 1605.01713); for units Molchanov et al. 2017 (arXiv 1611.06440,
eq. 7), who take the loss for S and average over positions; the loss would vanish where an example is surely right.

Units are in units of S (logits, or standard deviations of a regression's target). Works on any module that takes a
tensor, by hooks that are gone afterwards. Knows no store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from narrows.analysis.labelled import Labelled
from narrows.analysis.layers import Layer, instead, layers_of, still, tensor_in
from narrows.analysis.picture import Picture
from narrows.methods.features import CONVOLUTIONS
from narrows.training.device import device_of

OUTPUTS = 8
LARGEST = 4096
"""Inputs of a table or a vector that are listed one by one; of more, there is only the picture of an image."""


@dataclass(frozen=True)
class UnitLeaning:
    """Units of one layer.

    Attributes:
        layer, parameter: the module's path, and its parameter's name.
        units: mean |gradient x activation| of each.
        silent: units at exactly 0 on every example.
    """

    layer: str
    parameter: str
    units: tuple[float, ...]
    silent: tuple[int, ...]


@dataclass(frozen=True)
class Leaning:
    """What a task leans on.

    Attributes:
        examples: that it was measured on.
        outputs: of the network that were averaged over; 1 for a classification.
        inputs: mean |gradient x input| of each column, or each channel of images; () where inputs are no numbers.
        names: of the columns; () otherwise.
        pixels: (height, width): the same of each pixel, its channels summed; None but for images and arrays of two or
            more dimensions.
        layers: of each layer that is called as a module of its own; others are left out (the input projection of
            `nn.MultiheadAttention`, say).
    """

    examples: int
    outputs: int
    inputs: tuple[float, ...]
    names: tuple[str, ...]
    pixels: Picture | None
    layers: tuple[UnitLeaning, ...]


def leaning(model: nn.Module, parameters: Iterable[str], data: Labelled) -> Leaning:
    """What a network leans on.

    Args:
        model: from `store.load`; put back as it was.
        parameters: names of the shared parameters.

    >>> model = nn.Sequential(nn.Linear(3, 2))
    >>> with torch.no_grad():
    ...     _ = model[0].weight.copy_(torch.tensor([[1.0, 0.0, 2.0], [1.0, 0.0, -2.0]]))
    >>> leaning(model, ["0.weight"], Labelled(torch.ones(4, 3), torch.tensor([0, 1, 0, 1]))).inputs
    (1.0, 0.0, 2.0)
    """
    layers = layers_of(model, parameters)
    taps = [_Tap(layer) for layer in layers]
    total: Tensor | None = None
    outputs = 0
    hooks = [hook for tap in taps for hook in tap.hooks(model)]
    try:
        with still(model):
            for x, y in data.batches():
                x, y = x.to(device_of(model)).detach().clone(), y.to(device_of(model))
                if x.is_floating_point():
                    x.requires_grad_()
                columns = _columns(model(x).flatten(1), y, data.kind)
                outputs = len(columns)
                for number, column in enumerate(columns):
                    found = _gradient(column.sum(), x, taps, last=number == outputs - 1)
                    if found is not None:
                        total = found if total is None else total + found
                for tap in taps:
                    tap.clear()
    finally:
        for hook in hooks:
            hook.remove()
    weight = len(data) * max(outputs, 1)
    inputs, pixels = (None, None) if total is None else _inputs(total / weight)
    return Leaning(
        examples=len(data),
        outputs=outputs,
        inputs=() if inputs is None else _rounded(inputs),
        names=data.inputs.names if inputs is not None and len(data.inputs.names) == len(inputs) else (),
        pixels=None if pixels is None else Picture.of(pixels.numpy(), 0, float(pixels.max())),
        layers=tuple(tap.leaning(weight) for tap in taps if tap.total is not None),
    )


class _Tap:
    """Holds a layer's activations in a forward pass, and sums |gradient x activation| of its units over examples."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.units = len(layer.per_unit(layer.weight.detach()))
        self.total: Tensor | None = None
        self._found: list[Tensor] = []

    def hooks(self, model: nn.Module) -> list[Any]:
        """On the layer; on the attention that uses it as a function, where that is how it is used."""
        parent = model.get_submodule(self.layer.name.rpartition(".")[0])
        at = parent if isinstance(parent, nn.MultiheadAttention) else self.layer.module
        return [at.register_forward_hook(self._keep)]

    @property
    def activations(self) -> list[Tensor]:
        """Of the pass; of a layer that is called several times, each call's."""
        return self._found

    def add(self, gradients: Sequence[Tensor | None], examples: int) -> None:
        """Takes in the gradients of `activations`."""
        for activation, gradient in zip(self._found, gradients, strict=True):
            rows = None if gradient is None else self._rows(gradient * activation.detach(), examples)
            if rows is not None:
                summed = rows.abs().double().sum(0).cpu()
                self.total = summed if self.total is None else self.total + summed

    def clear(self) -> None:
        """Lets the activations go."""
        self._found = []

    def leaning(self, weight: int) -> UnitLeaning:
        """The means."""
        assert self.total is not None
        silent = tuple((self.total == 0).nonzero().flatten().tolist())
        return UnitLeaning(self.layer.name, self.layer.parameter, _rounded(self.total / weight), silent)

    def _keep(self, _: nn.Module, __: Any, output: Any) -> Any:
        found = tensor_in(output)
        if found is None:
            return output
        if not found.requires_grad:  # nothing before it has a gradient: words, say
            found = found.detach().requires_grad_()
            output = instead(output, found)
        self._found.append(found)
        return output

    def _rows(self, product: Tensor, examples: int) -> Tensor | None:
        """(examples, units), positions summed; None where the layer gives other than its units."""
        along = 1 if isinstance(self.layer.module, CONVOLUTIONS) else product.dim() - 1
        batch = next((axis for axis in (0, 1) if axis < product.dim() and product.shape[axis] == examples), None)
        if batch is None or batch == along or product.shape[along] != self.units:
            return None
        return product.movedim((batch, along), (0, 1)).flatten(2).sum(2) if product.dim() > 2 else product


def _gradient(score: Tensor, x: Tensor, taps: list[_Tap], *, last: bool) -> Tensor | None:
    """Lets the taps have the gradients of a score; returns the sum over examples of |gradient x input|."""
    activations = [activation for tap in taps for activation in tap.activations]
    wanted = [*([x] if x.requires_grad else []), *activations]
    if not wanted or not score.requires_grad:
        return None
    found = list(torch.autograd.grad(score, wanted, retain_graph=not last, allow_unused=True))
    own = found.pop(0) if x.requires_grad else None
    for tap in taps:
        count = len(tap.activations)
        tap.add(found[:count], len(x))
        found = found[count:]
    return None if own is None else (own * x.detach()).abs().double().sum(0).cpu()


def _columns(outputs: Tensor, y: Tensor, kind: str) -> list[Tensor]:
    """The outputs S, each (n,)."""
    if kind == "classification":
        return [outputs.gather(1, y[:, None])[:, 0]]
    count = outputs.shape[1]
    chosen = range(count) if count <= OUTPUTS else [number * count // OUTPUTS for number in range(OUTPUTS)]
    return [outputs[:, number] for number in chosen]


def _inputs(mean: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """(one number for each column or channel, one for each pixel) of (columns,) or (channels, height, width)."""
    if mean.dim() == 1:
        return (mean if len(mean) <= LARGEST else None), None
    if mean.dim() == 2:
        return None, mean
    return mean.flatten(1).sum(1), mean.sum(0).flatten(1)


def _rounded(values: Tensor) -> tuple[float, ...]:
    return tuple(float(f"{value:.4g}") for value in values.tolist())
