"""Live: what is being learned at this moment; on a page that follows a run, and on no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from narrows.analysis.underway import LiveJob, UnderWay
from narrows.report.blocks import Block, Chart, Citation, Notice, Section, Stat, Stats, Table
from narrows.report.charts import altair, colour, spec_of, values
from narrows.report.texts import Texts
from narrows.trackers import LiveTask

QUIET = 120.0
"""Seconds of silence after which a job may have been cut off."""
MAX_UNREAD = 5
"""Files that are named of those that could not be read."""
MAX_ERROR = 500
"""Characters of an error that are shown."""


def live(found: UnderWay, say: Texts) -> Section:
    """What goes on, or that nothing does."""
    blocks: list[Block] = _unread(found, say)
    if found.done is not None or len(found.jobs) > 1:
        blocks += _grid(found, say)
    if found.complete:
        blocks.append(Notice(say("live.complete"), "good"))
    elif not found.jobs:
        blocks.append(Notice(say("live.nothing")))
    if found.jobs:
        blocks += _job(found.jobs[0], say)
    return _section(blocks, say)


def waiting(path: Path, why: str, say: Texts) -> Section:
    """There is nothing to show yet, or nothing that can be read."""
    text = say("live.unreadable", error=why) if why else say("live.waiting", path=path)
    return _section([Notice(text, "bad" if why else "plain")], say)


def failed(error: Exception, before: Section | None, say: Texts) -> Section:
    """The section as it was `before`, and that it could not be made anew."""
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    notice = Notice(say("live.failed_anew", error=what[:MAX_ERROR]), "bad")
    kept = () if before is None else before.blocks
    return _section([notice, *kept], say)


def _unread(found: UnderWay, say: Texts) -> list[Block]:
    blocks: list[Block] = [
        Notice(say("live.unread_lines", file=one.file, count=say.number(one.lines)))
        if one.lines
        else Notice(say("live.unread_file", file=one.file, error=one.why[:MAX_ERROR]), "warn")
        for one in found.unread[:MAX_UNREAD]
    ]
    if len(found.unread) > MAX_UNREAD:
        blocks.append(Notice(say("live.unread_more", count=say.number(len(found.unread) - MAX_UNREAD)), "warn"))
    return blocks


def _section(blocks: list[Block], say: Texts) -> Section:
    return Section("live", say("live.title"), say("live.lead"), blocks)


def _grid(found: UnderWay, say: Texts) -> list[Block]:
    blocks: list[Block] = []
    if found.done is not None:
        source = (Citation("compare.json", "rows, failures, left"),)
        shown = (("done", found.done, "plain"), ("left", found.left, "plain"), ("failed", found.failed, "bad"))
        stats = [
            Stat(
                say(f"live.{key}.title"), say(f"live.{key}.explain"), "", source, say.number(count), _tone(tone, count)
            )
            for key, count, tone in shown
        ]
        blocks.append(Stats(tuple(stats)))
    columns = tuple(
        say(f"live.{key}")
        for key in ("job", "task.title", "learned", "step", "loss.title", "left_over", "heard", "said")
    )
    if found.jobs:
        rows = tuple(_row(job, say) for job in found.jobs)
        title, explain = say("live.jobs.title"), say("live.jobs.explain")
        sources = (Citation("*/live.jsonl"), Citation("*.log"))
        blocks.append(Table(title, explain, "", sources, columns, rows, frozenset({2, 3, 4, 5, 6})))
    return blocks


def _tone(tone: str, count: int | None) -> Any:
    return tone if count else "plain"


def _row(job: LiveJob, say: Texts) -> tuple[str | None, ...]:
    task = job.task
    last = task.points[-1] if task and task.points else {}
    return (
        job.name or (task.name if task else None),
        task.name if task else None,
        _of(job.learned, job.of, say),
        _of(last.get("step"), _total(task), say),
        say.number(last.get("loss")),
        say.seconds(job.remaining),
        say("live.ago", time=_coarse(job.silent, say)),
        job.line or None,
    )


def _job(job: LiveJob, say: Texts) -> list[Block]:
    """The job that was heard of last, in full."""
    task = job.task
    if task is None:
        return [Notice(say("live.begins"))]
    source = (Citation(job.file, task.name),)
    last = task.points[-1] if task.points else {}
    number = job.learned + (task.state != "done")
    stats = [
        ("task", task.name, "" if job.of is None else say("live.nth", number=number, count=job.of)),
        ("steps", _of(last.get("step"), _total(task), say), _epoch(last, task, say)),
        ("loss", say.number(last.get("loss")), ""),
        ("spent", say.seconds(task.seconds), ""),
        ("remaining", say.seconds(job.remaining), ""),
    ]
    if last.get("new") is not None:
        stats.insert(3, ("density", say.percent(_density(last)), ""))
    if task.scores:
        score = task.scores[-1]
        stats.append(("score", say.number(score.value), say("live.epoch", epoch=score.epoch + 1)))
    shown = tuple(
        Stat(say(f"live.{key}.title"), " ".join(filter(None, (more, say(f"live.{key}.explain")))), "", source, value)
        for key, value, more in stats
    )
    blocks: list[Block] = [Stats(shown)]
    if task.state == "stopped":
        blocks.append(Notice(say("live.stopped"), "warn"))
    elif job.silent > QUIET:
        blocks.append(Notice(say("live.quiet", time=_coarse(job.silent, say)), "warn"))
    return blocks + _curves(task, source, say)


def _curves(task: LiveTask, source: tuple[Citation, ...], say: Texts) -> list[Block]:
    charts: list[Block] = []
    losses = [{"step": point["step"], "value": point.get("loss")} for point in task.points]
    if any(row["value"] is not None for row in losses):
        charts.append(_curve("loss", losses, task, source, say))
    densities = [
        {"step": point["step"], "value": point[kind], "kind": say(f"live.{kind}")}
        for point in task.points
        for kind in ("new", "reused")
        if point.get(kind) is not None
    ]
    if densities:
        charts.append(_curve("density", densities, task, source, say))
    scores = [{"step": score.epoch + 1, "value": score.value} for score in task.scores]
    if any(row["value"] is not None for row in scores):
        charts.append(_curve("score", scores, task, source, say))
    return charts


def _curve(key: str, rows: list[dict[str, Any]], task: LiveTask, source: tuple[Citation, ...], say: Texts) -> Chart:
    alt = altair()
    title, along = say(f"live.{key}.title"), say("live.epochs" if key == "score" else "live.steps.title")
    share = key == "density"
    x: dict[str, Any] = {"title": along, "axis": alt.Axis(tickMinStep=1, format="d")}
    if key != "score" and _total(task):
        x["scale"] = alt.Scale(domain=[0, _total(task)])
    y: dict[str, Any] = {"title": title}
    if share:
        y["axis"] = alt.Axis(format=".3~%")
    marks: dict[str, Any] = {
        "x": alt.X("step:Q", **x),
        "y": alt.Y("value:Q", **y),
        "tooltip": [
            alt.Tooltip("step:Q", title=along),
            alt.Tooltip("value:Q", title=title, format=".4~%" if share else ".4~f"),
        ],
    }
    base = alt.Chart(values(rows))
    if share:
        kinds = alt.Scale(domain=[say("live.new"), say("live.reused")], range=[colour("kept"), colour("reused")])
        marks["y"] = alt.Y("value:Q", stack="zero", **y)
        chart = base.mark_area(opacity=0.85).encode(color=alt.Color("kind:N", title=None, scale=kinds), **marks)
    else:
        chart = base.mark_line(point=True, color=colour("c1")).encode(**marks)
    columns = (along, *((say("live.part"),) if share else ()), title)
    table = tuple(
        (
            say.number(row["step"]),
            *((str(row["kind"]),) if share else ()),
            say.percent(row["value"], 2) if share else say.number(row["value"]),
        )
        for row in rows
    )
    explain = say(f"live.{key}.explain")
    return Chart(
        title,
        explain,
        "",
        source,
        f"live-{key}",
        spec_of(chart.properties(description=explain), height=200),
        Table(title, "", "", (), columns, table, frozenset({0, len(columns) - 1})),
    )


def _density(point: Mapping[str, Any]) -> float:
    return float(point["new"]) + float(point.get("reused") or 0.0)


def _total(task: LiveTask | None) -> int | None:
    schedule = task.about.get("schedule") if task else None
    total = schedule.get("total_steps") if isinstance(schedule, Mapping) else None
    return total if isinstance(total, int) else None


def _epoch(last: Mapping[str, Any], task: LiveTask, say: Texts) -> str:
    schedule = task.about.get("schedule")
    epochs = schedule.get("epochs") if isinstance(schedule, Mapping) else None
    if not isinstance(last.get("epoch"), int):
        return ""
    if not isinstance(epochs, int):
        return say("live.epoch", epoch=last["epoch"] + 1)
    return say("live.epoch_of", epoch=last["epoch"] + 1, count=epochs)


def _of(number: int | None, count: int | None, say: Texts) -> str:
    if number is None:
        return "-"
    return say.number(number) if count is None else f"{say.number(number)} / {say.number(count)}"


def _coarse(seconds: float, say: Texts) -> str:
    """So that a page does not change every second for that alone."""
    return say.seconds(float(10 * int(seconds / 10))) if seconds >= 10 else say("live.moments")
