"""Live: what is being learned at this moment; on a page that follows a run, and on no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from narrows.analysis.underway import LiveJob, UnderWay
from narrows.report.block_makers import chart, section, stat, table, warning
from narrows.report.blocks import Block, Chart, Citation, Notice, Section, Stats, Tone
from narrows.report.charts import altair, colour, kinds, values
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
    return section(say, "live", blocks)


def waiting(path: Path, why: str, say: Texts) -> Section:
    """There is nothing to show yet, or nothing that can be read."""
    text = say("live.unreadable", error=why) if why else say("live.waiting", path=path)
    return section(say, "live", [Notice(text, "bad" if why else "plain")])


def failed(error: Exception, before: Section | None, say: Texts) -> Section:
    """The section as it was `before`, and that it could not be made anew."""
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    notice = Notice(say("live.failed_anew", error=what[:MAX_ERROR]), "bad")
    return section(say, "live", [notice, *(() if before is None else before.blocks)])


def _unread(found: UnderWay, say: Texts) -> list[Block]:
    blocks: list[Block] = [
        Notice(say("live.unread_lines", file=one.file, count=say.number(one.lines)))
        if one.lines
        else warning(say, "live.unread_file", file=one.file, error=one.why[:MAX_ERROR])
        for one in found.unread[:MAX_UNREAD]
    ]
    if len(found.unread) > MAX_UNREAD:
        blocks.append(warning(say, "live.unread_more", count=say.number(len(found.unread) - MAX_UNREAD)))
    return blocks


def _grid(found: UnderWay, say: Texts) -> list[Block]:
    blocks: list[Block] = []
    if found.done is not None:
        source = Citation("compare.json", "rows, failures, left")
        failures: Tone = "bad" if found.failed else "plain"
        shown: tuple[tuple[str, int | None, Tone], ...] = (
            ("done", found.done, "plain"), ("left", found.left, "plain"), ("failed", found.failed, failures),
        )  # fmt: skip
        stats = (stat(say, f"live.{key}", say.number(count), source, tone=tone) for key, count, tone in shown)
        blocks.append(Stats(tuple(stats)))
    if found.jobs:
        columns = say.each("live", "job", "task.title", "learned", "step", "loss.title", "left_over", "heard", "said")
        files = (Citation("*/live.jsonl"), Citation("*.log"))
        rows = (_row(job, say) for job in found.jobs)
        blocks.append(table(say, "live.jobs", columns, rows, *files, text=(0, 1, 7)))
    return blocks


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
    source = Citation(job.file, task.name)
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
        stats.insert(3, ("density", say.percent(float(last["new"]) + float(last.get("reused") or 0.0)), ""))
    if task.scores:
        score = task.scores[-1]
        stats.append(("score", say.number(score.value), say("live.epoch", epoch=score.epoch + 1)))
    shown = tuple(
        stat(say, f"live.{key}", value, source, explain=" ".join(filter(None, (more, say(f"live.{key}.explain")))))
        for key, value, more in stats
    )
    blocks: list[Block] = [Stats(shown)]
    if task.state == "stopped":
        blocks.append(warning(say, "live.stopped"))
    elif job.silent > QUIET:
        blocks.append(warning(say, "live.quiet", time=_coarse(job.silent, say)))
    return blocks + _curves(task, source, say)


def _curves(task: LiveTask, source: Citation, say: Texts) -> list[Block]:
    parts = [
        {"step": point["step"], "value": point[kind], "kind": say(f"live.{word}")}
        for point in task.points
        for kind, word in (("new", "claimed"), ("reused", "reused"))
        if point.get(kind) is not None
    ]
    rows = {
        "loss": [{"step": point["step"], "value": point.get("loss")} for point in task.points],
        "density": parts,
        "score": [{"step": score.epoch + 1, "value": score.value} for score in task.scores],
    }
    return [
        _curve(key, found, task, source, say)
        for key, found in rows.items()
        if any(row["value"] is not None for row in found)
    ]


def _curve(key: str, rows: list[dict[str, Any]], task: LiveTask, source: Citation, say: Texts) -> Chart:
    alt = altair()
    title, along = say(f"live.{key}.title"), say("live.epochs" if key == "score" else "live.steps.title")
    share = key == "density"
    x: dict[str, Any] = {"title": along, "axis": {"tickMinStep": 1, "format": "d"}}
    if key != "score" and _total(task):
        x["scale"] = {"domain": [0, _total(task)]}
    y: dict[str, Any] = {"title": title, **({"axis": {"format": ".3~%"}, "stack": "zero"} if share else {})}
    value = alt.Tooltip("value:Q", title=title, format=".4~%" if share else ".4~f")
    base = alt.Chart(values(rows)).encode(
        x=alt.X("step:Q", **x), y=alt.Y("value:Q", **y), tooltip=[alt.Tooltip("step:Q", title=along), value]
    )
    if share:
        both = say.each("live", "claimed", "reused")
        drawn = base.mark_area(opacity=0.85).encode(color=kinds("kind", both, [colour("kept"), colour("reused")]))
    else:
        drawn = base.mark_line(point=True, color=colour("c1"))
    columns = (along, *((say("live.part"),) if share else ()), title)
    body = (
        (say.number(row["step"]), row["kind"], say.percent(row["value"], 2))
        if share
        else (say.number(row["step"]), say.number(row["value"]))
        for row in rows
    )
    text = (1,) if share else ()
    return chart(say, f"live.{key}", f"live-{key}", drawn, 200, columns, body, source, text=text, term="")


def _schedule(task: LiveTask | None, key: str) -> int | None:
    schedule = task.about.get("schedule") if task else None
    found = schedule.get(key) if isinstance(schedule, Mapping) else None
    return found if isinstance(found, int) else None


def _total(task: LiveTask | None) -> int | None:
    return _schedule(task, "total_steps")


def _epoch(last: Mapping[str, Any], task: LiveTask, say: Texts) -> str:
    epochs = _schedule(task, "epochs")
    if not isinstance(last.get("epoch"), int):
        return ""
    if epochs is None:
        return say("live.epoch", epoch=last["epoch"] + 1)
    return say("live.epoch_of", epoch=last["epoch"] + 1, count=epochs)


def _of(number: int | None, count: int | None, say: Texts) -> str:
    if number is None:
        return "-"
    return say.number(number) if count is None else f"{say.number(number)} / {say.number(count)}"


def _coarse(seconds: float, say: Texts) -> str:
    """So that a page does not change every second for that alone."""
    return say.seconds(float(10 * int(seconds / 10))) if seconds >= 10 else say("live.moments")
