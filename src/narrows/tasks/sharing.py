"""Which of a model's parameters its tasks share: the rule, and how a user changes it.

A shared weight outside a task's mask is 0 for that task. So a tensor can be shared where a zero does no harm: where its
weights *multiply* what a layer is given, and a zero takes one connection away. It does harm in what is added (class
tokens, tables of positions), in what scales or normalises (norms, `weight_g`), and in what a weight is computed from
(parametrizations, where it moves other weights or divides by 0).

**The rule** (`multiplies`): of the trainable floating-point parameters with two or more dimensions, those are shared
that a layer listed in `MULTIPLIERS`, or one derived from it, holds under a name listed there; a tied one where any of
its layers does. An `nn.Embedding` is listed, as it multiplies a one-hot vector; so it is shared also where it is a
table of positions. Every other parameter is private, and where that may cost much, `kept_whole` says so.

`TaskStore.create(shared=...)` adds to the rule by patterns or takes another in its place; `private=` takes out, last.
Knows modules and names; no store on disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from torch import nn

from narrows.errors import ModelMismatchError, nearest
from narrows.subnet import TensorSpec
from narrows.tasks.partition import ancestry, matches, named_tensors

Rule = Callable[[nn.Module, str], bool]
"""(module, the parameter's name in it) -> whether tasks share that parameter."""

MULTIPLIERS: Mapping[type[nn.Module], str] = {
    nn.Linear: "weight",
    nn.Bilinear: "weight",
    nn.Conv1d: "weight",
    nn.Conv2d: "weight",
    nn.Conv3d: "weight",
    nn.ConvTranspose1d: "weight",
    nn.ConvTranspose2d: "weight",
    nn.ConvTranspose3d: "weight",
    nn.Embedding: "weight",
    nn.EmbeddingBag: "weight",
    nn.RNNBase: r"weight_(ih|hh|hr)_l\d+(_reverse)?",
    nn.RNNCellBase: "weight_(ih|hh)",
    nn.MultiheadAttention: "(in|q|k|v)_proj_weight",
}
"""Layers, and a regular expression for the names of those of their parameters that multiply what they are given."""

_COMPUTED_FROM = re.compile(r"parametrizations\.|_(orig|g|v)$")  # of parametrizations, and of the hooks before them

WORTH_A_WORD = 0.01
"""Fraction of all trainable weights from which on what the rule leaves out is said."""


def multiplies(module: nn.Module, name: str) -> bool:
    """The default rule: whether `module` is of `MULTIPLIERS` and `name` one of its weights that multiply.

    >>> multiplies(nn.Linear(2, 2), "weight"), multiplies(nn.LayerNorm((2, 2)), "weight")
    (True, False)
    """
    if getattr(module, "max_norm", None) is not None:
        return False  # an embedding whose forward normalises its rows, in place
    return any(isinstance(module, kind) and re.fullmatch(names, name) for kind, names in MULTIPLIERS.items())


def shared_specs(
    model: nn.Module, private: Sequence[str] = (), shared: Sequence[str] | Rule = ()
) -> tuple[TensorSpec, ...]:
    """The parameters of `model` that tasks share; see `TaskStore.create` for `private` and `shared`."""
    rule = shared if callable(shared) else multiplies
    held: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in model.modules():
        for own, param in module.named_parameters(recurse=False, remove_duplicate=False):
            held.setdefault(id(param), []).append((module, own))
    return tuple(
        TensorSpec.of(name, param)
        for name, param in _candidates(model).items()
        if (any(rule(*place) for place in held[id(param)]) or (not callable(shared) and matches(name, shared)))
        and not matches(name, private)
    )


def require_patterns(model: nn.Module, private: Sequence[str], shared: Sequence[str] | Rule = ()) -> None:
    """Raises ModelMismatchError for a pattern that names nothing it could have an effect on; says the nearest."""
    asked = [("private", private, list(named_tensors(model)), "parameter or buffer")]
    if not callable(shared):
        asked.append(("shared", shared, list(_candidates(model)), "trainable parameter of two or more dimensions"))
    for argument, patterns, names, what in asked:
        for pattern in patterns:
            if not any(matches(name, [pattern]) for name in names):
                known = nearest(pattern, _outermost_first(names))
                unknown = f"no {what}, and no module that holds one, is called so; {known}"
                reason = _tied_name(model, pattern) or unknown
                raise ModelMismatchError(f"{argument}=[{pattern!r}] names nothing: {reason}")


def kept_whole(
    model: nn.Module, private: Sequence[str], shared: Sequence[str] | Rule, specs: Sequence[TensorSpec]
) -> str | None:
    """What is to be said of parameters that the default rule leaves to each task unasked; None where that is little.

    Args:
        specs: what is shared.
    """
    if callable(shared):
        return None  # the user's own rule decided
    known = {spec.name for spec in specs}
    candidates = _candidates(model)
    left = {name: param.numel() for name, param in candidates.items() if not (name in known or matches(name, private))}
    everything = sum(param.numel() for param in model.parameters() if param.requires_grad)
    amount = sum(left.values())
    if not amount or amount < WORTH_A_WORD * everything:
        return None
    sizes: dict[str, int] = {}
    for name, size in left.items():
        numbered = re.sub(r"(?<![^.])\d+(?=\.)", "*", name)  # the same tensor of many blocks is named once
        alike = [other for other in candidates if matches(other, [numbered])]
        pattern = numbered if len(alike) > 1 and left.keys() >= set(alike) else name
        sizes[pattern] = sizes.get(pattern, 0) + size
    largest = sorted(sizes, key=lambda pattern: -sizes[pattern])[:5]
    named = ", ".join(f"{pattern} ({sizes[pattern] / everything:.1%})" for pattern in largest)
    more = f" and {len(sizes) - 5} more" if len(sizes) > 5 else ""
    may = [pattern for pattern in largest if not _COMPUTED_FROM.search(pattern)]
    way = f"Where they multiply what a layer is given, share them: shared={may}. " if may else ""
    return (
        f"Each task will keep for itself, whole, {amount / everything:.1%} of the weights, in tensors that "
        f"no layer known to multiply holds: {named}{more}. {way}To leave it so, say it: private={largest}."
    )


def require_not_tied(model: nn.Module, path: str, specs: Iterable[TensorSpec]) -> None:
    """Raises ModelMismatchError where a head at `path` would take a shared tensor away that lies elsewhere, too.

    A tied tensor has one name in the store, its first. Where that is in the head's place, the rest of the model would
    lose it with the head.
    """
    shared = {spec.name for spec in specs if matches(spec.name, [path])}
    for first, *others in _names(model):
        outside = [name for name in others if not matches(name, [path])]
        if first in shared and outside:
            raise ModelMismatchError(
                f"{first!r} is in the place of the head, {path!r}, and the same tensor as {outside[0]!r}: tasks share "
                f"it under its first name only, so with a head there {outside[0]!r} would be shared no more. Make the "
                "store of a model that registers its head last (head = model.head; del model.head; model.head = head), "
                f"and {outside[0]!r} stays shared; or with private=[{path!r}], and each task has its own."
            )


def _candidates(model: nn.Module) -> dict[str, nn.Parameter]:
    """What may be shared at all: trainable, floating-point, of two or more dimensions."""
    return {
        name: tensor
        for name, tensor in named_tensors(model).items()
        if isinstance(tensor, nn.Parameter)
        and tensor.requires_grad
        and tensor.dim() >= 2
        and tensor.is_floating_point()
    }


def _names(model: nn.Module) -> list[list[str]]:
    """All names of each parameter, its first at the front."""
    names: dict[int, list[str]] = {}
    for name, param in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(param), []).append(name)
    return list(names.values())


def _tied_name(model: nn.Module, pattern: str) -> str | None:
    """What is to be said where the pattern is one of a tied tensor's other names."""
    tied = ((first, other) for first, *others in _names(model) for other in others if matches(other, [pattern]))
    return next((f"{other!r} is the same tensor as {first!r} and goes by that name" for first, other in tied), None)


def _outermost_first(names: Iterable[str]) -> list[str]:
    return sorted(dict.fromkeys(part for name in names for part in ancestry(name)), key=lambda part: part.count("."))
