"""At a glance: how many tasks, how good, what was forgotten, what is used and left, what it takes on disk."""

from __future__ import annotations

import statistics

from narrows.errors import NarrowsError
from narrows.report.block_makers import section, stat, warning
from narrows.report.blocks import Block, Citation, Notice, Section, Stat, Stats, Tone
from narrows.report.facts import Facts
from narrows.report.sections.outlook import doubted, trusted
from narrows.report.texts import Texts


def glance(facts: Facts, say: Texts) -> Section:
    """The first thing on the page."""
    makers = (_tasks, _accuracy, _against_alone, _forgotten, _used, _room, _limit, _bytes)
    stats: list[Stat] = []
    faults: list[str] = []
    for make in makers:
        try:
            found = make(facts, say)
        except NarrowsError as error:  # damage in one file leaves the other figures
            faults.append(str(error))
        else:
            stats += [] if found is None else [found]
    told = [str(problem) for problem in facts.damage] or list(dict.fromkeys(faults))
    blocks: list[Block] = [Stats(tuple(stats))]
    blocks += [Notice(say("glance.damage", problem=problem), "bad") for problem in told]
    for missing in facts.subject.missing:
        key = f"missing.{missing.what.replace(' ', '_')}"
        blocks.append(warning(say, f"{key}.why", say(f"{key}.command"), reason=missing.why))
    return section(say, "glance", blocks)


def _tasks(facts: Facts, say: Texts) -> Stat:
    file = "result.json" if facts.reader is None else f"{facts.store_folder}store.json"
    return stat(say, "glance.tasks", say.number(len(facts.names)), Citation(file, "tasks"))


def _accuracy(facts: Facts, say: Texts) -> Stat | None:
    if (metrics := facts.metrics) is not None:
        return stat(say, "glance.acc", say.percent(metrics["ACC"]), Citation("result.json", "metrics.ACC"), term="ACC")
    found = [accuracy for accuracy in facts.validated.values() if accuracy is not None]
    if not found:
        return None
    source = Citation(f"{facts.store_folder}tasks/*/task.json", "metrics.validation.accuracy")
    return stat(say, "glance.validated", say.percent(statistics.fmean(found)), source, measured=len(found))


def _against_alone(facts: Facts, say: Texts) -> Stat | None:
    """Sharing against one network per task."""
    difference = None if facts.metrics is None else facts.metrics.get("fwt_independent")
    if difference is None:
        return None
    source = Citation("result.json", "metrics.fwt_independent")
    tone: Tone = "warn" if difference < -0.01 else "good"
    value = say("glance.points", points=say.points(difference))
    return stat(say, "glance.alone", value, source, tone=tone, term=say("term.fwt"))


def _forgotten(facts: Facts, say: Texts) -> Stat | None:
    """Nothing, where every old task was measured or put together again and is what it was; else how much."""
    measured = None if facts.metrics is None else facts.metrics.get("BWT")
    checked = facts.problems is not None and not facts.damage and bool(facts.names)
    sources = [Citation("result.json", "metrics.BWT")] if measured is not None else []
    if checked:
        sources.append(Citation(f"{facts.store_folder}tasks/*/task.json", "weights_sha256"))
    if not sources:
        return None
    if measured:  # finetune, say: measured, and not 0
        value = say("glance.points", points=say.points(measured))
        return stat(say, "glance.forgot", value, *sources, tone="bad" if measured < 0 else "plain", term="BWT")
    how = "both" if measured is not None and checked else "checked" if checked else "measured"
    explain, nothing = say(f"glance.forgotten.{how}", tasks=len(facts.names)), say("glance.forgotten.nothing")
    return stat(say, "glance.forgotten", nothing, *sources, tone="good", explain=explain, term="BWT")


def _used(facts: Facts, say: Texts) -> Stat | None:
    term = say("term.used")
    if facts.capacity is not None and facts.names:
        source = Citation(f"{facts.store_folder}tasks/*/mask.bin", "claimed")
        total = facts.capacity.total
        free = say.percent(total.free / total.weights if total.weights else 0.0)
        key = "twice" if total.claimed > total.weights - total.free else "left"
        return stat(say, f"glance.{key}", say.percent(facts.capacity.used), source, term=term, free=free)
    if facts.result is None or not facts.result.tasks:
        return None
    last = len(facts.result.tasks) - 1
    source = Citation("result.json", f"tasks[{last}].used")
    return stat(say, "glance.used", say.percent(facts.result.tasks[last].used), source, term=term)


def _room(facts: Facts, say: Texts) -> Stat | None:
    """How many more tasks fit."""
    forecast = facts.forecast
    if forecast is None:
        return None
    fits = forecast.fits
    low, middle, high = (
        say("glance.room.beyond", count=forecast.horizon) if tasks is None else say.number(tasks)
        for tasks in (fits.low, fits.median, fits.high)
    )
    value = middle if low == high else say("glance.room.value", middle=middle, low=low, high=high)
    doubt = doubted(facts.back_test)
    fine: Tone = "plain" if forecast.weak or doubt else "good"
    tone: Tone = "bad" if forecast.refused else "warn" if fits.low is not None and fits.low < 3 else fine
    source = Citation(f"{facts.store_folder}tasks/*/mask.bin", "claimed, reused")
    key = "guess" if forecast.weak else "refines" if forecast.refines else "explain"
    explain = say(f"glance.room.{key}", level=say.percent(forecast.level, 0))
    if doubt and facts.back_test is not None:
        within = say.percent(trusted(facts.back_test).within, 0)
        explain = say.sentences(explain, say("glance.room.doubt", within=within))
    return stat(say, "glance.room", value, source, tone=tone, explain=explain, term=say("term.forecast"))


def _limit(facts: Facts, say: Texts) -> Stat | None:
    """The layer that is full first."""
    limit = None if facts.forecast is None else facts.forecast.next_limit
    if limit is None:
        return None
    source = Citation(f"{facts.store_folder}tasks/*/mask.bin", limit.layer)
    when = say("glance.limit.when", count=say.number(limit.tasks.median))
    return stat(say, "glance.limit", limit.layer, source, explain=say.sentences(when, say("glance.limit.explain")))


def _bytes(facts: Facts, say: Texts) -> Stat | None:
    if not facts.sizes:
        return None
    mean = statistics.fmean(facts.sizes)
    explain = say("glance.bytes.explain", total=say.bytes(sum(facts.sizes)))
    if facts.dense_bytes:
        explain = say.sentences(explain, say("glance.bytes.share", share=say.percent(mean / facts.dense_bytes)))
    on_disk = facts.reader is not None
    source = Citation(f"{facts.store_folder}tasks/*") if on_disk else Citation("result.json", "tasks.bytes")
    return stat(say, "glance.bytes", say.bytes(mean), source, explain=explain)
