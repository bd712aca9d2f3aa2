"""Whether there is anything to choose weights by: which shared parameters have had a gradient.

A backbone frozen at first, a branch that the network does not use, a layer that joins in late have had none, and a choice
among their weights would be made by nothing. Knows gradients only: no masks, no scores.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from narrows.errors import OptimizerError
from narrows.methods.base import SharedWeights

PATIENCE = 50
"""Steps after which a parameter that could have a gradient and has none is worth a word: experts and layers that are
dropped at random get theirs sooner."""


def latest_start(stop: int, total_steps: int) -> int:
    """The last step at which a choice that was to be over at `stop` can begin: half of what was to follow is left."""
    return (stop + total_steps) // 2


class Evidence:
    """Of each shared parameter, whether it has had a gradient. One of nothing but zeros is none.

    Args:
        shared: the parameters.
        method: its name, for messages.

    Attributes:
        lacking: the numbers of those that have had none yet.
    """

    def __init__(self, shared: SharedWeights, method: str) -> None:
        self._shared, self._method = shared, method
        self._warned = False
        self.lacking = list(range(len(shared.params)))

    def add(self) -> None:
        """Takes the gradients of the moment in. It looks at those it lacks only, which are none after a step or two."""
        if self.lacking:
            grads = [param.grad for param in self._shared.params]
            self.lacking = [at for at in self.lacking if (grad := grads[at]) is None or not bool(grad.any())]

    def state(self) -> dict[str, Any]:
        """What it has seen, as a tree."""
        return {"lacking": list(self.lacking)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state()`."""
        self.lacking = list(state["lacking"])

    def missing(self) -> list[str]:
        """Names of those without a gradient, but for what is 0 all over, which may leave without a difference."""
        return [self._shared.names[at] for at in self.lacking if bool(self._shared.params[at].any())]

    def awaited(self, step: int, latest: int) -> bool:
        """Whether the choice has to wait; it cannot wait beyond the step `latest`.

        Raises:
            OptimizerError: it has waited so long; names the parameters, and what to do.
        """
        missing = self.missing()
        if missing and step >= latest:
            self._refuse(missing, step)
        trained = [self._shared.names[at] for at in self.lacking if self._shared.params[at].requires_grad]
        unused = [name for name in missing if name in trained]
        if unused and step >= PATIENCE and not self._warned:
            self._warned = True
            warnings.warn(
                f"{self._method}: {_listed(unused)} had no gradient in {step} steps. Weights are chosen by their "
                f"gradients, so none leaves before there is one, and it is an error if there is none at step {latest}. "
                f"{REMEDY}",
                stacklevel=2,
            )
        return bool(missing)

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
            f"{self._method} chooses weights by their gradients, and {_listed(missing)} had none in {step} steps. "
            f"{REMEDY}"
        )


REMEDY = (
    "If it is frozen at first, let it be trained sooner (requires_grad_(True), and no detach or no_grad before the loss), "
    "or say more total_steps. If the network does not use it, keep it out of what tasks share: "
    "TaskStore.create(..., private=[...]), or requires_grad_(False) before that; in a store that there is already, set "
    "it to 0 before training."
)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
