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
        told = remedy(facts, say)
        blocks.append(Notice(say("kept.not_measured" if told else "kept.not_measurable"), "warn", told))
    else:
        blocks += [
            Notice(say("kept.task_left_out", task=left.task, reason=left.reason), "warn")
            for left in facts.measured.left_out
        ]
    if isinstance(facts.insides, Missing):
        blocks.append(Notice(say("kept.no_network", reason=facts.insides.why), "warn"))
    return blocks


def remedy(facts: Facts, say: Texts) -> str:
    """The command that measures; "" where the network cannot be built, so that none can."""
    if facts.result is not None:
        spec = stream_names().get(facts.result.stream)
        needs = spec is not None and spec.needs_data
        return command(facts, "--measure", *(["--data-dir", say("kept.your_data")] if needs else []))
    if isinstance(facts.insides, Missing) and not facts.insides.remedy:
        return ""
    trust = [facts.insides.remedy] if isinstance(facts.insides, Missing) else []
    return command(facts, "--data", f"{facts.names[0]}={say('kept.your_data')}", *trust)


def command(facts: Facts, *options: str) -> str:
    """`narrows report` of the same with these options."""
    return shlex.join(["narrows", "report", str(facts.path), *options, *facts.options])
