"""Of a comparison, at a glance: what was compared, the best, the smallest that is as good, what is still missing."""

from __future__ import annotations

import math

from narrows.benchmarks.compare.spec import DENSE
from narrows.benchmarks.compare.summary import Row
from narrows.report.block_makers import section, stat, warning
from narrows.report.blocks import Block, Citation, Notice, Section, Stat, Stats, Tone
from narrows.report.facts import Facts
from narrows.report.sections.comparing.variants import Variants, mean_of, with_error
from narrows.report.texts import Texts

_MOST_DAMAGE = 10
"""More parts that cannot be read are counted and not named."""


def standing(facts: Facts, say: Texts) -> Section:
    """The first thing on the page of a comparison."""
    found = Variants.of(facts)
    blocks: list[Block] = []
    if found is None:
        blocks.append(warning(say, "missing.comparison.why"))
    else:
        makers = (_stream, _methods, _runs, _best, _smallest)
        stats = [stat for stat in (make(found, say) for make in makers) if stat is not None]
        blocks += [Stats(tuple(stats)), *_notices(found, facts, say)]
    return section(say, "standing", blocks)


def _stream(found: Variants, say: Texts) -> Stat:
    grid = found.comparison.grid
    tasks = max((len(row.tasks) for row in found.done), default=grid.get("tasks"))
    network = grid.get("network") or "?"
    value, source = str(grid.get("stream") or "-"), Citation(found.file, "grid")
    return stat(say, "standing.stream", value, source, tasks="?" if tasks is None else tasks, network=network)


def _methods(found: Variants, say: Texts) -> Stat:
    epochs = ", ".join(map(str, sorted({row.epochs for row in found.comparison.rows}))) or "?"
    sources = found.source("label, epochs")
    return stat(say, "standing.methods", say.number(len(found.looks)), *sources, epochs=epochs)


def _runs(found: Variants, say: Texts) -> Stat:
    comparison = found.comparison
    done, asked = sum(len(row.seeds) for row in comparison.rows), sum(row.asked for row in comparison.rows)
    seeds = len({seed for row in comparison.rows for seed in row.seeds})
    how = "complete" if comparison.complete and done >= asked else "open"
    explain = say(f"standing.runs.{how}", seeds=seeds, left=comparison.left, failed=len(comparison.failures))
    tone: Tone = "bad" if comparison.failures else "good" if how == "complete" else "warn"
    source = Citation(found.file, "rows[i].seeds, rows[i].asked, left, failures")
    return stat(say, "standing.runs", f"{done} / {asked}", source, tone=tone, explain=explain)


def _best(found: Variants, say: Texts) -> Stat | None:
    """The row with the highest mean."""
    known = [(acc, row) for row in found.done if (acc := mean_of(row, "ACC")) is not None]
    if not known:
        return None
    row = max(known, key=lambda pair: pair[0])[1]
    value, sources = with_error(row.figures["ACC"]) or "-", found.place(row, "figures.ACC")
    return stat(say, "standing.best", value, *sources, term="ACC", method=row.label, epochs=row.epochs)


def _smallest(found: Variants, say: Texts) -> Stat | None:
    """The smallest density that loses nothing against one dense network per task."""
    dense = found.dense
    if dense is None or mean_of(dense, "ACC") is None:
        return None
    sources = found.place(dense, "figures.ACC")
    reached = [
        (density, row)
        for row in found.longest
        if row.method != DENSE and row.epochs == dense.epochs and _is_as_good(row, dense)
        if (density := mean_of(row, "density")) is not None
    ]
    against = {"acc": with_error(dense.figures["ACC"]), "dense": dense.label}
    if not reached:
        return stat(say, "standing.smallest", "-", *sources, explain=say("standing.smallest.none", **against))
    density, row = min(reached, key=lambda pair: pair[0])
    where = (*found.place(row, "figures.density"), *sources)
    return stat(say, "standing.smallest", say.percent(density), *where, tone="good", method=row.label, **against)


def _is_as_good(row: Row, dense: Row) -> bool:
    """Whether ACC is not lower by more than the standard error of the difference."""
    one, other = row.figures["ACC"], dense.figures["ACC"]
    if one.mean is None or other.mean is None:
        return False
    return one.mean >= other.mean - math.hypot(one.se or 0.0, other.se or 0.0)


def _notices(found: Variants, facts: Facts, say: Texts) -> list[Block]:
    comparison = found.comparison
    notices = [Notice(say("standing.damage", problem=damage), "bad") for damage in facts.subject.damage[:_MOST_DAMAGE]]
    if (more := len(facts.subject.damage) - _MOST_DAMAGE) > 0:
        notices.append(Notice(say("standing.more_damage", count=more), "bad"))
    if not found.done:
        notices.append(warning(say, "missing.comparison.why"))
    if comparison.left:
        notices.append(warning(say, "standing.left", count=comparison.left))
    if comparison.failures:
        notices.append(Notice(say("standing.failed", count=len(comparison.failures)), "bad"))
    if not found.done:
        return [*notices]
    missing = {"one_method": len(found.looks) == 1, "no_dense": found.dense is None}
    notices += [Notice(say(f"standing.{key}")) for key, holds in missing.items() if holds]
    if all(len(row.seeds) == 1 for row in found.done):
        notices.append(warning(say, "standing.one_seed"))
    return [*notices]
