"""At a glance: how many tasks, how good, what was forgotten, what is used and left, what it takes on disk."""

from __future__ import annotations

from narrows.report.blocks import Block, Notice, Section, Source, Stat, Stats
from narrows.report.facts import Facts
from narrows.report.texts import Texts


def glance(facts: Facts, say: Texts) -> Section:
    """The first thing on the page."""
    stats = [stat for stat in (_tasks(facts, say), _accuracy(facts, say), _used(facts, say)) if stat is not None]
    blocks: list[Block] = [Stats(tuple(stats))]
    blocks += [
        Notice(say(f"missing.{missing.what.replace(' ', '_')}"), "warn", missing.remedy)
        for missing in facts.subject.missing
    ]
    return Section("glance", say("glance.title"), say("glance.lead"), blocks)


def _tasks(facts: Facts, say: Texts) -> Stat:
    source = (
        Source("result.json", "tasks") if facts.reader is None else Source(f"{facts.store_folder}store.json", "tasks")
    )
    return Stat(say("glance.tasks.title"), say("glance.tasks.explain"), "", (source,), say.number(len(facts.names)))


def _accuracy(facts: Facts, say: Texts) -> Stat | None:
    if facts.result is None or not facts.result.tasks:
        return None
    acc = facts.result.metrics()["ACC"]
    source = Source("result.json", "metrics.ACC")
    return Stat(say("glance.acc.title"), say("glance.acc.explain"), "ACC", (source,), say.percent(acc))


def _used(facts: Facts, say: Texts) -> Stat | None:
    if facts.result is None or not facts.result.tasks:
        return None
    used = facts.result.tasks[-1].used
    source = Source("result.json", f"tasks[{len(facts.result.tasks) - 1}].used")
    return Stat(say("glance.used.title"), say("glance.used.explain"), say("term.used"), (source,), say.percent(used))
