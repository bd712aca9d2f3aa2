"""Vega-Lite charts by Altair, in the page's colours, as wide as their place.

Colours are CSS variables of the page (`colour`), so that a chart follows light, dark and print without being drawn
again. Continuous colours, which must be mixed, are viridis in all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from narrows.errors import ConfigError

MOST_NAMES = 30
"""More tasks are numbered on an axis and not named."""
_NUMBERS = {"labelAngle": 0, "labelOverlap": "greedy", "labelSeparation": 6}
CATEGORIES = 8
"""Colours of the page that tell categories apart: --c1 to --c8, of Okabe and Ito (2008)."""


def config() -> dict[str, Any]:
    """How every chart looks, as Vega has it: on the page and as a file."""
    ink, soft, faint = colour("ink"), colour("soft"), colour("faint")
    titles = {"labelColor": ink, "titleColor": soft, "titleFontWeight": "normal"}
    return {
        "background": "transparent",
        "view": {"stroke": "transparent"},
        "axis": {**titles, "domainColor": soft, "tickColor": soft, "gridColor": faint, "labelLimit": 140},
        "legend": {**titles, "labelLimit": 220, "orient": "bottom", "columns": 5},
        "header": {"labelColor": ink, "titleColor": soft},
        "title": {"color": ink, "subtitleColor": soft},
        "text": {"color": ink},
        "rule": {"color": soft},
        "range": {"category": [category(place) for place in range(CATEGORIES)]},
    }


def altair() -> Any:
    """The module. ConfigError where it is not installed."""
    try:
        import altair as alt
    except ImportError as error:
        raise ConfigError('A report needs Altair: pip install "narrows[report]".') from error
    return alt


def colour(name: str) -> str:
    """A colour of the page: "kept", "reused", "dropped", "free", "good", "warn", "bad", "ink", "faint", "c1", ..."""
    return f"var(--{name})"


def mixed(name: str, share: float) -> str:
    """A colour of the page thinned with its paper: `share` of it, 0 to 1.

    >>> mixed("kept", 0.4)
    'color-mix(in srgb, var(--kept) 40%, var(--paper))'
    """
    return f"color-mix(in srgb, {colour(name)} {share:.0%}, {colour('paper')})"


def between(first: str, last: str, count: int) -> list[str]:
    """`count` colours from one of the page to another, in even steps; seen on its paper where those are.

    >>> between("c1", "c2", 3)[1]
    'color-mix(in oklab, var(--c2) 50%, var(--c1))'
    """
    shares = [at / max(count - 1, 1) for at in range(count)]
    return [f"color-mix(in oklab, {colour(last)} {share:.0%}, {colour(first)})" for share in shares]


def category(place: int) -> str:
    """The colour of the `place`-th category, from 0."""
    return colour(f"c{place % CATEGORIES + 1}")


def tips(**titles: str) -> list[Any]:
    """What is said of a mark that is pointed at: texts by field, each with its title."""
    return [altair().Tooltip(f"{field}:N", title=title) for field, title in titles.items()]


def kinds(field: str, names: Sequence[str], colours: Sequence[str], **more: Any) -> Any:
    """The colours of named kinds, and their legend."""
    return altair().Color(f"{field}:N", title=None, scale={"domain": list(names), "range": list(colours)}, **more)


def counted(field: str, title: str) -> Any:
    """The axis of places in a row, from 1."""
    return altair().X(f"{field}:O", title=title, axis=_NUMBERS)


def values(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Rows of plain values as a chart's data."""
    return altair().Data(values=[dict(row) for row in rows])


def spec_of(chart: Any, *, height: int | None = None) -> dict[str, Any]:
    """The chart as Vega-Lite: as wide as its place, without what the page decides.

    It is not held to Vega-Lite's schema, which takes as long as all the rest of a page: the tests do so.
    """
    spec: dict[str, Any] = chart.to_dict(validate=False)
    for key in ("config", "$schema"):
        spec.pop(key, None)
    _once(spec)
    if "vconcat" not in spec and "hconcat" not in spec and "facet" not in spec:
        spec["width"] = "container"
        if height is not None:
            spec["height"] = height
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    return spec


def _once(spec: dict[str, Any]) -> None:
    """Rows that several layers draw stand in the chart once, by name: Altair writes them into each."""
    users: dict[str, list[dict[str, Any]]] = {}
    for layer in spec.get("layer", ()):
        if "values" in layer.get("data", {}):
            users.setdefault(json.dumps(layer["data"]), []).append(layer)
    for place, layers in enumerate(users.values()):
        if len(layers) > 1:
            spec.setdefault("datasets", {})[f"rows{place}"] = layers[0]["data"]["values"]
            for layer in layers:
                layer["data"] = {"name": f"rows{place}"}


def short_names(names: Sequence[str], letters: int = 24) -> list[str]:
    """Names for an axis: of long ones the first parts are cut short, or the middle is left out; all stay different.

    >>> short_names(["fc.weight", "encoder.layer.11.output.dense.weight", "everything that customers ask for"])
    ['fc.weight', 'en.la.11.ou.dense.weight', 'everythin…tomers ask for']
    """
    short = [_short(name, letters) for name in names]
    return [name if short.count(label) > 1 else label for name, label in zip(names, short, strict=True)]


def _short(name: str, letters: int) -> str:
    if len(name) <= letters:
        return name
    *first, last, end = ["", *name.split(".")]
    for width in (4, 3, 2, 1):
        label = ".".join([*(part if part.isdigit() else part[:width] for part in first[1:]), last, end])
        if len(label) <= letters and first[1:]:
            return label
    head = letters // 3 + 1
    return f"{name[:head]}…{name[head + 1 - letters :]}"


def along(names: Sequence[str], title: str) -> tuple[Any, list[dict[str, Any]]]:
    """The axis of tasks in order, and what each task's row has to hold for it.

    Returns:
        (an X, for each task its "place" from 1, "task" and "label").
    """
    alt = altair()
    rows = [
        {"place": place, "task": name, "label": label}
        for place, (name, label) in enumerate(zip(names, short_names(names), strict=True), 1)
    ]
    if len(names) <= MOST_NAMES:
        return alt.X("label:N", sort=None, title=title, axis=alt.Axis(labelAngle=-45)), rows
    return counted("place", title), rows
