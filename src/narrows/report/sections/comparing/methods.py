"""Of a comparison: all methods side by side, in one table."""

from __future__ import annotations

from dataclasses import replace

from narrows.benchmarks.compare.summary import Figure, Row
from narrows.report.block_makers import section, table, warning
from narrows.report.blocks import Section
from narrows.report.facts import Facts
from narrows.report.sections.comparing.variants import Variants, times_of, with_error
from narrows.report.texts import Texts

_COLUMNS = (
    "method", "epochs", "seeds", "lr", "acc", "bwt", "fwt", "density", "used", "bytes", "of_dense", "seconds", "ratio",
)  # fmt: skip


def methods(facts: Facts, say: Texts) -> Section | None:
    """A row for each variant and length of training, those without a run among them."""
    found = Variants.of(facts)
    if found is None:
        return None
    rows = [_cells(row, found, say) for row in found.comparison.rows]
    if not rows:
        return section(say, "methods", [warning(say, "methods.none")])
    sources = found.source("figures", "values", "lr", "seeds")
    made = table(say, "methods.table", say.each("methods.column", *_COLUMNS), rows, *sources)
    return section(say, "methods", [replace(made, term="ACC, BWT, FWT")])


def _cells(row: Row, found: Variants, say: Texts) -> tuple[str | None, ...]:
    figure = row.figures
    size, dense, ratio = figure["bytes_per_task"].mean, figure["dense_bytes"].mean, figure["step_ratio"].mean
    return (
        f"{found.looks[row.label].tag} {row.label}",
        say.number(row.epochs),
        str(len(row.seeds)) if len(row.seeds) == row.asked else f"{len(row.seeds)} / {row.asked}",
        tuned(row, say),
        with_error(figure["ACC"]),
        _points(figure["BWT"], say),
        _points(figure["fwt_independent"], say),
        say.percent(figure["density"].mean, 2),
        say.percent(figure["used"].mean),
        say.bytes(size),
        say.percent(size / dense if size is not None and dense else None),
        say.seconds(figure["seconds"].mean),
        times_of(ratio, say),
    )


def tuned(row: Row, say: Texts) -> str | None:
    """The learning rate, and what else was tuned."""
    rate = row.values.get("lr", row.lr)
    others = [f"{name}={say.number(value, 3)}" for name, value in row.values.items() if name != "lr"]
    return " ".join([*([] if rate is None else [f"{rate:g}"]), *others]) or None


def _points(figure: Figure, say: Texts) -> str | None:
    """A difference in percentage points; 0 only where it is exactly 0 with every seed."""
    if figure.mean is None:
        return None
    if figure.mean == 0 and any(figure.values):
        return "+0.0"
    return say.points(figure.mean)
