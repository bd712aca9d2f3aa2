"""Where a training in progress is kept. `narrows.training.keeper` says what is, and when."""

from __future__ import annotations

from typing import Protocol

from narrows.training.trees import Tree


class Checkpoint(Protocol):
    """A place for one tree; `narrows.training.trees` says what a tree is.

    >>> import copy, tempfile, torch, narrows
    >>> class InMemory:
    ...     tree = None
    ...     def load(self): return self.tree
    ...     def save(self, tree): self.tree = copy.deepcopy(tree)
    ...     def drop(self): self.tree = None
    >>> kept, batches = InMemory(), [(torch.randn(8, 4), torch.arange(8) % 2)]
    >>> def stop(step):
    ...     if step.step == 3:
    ...         raise narrows.errors.Interrupted
    >>> store = narrows.TaskStore.create(tempfile.mkdtemp() + "/store", torch.nn.Linear(4, 2))
    >>> for callbacks in ([stop], []):
    ...     with store.begin("task", narrows.Finetune()) as task:
    ...         try:
    ...             print(task.fit(batches, narrows.Training(5), checkpoint=kept, callbacks=callbacks).steps, "steps")
    ...         except narrows.errors.Interrupted:
    ...             print("interrupted")
    interrupted
    5 steps
    """

    def load(self) -> Tree | None:
        """The tree saved last, or None where there is none. Tensors may lie anywhere."""

    def save(self, tree: Tree, /) -> None:
        """Keeps `tree` in the place of the last one, wholly or not at all.

        Its tensors are live: what is needed of them must be copied or written before this returns.
        """

    def drop(self) -> None:
        """Forgets the tree; harmless where there is none."""
