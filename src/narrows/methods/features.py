"""Compression ratio of each layer from decomposing its hidden representations.

The paper sets each layer's pressure from a singular value decomposition of its outputs. The
published code decomposes a (batch x height x width) x channels matrix for every batch; here a channels x
channels covariance is accumulated over a sample of batches and decomposed once, which gives the same ranks
for the cost of one small `eigvalsh` a layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

VARIANCE_KEPT = 0.97
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class Covariance:
    """Accumulated second moments of a layer's outputs; `rows` are (positions, channels)."""

    def __init__(self) -> None:
        self.count = 0
        self.total: Tensor | None = None
        self.products: Tensor | None = None

    def add(self, rows: Tensor) -> None:
        # in float64, which Apple's GPUs have not
        rows = (rows.detach().cpu() if rows.device.type == "mps" else rows.detach()).double()
        self.count += rows.shape[0]
        total, products = rows.sum(0), rows.T @ rows
        self.total = total if self.total is None else self.total + total
        self.products = products if self.products is None else self.products + products

    def effective_rank(self, variance: float = VARIANCE_KEPT) -> float:
        """Directions that hold `variance` of the variance, as a fraction of the channels, in (0, 1]."""
        if self.total is None or self.products is None or self.count < 2:
            return 1.0
        mean = self.total / self.count
        eigenvalues = torch.linalg.eigvalsh(self.products / self.count - torch.outer(mean, mean))
        spectrum = eigenvalues.flip(0).clamp_min(0)
        whole = spectrum.sum()
        if not whole > 0:
            return 1.0 / len(spectrum)  # a constant output: one direction at most
        rank = int((spectrum.cumsum(0) < variance * whole).sum()) + 1
        return min(rank, len(spectrum)) / len(spectrum)


@torch.no_grad()
def effective_ranks(
    model: nn.Module,
    batches: Iterable[tuple[Any, Any]],
    names: Sequence[str],
) -> dict[str, float]:
    """Effective rank of the outputs of the layers that hold the parameters `names`.

    Hooks are on the model only while this runs, and its mode (train or eval) is put back. A parameter whose
    module is never called on its own (the output projection of `nn.MultiheadAttention`, say) is left out.

    Args:
        batches: (inputs, anything), the inputs where the model is.
        names: parameters.

    Returns:
        parameter name -> fraction of the layer's channels, in (0, 1].
    """
    layers: dict[nn.Module, Covariance] = {}
    owners = {name: model.get_submodule(name.rpartition(".")[0]) for name in names}
    hooks = []
    for module in set(owners.values()):
        layers[module] = Covariance()
        hooks.append(module.register_forward_hook(_collector(layers[module])))
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        for inputs, _ in batches:
            model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
    return {name: layers[owner].effective_rank() for name, owner in owners.items() if layers[owner].count}


def _collector(covariance: Covariance) -> Any:
    def collect(module: nn.Module, _inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple | list) else output
        if isinstance(first, Tensor) and first.is_floating_point() and first.dim() >= 2:
            rows = first.movedim(1, -1) if isinstance(module, CONVOLUTIONS) else first
            covariance.add(rows.reshape(-1, rows.shape[-1]))

    return collect
