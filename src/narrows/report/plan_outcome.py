"""What a plan comes to, in rows and sentences. `assets/calculator.js` says the same, to the letter, for other values.

Knows a plan and words; no store and no page.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from narrows.analysis.assumptions import Assumptions
from narrows.analysis.plan import GB, Plan, Side

KINDS: Final = ("storage", "memory", "training", "upkeep")
WAYS: Final = ("shared", "separate")
_SIZES: Final = ("storage_gb", "memory_gb")
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")
_LATEST: Final = 1200
"""Months: what pays back later than in a hundred years does not."""
Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class PlanOutcome:
    """A plan as people read it.

    Attributes:
        summary: (what, shared, separate, saved), over all months or at their end.
        months: (month, tasks, disk shared, disk separate, memory shared, memory separate, in all shared, in all
            separate).
        sentences: what it comes to.
        points: of the chart.
    """

    summary: Rows
    months: Rows
    sentences: tuple[str, ...]
    points: tuple[dict[str, Any], ...]


def outcome(made: Plan, assumptions: Assumptions, words: Mapping[str, str]) -> PlanOutcome:
    """The plan in these words: "row_NAME", "say_NAME", "shared", "separate", "item" and "comma"."""
    months = tuple(
        (
            str(month.month),
            str(month.tasks),
            *(size(getattr(side, name)) for name in _SIZES for side in (month.shared, month.separate)),
            fixed(month.shared.cumulative),
            fixed(month.separate.cumulative),
        )
        for month in made.months
    )
    points = tuple(
        {"month": month.month, "way": words[way], "cost": side.cumulative, "shown": fixed(side.cumulative)}
        for month in made.months
        for way, side in zip(WAYS, (month.shared, month.separate), strict=True)
    )
    return PlanOutcome(_summary(made, words), months, _sentences(made, assumptions, words), points)


def fixed(value: float, digits: int = 2) -> str:
    """So many decimals, half up as JavaScript rounds; no minus before 0.

    >>> fixed(1234.125), fixed(-0.001), fixed(-1234.5, 0)
    ('1,234.13', '0.00', '-1,235')
    """
    text = f"{Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):,}"
    return text if re.search("[1-9]", text) else text.removeprefix("-")


def size(gigabytes: float) -> str:
    """Of bytes, in powers of 1000.

    >>> size(0.0000543), size(1.5), size(2e-8)
    ('54.30 kB', '1.50 GB', '20 B')
    """
    value, unit = gigabytes * GB, 0
    while abs(value) >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{fixed(value, 2 if unit else 0)} {_UNITS[unit]}"


def _summary(made: Plan, words: Mapping[str, str]) -> Rows:
    last = made.months[-1]
    rows = [("networks", str(last.shared.networks), str(last.separate.networks), "")]
    for name in _SIZES:
        one, other = getattr(last.shared, name), getattr(last.separate, name)
        rows.append((name, size(one), size(other), size(other - one)))
    one, other = (_total(made, way, "training_hours") for way in WAYS)
    rows.append(("training_hours", fixed(one), fixed(other), fixed(other - one)))
    for kind in KINDS:
        one, other = (_total(made, way, kind) for way in WAYS)
        rows.append((kind, fixed(one), fixed(other), fixed(getattr(made, f"saved_{kind}"))))
    rows.append(("setup", fixed(made.setup), fixed(0), fixed(-made.setup)))
    rows.append(("total", fixed(last.shared.cumulative), fixed(last.separate.cumulative), fixed(made.saved)))
    return tuple((words[f"row_{name}"], *cells) for name, *cells in rows)


def _sentences(made: Plan, assumptions: Assumptions, words: Mapping[str, str]) -> tuple[str, ...]:
    last, months = made.months[-1], len(made.months)
    both = {"shared": fixed(last.shared.cumulative), "separate": fixed(last.separate.cumulative)}
    kind = "less" if made.saved > 0 else "more" if made.saved < 0 else "same"
    told: list[tuple[str, dict[str, Any]]] = [
        (kind, {"months": months, **both, "difference": fixed(abs(made.saved))}),
        _payback(made, months, _spent(last.separate) - _spent(last.shared)),
    ]
    lists = {name: _list(made, words, sign) for name, sign in (("saves", 1), ("costs", -1))}
    told += [(name, {"list": found}) for name, found in lists.items() if found]
    disk = {"shared": size(last.shared.storage_gb), "separate": size(last.separate.storage_gb)}
    told.append(("disk", {"months": months, "tasks": last.tasks, **disk}))
    memory = {"packed": size(last.shared.memory_packed_gb), "all": size(last.shared.memory_all_gb)}
    told.append(("packed" if assumptions.packed else "whole", memory))
    if made.second_network_month is not None:
        told.append(("second", {"month": made.second_network_month}))
    return tuple(words[f"say_{name}"].format(**values) for name, values in told)


def _payback(made: Plan, months: int, gain: float) -> tuple[str, dict[str, Any]]:
    """`gain`: what is saved in the last month."""
    if made.payback_month is not None:
        return "payback", {"month": made.payback_month}
    if gain > 0:
        month = months + -made.saved / gain
        if month > _LATEST:
            return "far", {"gain": fixed(gain)}
        return "later", {"months": months, "gain": fixed(gain), "month": math.ceil(month)}
    return "never", {"months": months}


def _list(made: Plan, words: Mapping[str, str], sign: int) -> str:
    """What it saves, for 1, or costs, for -1; less than half a cent is nothing."""
    saved = {kind: sign * getattr(made, f"saved_{kind}") for kind in KINDS}
    found = [(kind, value) for kind, value in saved.items() if value >= 0.005]
    if sign < 0 and made.setup > 0:
        found.append(("setup", made.setup))
    items = [words["item"].format(what=words[f"row_{kind}"], money=fixed(value)) for kind, value in found]
    return words["comma"].join(items)


def _total(made: Plan, way: str, name: str) -> float:
    total = 0.0
    for month in made.months:  # one after another, as the script does; `sum` corrects its rounding in newer Pythons
        total += getattr(getattr(month, way), name)
    return total


def _spent(side: Side) -> float:
    return side.storage + side.memory + side.training + side.upkeep
