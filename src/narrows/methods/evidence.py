"""Whether there is anything to choose weights by: which shared parameters have had a gradient.

A backbone frozen at first, a branch that the network does not use, a layer that joins in late have had none, and a
choice among their weights would be made by nothing. Knows gradients only: no masks, no scores.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from narrows.errors import OptimizerError
from narrows.methods.base import SharedWeights

PATIENCE = 50
"""Steps after which a parameter that could have a gradient and has none is worth a word: experts and layers that are
dropped at random get theirs sooner."""


class Evidence:
    """Of each shared parameter, whether it has had a gradient. One of nothing but zeros is none.

    Args:
        shared: the parameters.
        method: its name, for messages.

    Attributes:
        lacking: the numbers of those that have had none yet.
        resting: of those whose learning rate has been 0 all along.
    """

    def __init__(self, shared: SharedWeights, method: str) -> None:
        self._shared, self._method = shared, method
        self._warned = False
        self.lacking = list(range(len(shared.params)))
        self.resting = list(self.lacking)

    def add(self) -> None:
        """Takes the gradients of the moment in. It looks at those it lacks only, which are none after a step or two."""
        if self.lacking:
            grads = [param.grad for param in self._shared.params]
            self.lacking = [at for at in self.lacking if (grad := grads[at]) is None or not bool(grad.any())]
        if self.resting:
            still = self._shared.resting
            self.resting = [at for at in self.resting if id(self._shared.params[at]) in still]

    def let_go(self, kept: Sequence[Tensor]) -> None:
        """Nothing will be chosen any more: what is held of each weight is needed of those at these positions only."""

    def state(self) -> dict[str, Any]:
        """What it has seen, as a tree."""
        return {"lacking": list(self.lacking), "resting": list(self.resting)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state()`."""
        self.lacking, self.resting = list(state["lacking"]), list(state["resting"])

    def missing(self) -> list[str]:
        """Names of those without a gradient.

        Not of what is 0 all over, which may leave without a difference, unless it is frozen for now.
        """
        rows = [(self._shared.names[at], self._shared.params[at]) for at in self.lacking]
        return [name for name, param in rows if not param.requires_grad or bool(param.any())]

    def awaited(self, step: int, latest: int) -> bool:
        """Whether the choice has to wait, as a parameter has had no gradient or is not trained yet (learning rate 0).

        It cannot wait beyond the step `latest`; what rests then is chosen by its gradients as it is.

        Raises:
            OptimizerError: there is no gradient at that step; names the parameters, and what to do.
        """
        missing = self.missing()
        if step >= latest:
            if missing:
                self._refuse(missing, step)
            return False
        trained = [self._shared.names[at] for at in self.lacking if self._shared.params[at].requires_grad]
        unused = [name for name in missing if name in trained]
        if unused and step >= PATIENCE and not self._warned:
            self._warned = True
            warnings.warn(
                f"{self._method}: {_listed(unused)} had no gradient in {step} steps. Weights are chosen by what "
                f"training makes of them, so none leaves before there is one, and it is an error if there is none at "
                f"step {latest}. {REMEDY}",
                stacklevel=2,
            )
        return bool(missing or self.resting)

    def require(self, step: int) -> None:
        """Raises OptimizerError where one has had no gradient to the end."""
        if missing := self.missing():
            self._refuse(missing, step)

    def doubt(self) -> None:
        """A warning where a choice that training has seen from the start was made by nothing in some of them."""
        if missing := self.missing():
            warnings.warn(
                f"{self._method}: {_listed(missing)} had no gradient in all of training, so which of its weights are "
                f"kept was never learned and is as it was drawn. {REMEDY}",
                stacklevel=2,
            )

    def _refuse(self, missing: list[str], step: int) -> None:
        raise OptimizerError(
            f"{self._method} chooses weights by what training makes of them, and {_listed(missing)} had no gradient in "
            f"{step} steps. "
            f"{REMEDY}"
        )


REMEDY = (
    "If it is frozen at first, let it be trained sooner (requires_grad_(True), and no detach or no_grad before the "
    "loss), or say more total_steps. If the network does not use it, keep it out of what tasks share: "
    "TaskStore.create(..., private=[...]), or requires_grad_(False) before that; in a store that there is already, set "
    "it to 0 before training."
)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
