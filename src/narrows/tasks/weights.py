"""A task's model seen as the store sees it: what is shared, frozen, used, claimed, private.

Knows a model's tensors by name; it does not know optimizers or training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from narrows.errors import ModelMismatchError, NonFiniteError
from narrows.methods import SharedWeights
from narrows.store import TaskContent, TensorSpec
from narrows.store.compose import Frozen, masked
from narrows.tasks.copying import require_plain, require_whole, unwrapped
from narrows.tasks.partition import fixed_names, named_tensors


class TaskWeights:
    """The tensors of a task in progress.

    Args:
        model: the task's model, its head in place.
        head: path of the head's module, or None.
        specs: the parameters that tasks share; those inside the head's path are not this task's.
        frozen: what earlier tasks hold.
        isolated: whether this task must leave that as it is; otherwise nothing is frozen to it.
    """

    def __init__(
        self, model: nn.Module, head: str | None, specs: Sequence[TensorSpec], frozen: Frozen, *, isolated: bool
    ) -> None:
        self._model = model
        self._head = head
        self._specs = specs
        self._held = frozen
        nothing = {spec.name: torch.zeros(spec.shape, dtype=torch.bool) for spec in specs}
        self.frozen: dict[str, Tensor] = frozen.masks if isolated else nothing
        # A mask of -inf among the buffers, say: no fault of training.
        self._infinite_before = set(_not_finite(model))

    def live(self) -> dict[str, nn.Parameter]:
        """The shared parameters of this task's model."""
        tensors = named_tensors(self._model)
        names = (spec.name for spec in self._specs if not self._in_head(spec.name))
        return {name: tensor for name in names if isinstance(tensor := tensors[name], nn.Parameter)}

    def own_model(self, given: nn.Module) -> nn.Module:
        """The model of these weights, out of what was wrapped around it since.

        Raises:
            ModelMismatchError: `given` is another, or it was sharded, or a part of it wrapped.
        """
        model = unwrapped(given, until=self._model)
        if model is not self._model:
            raise ModelMismatchError(
                f"task.model is now another network, a {type(model).__name__}, than the one that store.begin made, "
                "which is what a commit writes. Train that one: change it in place, or wrap it beside task.model."
            )
        require_whole(model)
        if not {spec.name for spec in self._specs if not self._in_head(spec.name)} <= named_tensors(model).keys():
            require_plain(model)
        return model

    def require_same_layout(self) -> None:
        """Raises ModelMismatchError where a shared parameter is of another kind since `begin`."""
        specs = {spec.name: spec for spec in self._specs}
        for name, param in self.live().items():
            if TensorSpec.of(name, param) != specs[name]:
                raise ModelMismatchError(
                    f"{name} is {param.dtype} now and {specs[name].dtype} in the store. Move task.model to a device if "
                    "need be, not to another dtype; for speed use autocast."
                )

    def shared(self) -> SharedWeights:
        """What the method works on, on the model's device."""
        live = self.live()
        return SharedWeights(
            names=tuple(live),
            params=list(live.values()),
            frozen=[self.frozen[name].to(param.device) for name, param in live.items()],
            values=[self._held.values[name].to(param) for name, param in live.items()],
        )

    def whole(self, names: Sequence[str], masks: Sequence[Tensor]) -> dict[str, Tensor]:
        """Masks for every shared parameter, on the CPU; nothing of one that the task's head took the place of."""
        whole = {spec.name: torch.zeros(spec.shape, dtype=torch.bool) for spec in self._specs}
        whole.update(zip(names, (mask.cpu() for mask in masks), strict=True))
        return whole

    def content(self, used: dict[str, Tensor], claimed: dict[str, Tensor], base: Mapping[str, Tensor]) -> TaskContent:
        """What the store keeps of the task: its mask, the weights it claims, and everything private.

        Fixed parameters that are still those of the base network are left to it.
        """
        live = self.live()
        values = {name: live[name].detach().cpu()[claimed[name]] for name in live if bool(claimed[name].any())}
        fixed = {name for name in fixed_names(self._model) if not self._in_head(name)}
        private = {
            name: tensor.detach().cpu().clone()
            for name, tensor in named_tensors(self._model).items()
            if name not in live and not (name in fixed and torch.equal(tensor.detach().cpu(), base[name]))
        }
        return TaskContent(used=used, claimed=claimed, values=values, private=private)

    def baked(self, content: TaskContent) -> dict[str, Tensor]:
        """The shared weights that `content` amounts to: frozen and claimed values where used, 0 elsewhere."""
        baked = {}
        for name, used in content.used.items():
            value = self._held.values[name].clone()
            if bool(content.claimed[name].any()):
                value[content.claimed[name]] = content.values[name]
            baked[name] = masked(value, used)
        return baked

    def require_finite(self) -> None:
        """Raises NonFiniteError, naming the tensor, where training left a NaN or an infinity."""
        for name in _not_finite(self._model):
            if name not in self._infinite_before:
                raise NonFiniteError(
                    f"{name} holds a value that is NaN or infinite. Nothing was committed and the tasks in the store "
                    "are untouched. Lower the learning rate, clip gradients, or check the data."
                )

    def _in_head(self, name: str) -> bool:
        return self._head is not None and name.startswith(f"{self._head}.")


def _not_finite(model: nn.Module) -> list[str]:
    """Tensors that hold a NaN or an infinity."""
    tensors = named_tensors(model).items()
    return [name for name, value in tensors if value.is_floating_point() and not bool(torch.isfinite(value).all())]
