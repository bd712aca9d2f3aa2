"""The matrix R as a picture, in SVG."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from narrows.errors import ConfigError
from narrows.store import outside


def draw_accuracy(
    rows: Sequence[Sequence[float | None]], names: Sequence[str], path: Path, *, title: str = "Accuracy"
) -> None:
    """Draws R[i][j], the accuracy on task j (columns) after learning task i (rows), as a heat map.

    Only tasks already learned are drawn. The same input gives the same bytes.

    Args:
        rows: fractions, or None where not measured.
        names: of the tasks.
        path: the SVG file to write.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError('Pictures need matplotlib: pip install "narrows[bench]".') from error

    count = len(rows)
    learned = [[rows[i][j] if j <= i else None for j in range(count)] for i in range(count)]
    known = [value for row in learned for value in row if value is not None]
    shades = [[float("nan") if value is None else value for value in row] for row in learned]
    side = max(3.6, 0.52 * count + 1.6)
    with matplotlib.rc_context({"svg.hashsalt": "narrows", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(side + 0.9, side), layout="constrained")
        axes = figure.add_subplot()
        low = min([0.5, *known])
        image = axes.imshow(shades, cmap="viridis", vmin=low, vmax=1.0)
        middle = (low + 1.0) / 2
        for i, row in enumerate(learned):
            for j, value in enumerate(row):
                if value is not None:
                    colour = "white" if value < middle else "black"
                    axes.text(j, i, f"{100 * value:.0f}", ha="center", va="center", color=colour, fontsize=8)
        axes.set_xticks(range(count), list(names[:count]), rotation=60, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(count), list(names[:count]))
        axes.set_xlabel("accuracy on task (%)")
        axes.set_ylabel("after learning task")
        axes.set_title(title)
        figure.colorbar(image, ax=axes, shrink=0.8, format=lambda value, _: f"{100 * value:.0f}%")
        drawn = BytesIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Title": title})
    outside.replace(path, drawn.getvalue())
