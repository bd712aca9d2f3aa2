"""Of the section on what is kept: what was measured on examples, and the command that measures what was not."""

from __future__ import annotations

import shlex

from narrows.analysis.subject import Missing
from narrows.benchmarks.streams import stream_names
from narrows.report.blocks import Block, Notice
from narrows.report.facts import Facts
from narrows.report.texts import Texts


def how(facts: Facts, say: Texts) -> list[Block]:
    """What is missing, and the command that adds it."""
    blocks: list[Block] = []
    if facts.measured is None:
        blocks.append(Notice(say("kept.not_measured"), "warn", command(facts, *options(facts, say))))
    else:
        blocks += [
            Notice(say("kept.task_left_out", task=left.task, reason=left.reason), "warn")
            for left in facts.measured.left_out
        ]
    if isinstance(facts.insides, Missing):
        blocks.append(Notice(say("kept.no_network", reason=facts.insides.why), "warn"))
    return blocks


def command(facts: Facts, *options: str) -> str:
    """`narrows report` of the same with these options."""
    return shlex.join(["narrows", "report", str(facts.path), *options])


def options(facts: Facts, say: Texts) -> list[str]:
    """Those that let it be measured."""
    if facts.result is None:
        return ["--data", f"{facts.names[0]}={say('kept.your_data')}"]
    spec = stream_names().get(facts.result.stream)
    needs = spec is not None and spec.needs_data
    return ["--measure", *(["--data-dir", say("kept.your_data")] if needs else [])]
