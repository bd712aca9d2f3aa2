"""A task's model seen as the store sees it: what is shared, frozen, used, claimed, private.

Knows a model's tensors by name; it does not know optimizers or training.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

import torch
from torch import Tensor, nn

from narrows.errors import ModelMismatchError, NonFiniteError
from narrows.methods import SharedWeights
from narrows.store import TaskContent
from narrows.subnet import Held, SubNetwork, TensorSpec
from narrows.tasks.module_copy import require_plain, require_whole, unwrapped
from narrows.tasks.partition import fixed_names, identical, live_tensors, named_tensors


class TaskWeights:
    """The tensors of a task in progress.

    Args:
        model: the task's model, its head in place.
        head: path of the head's module, or None.
        specs: the parameters that tasks share; those inside the head's path are not this task's.
        held: what earlier tasks hold.
        isolated: whether this task must leave that as it is; otherwise nothing is frozen to it.

    Attributes:
        held: what is frozen to this task.
    """

    def __init__(
        self, model: nn.Module, head: str | None, specs: Sequence[TensorSpec], held: Held, *, isolated: bool
    ) -> None:
        self._model = model
        self._head = head
        self._specs = specs
        self.held = held if isolated else Held.nothing(specs)
        self._begun = _specs(model)
        # A mask of -inf among the buffers, say: no fault of training.
        self._infinite_before = set(not_finite(model))

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
        """Raises ModelMismatchError where tensors came, went, or changed shape or dtype since the task was begun."""
        now = _specs(self._model)
        problems = [
            f"{name} came with {now[name]} after the task was begun" for name in now.keys() - self._begun.keys()
        ]
        problems += [f"{name} is gone" for name in self._begun.keys() - now.keys()]
        problems += [
            f"{name} is {now[name]} now and was {then} when the task was begun"
            for name, then in self._begun.items()
            if name in now and now[name] != then
        ]
        if problems:
            raise ModelMismatchError(
                "The task's model is not the one it was begun with, and a store gives that one: "
                + listed(sorted(problems), "; ")
                + ". Move task.model to a device if need be, not to another dtype (for speed use autocast; to serve in "
                "half precision convert what store.load gives), and build it as the store's model is built, the head "
                "aside."
            )

    def shared(self) -> SharedWeights:
        """What the method works on, on the model's device."""
        live = self.live()
        held = [(self.held.parts[name], param) for name, param in live.items()]
        return SharedWeights(
            names=tuple(live),
            params=list(live.values()),
            frozen_at=[part.positions.to(param.device, torch.int64) for part, param in held],
            frozen_values=[part.values.to(param) for part, param in held],
        )

    def whole(self, names: Sequence[str], masks: Sequence[Tensor]) -> dict[str, Tensor]:
        """Masks for every shared parameter, on the CPU; nothing of one that the task's head took the place of."""
        whole = {spec.name: torch.zeros(spec.shape, dtype=torch.bool) for spec in self._specs}
        whole.update(zip(names, (mask.cpu() for mask in masks), strict=True))
        return whole

    def fixed(self) -> set[str]:
        """What is not trained, outside the head: it may be as the base network has it."""
        return {name for name in fixed_names(self._model) if not self._in_head(name)}

    def content(self, used: dict[str, Tensor], claimed: dict[str, Tensor], untrained: nn.Module) -> TaskContent:
        """What the store keeps of the task: its mask, the weights it claims, and everything private.

        Args:
            untrained: the network that `load` puts these into. Fixed parameters that are as they are there are left
                to it, and so are buffers that the state dict leaves out.
        """
        live, persistent, known = self.live(), named_tensors(self._model), live_tensors(untrained)
        fixed = self.fixed()

        def is_kept(name: str, tensor: Tensor) -> bool:
            if name in persistent:
                return name not in fixed or not identical(tensor, known[name])
            # One that came, or grew, is a cache that its code makes anew: the outputs show whether that is so.
            alike = name in known and TensorSpec.of(name, known[name]) == TensorSpec.of(name, tensor)
            return alike and not identical(tensor, known[name])

        private = {
            name: tensor.detach().cpu().clone()
            for name, tensor in live_tensors(self._model).items()
            if name not in live and is_kept(name, tensor)
        }
        weights = {name: param.detach().cpu() for name, param in live.items()}
        return TaskContent(SubNetwork.of(self._specs, used, claimed, weights), private)

    def require_finite(self) -> None:
        """Raises NonFiniteError, naming the tensor, where training left a NaN or an infinity."""
        require_finite(self._model, self._infinite_before)

    def _in_head(self, name: str) -> bool:
        return self._head is not None and name.startswith(f"{self._head}.")


def require_finite(model: nn.Module, but: Container[str]) -> None:
    """Raises NonFiniteError, naming the tensor, where one holds a NaN or an infinity; those of `but` may."""
    for name in not_finite(model):
        if name not in but:
            raise NonFiniteError(
                f"{name} holds a value that is NaN or infinite. Nothing was committed and the tasks in the store "
                "are untouched. Lower the learning rate, clip gradients, or check the data."
            )


def listed(names: Sequence[str], between: str = ", ") -> str:
    """Up to five of them, and how many more there are."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return between.join(names[:5]) + more


def _specs(model: nn.Module) -> dict[str, str]:
    return {name: f"{str(value.dtype)[6:]} {tuple(value.shape)}" for name, value in named_tensors(model).items()}


def not_finite(model: nn.Module) -> list[str]:
    """Tensors that hold a NaN or an infinity."""
    return [name for name, value in named_tensors(model).items() if value.is_floating_point() and not _finite(value)]


@torch.no_grad()
def _finite(tensor: Tensor) -> bool:
    # A sum is finite only where all is, and quicker had; of what is large it may be infinite all the same.
    return bool(torch.isfinite(tensor.sum(dtype=torch.promote_types(tensor.dtype, torch.float32)))) or bool(
        torch.isfinite(tensor).all()
    )
