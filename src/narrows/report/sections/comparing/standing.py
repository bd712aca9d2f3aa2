"""Of a comparison, at a glance: what was compared, the best, the smallest that is as good, what is still missing."""

from __future__ import annotations

import math

from narrows.benchmarks.compare.spec import DENSE
from narrows.benchmarks.compare.summary import Row
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
        blocks.append(Notice(say("missing.comparison.why"), "warn"))
    else:
        makers = (_stream, _methods, _runs, _best, _smallest)
        stats = [stat for stat in (make(found, say) for make in makers) if stat is not None]
        blocks += [Stats(tuple(stats)), *_notices(found, facts, say)]
    return Section("standing", say("standing.title"), say("standing.lead"), blocks)


def _stream(found: Variants, say: Texts) -> Stat:
    grid = found.comparison.grid
    tasks = max((len(row.tasks) for row in found.done), default=grid.get("tasks"))
    network = grid.get("network") or "?"
    explain = say("standing.stream.explain", tasks="?" if tasks is None else tasks, network=network)
    return Stat(
        say("standing.stream.title"), explain, "", (Citation(found.file, "grid"),), str(grid.get("stream") or "-")
    )


def _methods(found: Variants, say: Texts) -> Stat:
    rows = found.comparison.rows
    lengths = sorted({row.epochs for row in rows})
    explain = say("standing.methods.explain", epochs=", ".join(map(str, lengths)) or "?")
    return Stat(say("standing.methods.title"), explain, "", found.source("label, epochs"), say.number(len(found.looks)))


def _runs(found: Variants, say: Texts) -> Stat:
    comparison = found.comparison
    done, asked = sum(len(row.seeds) for row in comparison.rows), sum(row.asked for row in comparison.rows)
    seeds = len({seed for row in comparison.rows for seed in row.seeds})
    how = "complete" if comparison.complete and done >= asked else "open"
    explain = say(f"standing.runs.{how}", seeds=seeds, left=comparison.left, failed=len(comparison.failures))
    tone: Tone = "bad" if comparison.failures else "good" if how == "complete" else "warn"
    sources = (Citation(found.file, "rows[i].seeds, rows[i].asked, left, failures"),)
    return Stat(say("standing.runs.title"), explain, say("standing.runs.term"), sources, f"{done} / {asked}", tone)


def _best(found: Variants, say: Texts) -> Stat | None:
    """The row with the highest mean."""
    known = [(acc, row) for row in found.done if (acc := mean_of(row, "ACC")) is not None]
    if not known:
        return None
    row = max(known, key=lambda pair: pair[0])[1]
    explain = say("standing.best.explain", method=row.label, epochs=row.epochs)
    value = with_error(row.figures["ACC"]) or "-"
    return Stat(say("standing.best.title"), explain, "ACC", found.place(row, "figures.ACC"), value)


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
    acc = with_error(dense.figures["ACC"])
    if not reached:
        return Stat(
            say("standing.smallest.title"), say("standing.smallest.none", acc=acc, dense=dense.label),
            say("standing.smallest.term"), sources, "-",
        )  # fmt: skip
    density, row = min(reached, key=lambda pair: pair[0])
    explain = say("standing.smallest.explain", method=row.label, acc=acc, dense=dense.label)
    where = (*found.place(row, "figures.density"), *sources)
    return Stat(
        say("standing.smallest.title"), explain, say("standing.smallest.term"), where, say.percent(density), "good"
    )


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
        notices.append(Notice(say("missing.comparison.why"), "warn"))
    if comparison.left:
        notices.append(Notice(say("standing.left", count=comparison.left), "warn"))
    if comparison.failures:
        notices.append(Notice(say("standing.failed", count=len(comparison.failures)), "bad"))
    if not found.done:
        return [*notices]
    missing = {"one_method": len(found.looks) == 1, "no_dense": found.dense is None}
    notices += [Notice(say(f"standing.{key}")) for key, holds in missing.items() if holds]
    if all(len(row.seeds) == 1 for row in found.done):
        notices.append(Notice(say("standing.one_seed"), "warn"))
    return [*notices]
