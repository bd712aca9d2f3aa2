"""What is used and left, at a glance and by layer: figures that agree with one another, and a forecast not oversold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analysis_samples import random_store
from narrows.analysis.subject import open_subject
from narrows.report.blocks import MANY_ROWS, Block, Chart, Section, Stat, Stats, Table
from narrows.report.facts import Facts
from narrows.report.heat import MOST_WRITTEN, heat_map
from narrows.report.sections.capacity import capacity
from narrows.report.sections.glance import glance
from narrows.report.sections.kept import kept
from narrows.report.texts import LANGUAGES, Texts

SAY = Texts()


def facts_of(path: Path) -> Facts:
    return Facts(open_subject(path))


def stats(section: Section) -> Iterator[Stat]:
    for block in section.blocks:
        if isinstance(block, Stats):
            yield from block.stats


def chart(blocks: Iterable[Block], key: str) -> Chart:
    return next(block for block in blocks if isinstance(block, Chart) and block.key == key)


def test_used_and_free_add_up_or_it_is_said_why_they_do_not(tmp_path: Path):
    random_store(tmp_path / "apart", 3)
    random_store(tmp_path / "refined", 3, refine=1)
    told = {
        name: next(stat for stat in stats(glance(facts_of(tmp_path / name), SAY)) if stat.title == "Capacity used")
        for name in ("apart", "refined")
    }
    assert "100%" not in told["apart"].explain
    assert "more than 100%" in told["refined"].explain
    total = facts_of(tmp_path / "refined").capacity.total
    assert f"{total.free / total.weights:.1%}" in told["refined"].explain


def test_the_last_column_of_filling_is_what_is_not_free(tmp_path: Path):
    random_store(tmp_path / "s", 4, refine=1)
    facts = facts_of(tmp_path / "s")
    filled = chart(capacity(facts, SAY).blocks, "capacity-layers").table
    for row, layer in zip(filled.rows, facts.capacity.layers, strict=True):
        assert row[0] == layer.name
        assert row[-1] == SAY.percent(1 - layer.free / layer.weights)


def test_a_forecast_from_one_or_two_tasks_is_no_good_news(tmp_path: Path):
    random_store(tmp_path / "s", 2, claim=1)
    facts = facts_of(tmp_path / "s")
    assert facts.forecast.weak
    room = next(stat for stat in stats(glance(facts, SAY)) if stat.title == "More tasks that fit")
    assert room.tone != "good"
    fits = facts.forecast.fits
    if fits.low == fits.high:
        assert room.value == SAY.number(fits.median)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_forecast_that_was_wrong_before_is_doubted_where_it_is_read(tmp_path: Path, language: str):
    random_store(tmp_path / "s", 7, claim=1, shapes={"one.weight": (60, 50), "two.weight": (50, 60)})
    facts, say = facts_of(tmp_path / "s"), Texts(language)
    facts.back_test = replace(facts.back_test, settled=None, all=replace(facts.back_test.all, within=0.2))
    room = next(stat for stat in stats(glance(facts, say)) if stat.title == say("glance.room.title"))
    assert room.explain.endswith(say("glance.room.doubt", within="20%"))
    assert room.tone != "good"
    assert say("capacity.back.doubt") in [getattr(block, "text", "") for block in capacity(facts, say).blocks]
    facts.back_test = replace(facts.back_test, all=replace(facts.back_test.all, within=0.8))
    assert say("capacity.back.doubt") not in [getattr(block, "text", "") for block in capacity(facts, say).blocks]


def test_a_small_matrix_has_its_numbers_in_its_cells_and_a_wide_one_has_not():
    def drawn(columns: int) -> str:
        names = [f"t{place}" for place in range(columns)]
        found = heat_map(
            "key",
            "Title",
            "What it is.",
            [[place / columns for place in range(columns)]],
            rows=("row", ["a"]),
            columns=("column", names),
            value="value",
            show=SAY.percent,
        )
        return json.dumps(found.spec)

    assert '"text"' in drawn(MOST_WRITTEN)
    assert '"text"' not in drawn(MOST_WRITTEN + 1)


def test_long_tables_are_folded(tmp_path: Path):
    for tasks in (MANY_ROWS, MANY_ROWS + 1):
        random_store(tmp_path / str(tasks), tasks, claim=1)
        table = next(b for b in kept(facts_of(tmp_path / str(tasks)), SAY).blocks if isinstance(b, Table))
        assert table.folded is (tasks > MANY_ROWS)
