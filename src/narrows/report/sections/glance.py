"""At a glance: how many tasks, how good, what was forgotten, what is used and left, what it takes on disk."""

from __future__ import annotations

import statistics

from narrows.errors import NarrowsError
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
            stat = make(facts, say)
        except NarrowsError as error:  # damage in one file leaves the other figures
            faults.append(str(error))
        else:
            stats += [] if stat is None else [stat]
    told = [str(problem) for problem in facts.damage] or list(dict.fromkeys(faults))
    blocks: list[Block] = [Stats(tuple(stats))]
    blocks += [Notice(say("glance.damage", problem=problem), "bad") for problem in told]
    for missing in facts.subject.missing:
        key = f"missing.{missing.what.replace(' ', '_')}"
        blocks.append(Notice(say(f"{key}.why", reason=missing.why), "warn", say(f"{key}.command")))
    return Section("glance", say("glance.title"), say("glance.lead"), blocks)


def _tasks(facts: Facts, say: Texts) -> Stat:
    file = "result.json" if facts.reader is None else f"{facts.store_folder}store.json"
    return _stat(say, "tasks", say.number(len(facts.names)), sources=(Citation(file, "tasks"),))


def _accuracy(facts: Facts, say: Texts) -> Stat | None:
    if facts.result is not None and facts.result.tasks:
        acc = facts.result.metrics()["ACC"]
        return _stat(say, "acc", say.percent(acc), term="ACC", sources=(Citation("result.json", "metrics.ACC"),))
    found = [accuracy for accuracy in facts.validated.values() if accuracy is not None]
    if not found:
        return None
    sources = (Citation(f"{facts.store_folder}tasks/*/task.json", "metrics.validation.accuracy"),)
    return _stat(say, "validated", say.percent(statistics.fmean(found)), sources=sources, measured=len(found))


def _against_alone(facts: Facts, say: Texts) -> Stat | None:
    """Sharing against one network per task."""
    if facts.result is None or not facts.result.tasks:
        return None
    difference = facts.result.metrics().get("fwt_independent")
    if difference is None:
        return None
    tone: Tone = "warn" if difference < -0.01 else "good"
    sources = (Citation("result.json", "metrics.fwt_independent"),)
    value = say("glance.points", points=say.points(difference))
    return _stat(say, "alone", value, tone, say("term.fwt"), sources)


def _forgotten(facts: Facts, say: Texts) -> Stat | None:
    """Nothing, where every old task was measured or put together again and is what it was; else how much."""
    measured = None if facts.result is None or not facts.result.tasks else facts.result.metrics().get("BWT")
    checked = facts.problems is not None and not facts.damage and bool(facts.names)
    sources = []
    if measured is not None:
        sources.append(Citation("result.json", "metrics.BWT"))
    if checked:
        sources.append(Citation(f"{facts.store_folder}tasks/*/task.json", "weights_sha256"))
    if not sources:
        return None
    if measured:  # finetune, say: measured, and not 0
        value = say("glance.points", points=say.points(measured))
        return _stat(say, "forgot", value, "bad" if measured < 0 else "plain", "BWT", tuple(sources))
    how = "both" if measured is not None and checked else "checked" if checked else "measured"
    return Stat(
        say("glance.forgotten.title"),
        say(f"glance.forgotten.{how}", tasks=len(facts.names)),
        "BWT",
        tuple(sources),
        say("glance.forgotten.nothing"),
        "good",
    )


def _used(facts: Facts, say: Texts) -> Stat | None:
    term = say("term.used")
    if facts.capacity is not None and facts.names:
        sources = (Citation(f"{facts.store_folder}tasks/*/mask.bin", "claimed"),)
        total = facts.capacity.total
        free = say.percent(total.free / total.weights if total.weights else 0.0)
        key = "twice" if total.kept > total.weights - total.free else "left"
        return _stat(say, key, say.percent(facts.capacity.used), term=term, sources=sources, free=free)
    if facts.result is None or not facts.result.tasks:
        return None
    last = len(facts.result.tasks) - 1
    used = facts.result.tasks[last].used
    return _stat(say, "used", say.percent(used), term=term, sources=(Citation("result.json", f"tasks[{last}].used"),))


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
    sources = (Citation(f"{facts.store_folder}tasks/*/mask.bin", "used, claimed"),)
    key = "guess" if forecast.weak else "refines" if forecast.refines else "explain"
    explain = say(f"glance.room.{key}", level=say.percent(forecast.level, 0))
    if doubt and facts.back_test is not None:
        explain = say.sentences(
            explain, say("glance.room.doubt", within=say.percent(trusted(facts.back_test).within, 0))
        )
    return Stat(say("glance.room.title"), explain, say("term.forecast"), sources, value, tone)


def _limit(facts: Facts, say: Texts) -> Stat | None:
    """The layer that is full first."""
    if facts.forecast is None or facts.forecast.next_limit is None:
        return None
    limit = facts.forecast.next_limit
    sources = (Citation(f"{facts.store_folder}tasks/*/mask.bin", limit.layer),)
    when = say("glance.limit.when", count=say.number(limit.tasks.median))
    explain = say.sentences(when, say("glance.limit.explain"))
    return Stat(say("glance.limit.title"), explain, "", sources, limit.layer)


def _bytes(facts: Facts, say: Texts) -> Stat | None:
    if not facts.sizes:
        return None
    mean = statistics.fmean(facts.sizes)
    explain = say("glance.bytes.explain", total=say.bytes(sum(facts.sizes)))
    if facts.dense_bytes:
        explain = say.sentences(explain, say("glance.bytes.share", share=say.percent(mean / facts.dense_bytes)))
    source = (
        Citation("result.json", "tasks.bytes") if facts.reader is None else Citation(f"{facts.store_folder}tasks/*")
    )
    return Stat(
        say("glance.bytes.title"),
        explain,
        "",
        (source,),
        say.bytes(mean),
    )


def _stat(
    say: Texts,
    key: str,
    value: str,
    tone: Tone = "plain",
    term: str = "",
    sources: tuple[Citation, ...] = (),
    **values: object,
) -> Stat:
    return Stat(say(f"glance.{key}.title"), say(f"glance.{key}.explain", **values), term, sources, value, tone)
