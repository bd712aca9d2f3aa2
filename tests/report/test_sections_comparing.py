"""The page of a comparison: everything compare.json says, in both languages, and what it does not say is said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from browser_pages import HOSTILE
from grids import result
from narrows.analysis.subject import open_subject
from narrows.benchmarks.compare import Comparison, parse_variants
from narrows.benchmarks.compare.summary import Cell, Ran, summarise
from narrows.errors import StoreVersionError
from narrows.report import write_report
from narrows.report.blocks import Block, Chart, Notice, Section, Selector, Stats, Table
from narrows.report.build import page_of
from narrows.report.charts import altair
from narrows.report.facts import Facts
from narrows.report.follow import Follower
from narrows.report.sections.comparing.labels import sides
from narrows.report.sections.comparing.variants import Variants
from narrows.report.texts import LANGUAGES

GRID = {"stream": "split-digits", "tasks": 2, "network": "mlp", "batch_size": 64, "tune": 2, "tune_tasks": 2}
GRID |= {"holdout": 0.2, "classes": None, "image_size": None}
TRIED = (
    {"values": {"lr": 0.01}, "accuracy": 0.4, "reason": ""},
    {"values": {"lr": 0.001}, "accuracy": 0.5, "reason": ""},
    {"values": {"lr": 0.03}, "accuracy": None, "reason": "error: the loss became NaN"},
)
KEYS = ["standing", "methods", "front", "grown", "by_task", "times", "tuning", "made"]


def comparison(
    methods: str = "ibm,wsn,independent",
    lengths: Sequence[int] = (1, 3),
    seeds: Sequence[int] = (0, 1),
    tried: Any = TRIED,
    tasks: int = 2,
    **changes: Any,
) -> Comparison:
    cells = []
    for variant in parse_variants(methods):
        for epochs in lengths:
            runs = tuple(Ran(seed, result("ibm", seed, tasks=tasks), "host:1") for seed in seeds)
            for run in runs:
                dense = variant.method == "independent"
                run.result["metrics"] |= {"seconds": 10.0 * epochs, "density": 1.0 if dense else 0.04}
                for place, task in enumerate(run.result["tasks"]):
                    task["used"] = place + 1.0 if dense else task["used"]
            cells.append(Cell(variant, epochs, 2, {"lr": 0.001}, tried, runs))
    return replace(summarise(GRID, cells, [], 0), **changes)


def blocks_of(section: Section) -> Iterator[Block]:
    def within(blocks: Sequence[Block]) -> Iterator[Block]:
        for block in blocks:
            yield block
            if isinstance(block, Selector):
                for _, inner in block.options:
                    yield from within(inner)

    return within(section.blocks)


def sections(folder: Path, what: Comparison | dict[str, Any], language: str = "en") -> dict[str, Section]:
    data = what.to_json() if isinstance(what, Comparison) else what
    (folder / "compare.json").write_text(json.dumps(data))
    page = page_of(Facts(open_subject(folder)), language)
    return {section.key: section for section in page.sections}


def charts(found: dict[str, Section]) -> dict[str, Chart]:
    return {block.key: block for section in found.values() for block in blocks_of(section) if isinstance(block, Chart)}


def notices(found: dict[str, Section]) -> str:
    return "\n".join(block.text for one in found.values() for block in blocks_of(one) if isinstance(block, Notice))


def stats(found: dict[str, Section]) -> dict[str, tuple[str, str]]:
    (block,) = [block for block in found["standing"].blocks if isinstance(block, Stats)]
    return {stat.title: (stat.value, stat.explain) for stat in block.stats}


def table(section: Section, title: str) -> Table:
    return next(block for block in blocks_of(section) if isinstance(block, Table) and title in block.title)


def marks(chart: Chart, *fields: str) -> list[dict[str, Any]]:
    """The data of its layers that have these fields."""
    layers = chart.spec.get("layer", [chart.spec])
    data = [layer.get("data", chart.spec.get("data")) for layer in layers]
    found = [row for one in data for row in (one.get("values") or chart.spec["datasets"][one["name"]])]
    return [row for row in found if set(fields) <= row.keys()]


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Section]:
    """The sections of `comparison()`, made once."""
    return sections(tmp_path_factory.mktemp("usual"), comparison())


def test_every_chart_is_one_of_vega_lite(usual):
    for chart in charts(usual).values():
        altair().Chart.from_dict(chart.spec)  # SchemaValidationError


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_chart_is_there_and_every_block_says_what_it_is_and_whence(language, tmp_path):
    found = sections(tmp_path, comparison(), language)
    assert list(found) == KEYS
    assert {"front-density", "front-bytes", "grown-used", "by-task", "times", "tuning-rates"} <= set(charts(found))
    for section in found.values():
        assert section.title
        assert section.lead
        for block in blocks_of(section):
            if isinstance(block, Chart | Table):
                assert block.explain
                assert all(source.file == "compare.json" and source.key for source in block.sources)
                assert block.sources
            if isinstance(block, Chart):
                assert block.table is not None
                assert block.table.rows
            if isinstance(block, Stats):
                assert all(stat.explain and stat.sources for stat in block.stats)


def test_the_table_has_every_figure_of_every_row(usual):
    found = table(usual["methods"], "")
    assert len(found.rows) == 6
    first = dict(zip(found.columns, found.rows[0], strict=True))
    wanted = {"Method": "1 ibm", "Epochs": "1", "Seeds": "2", "lr, tuned": "0.001", "ACC": "80.5 ± 0.5%", "BWT": "0"}
    wanted |= {"FWT": "0", "Density": "4.00%", "Used": "5.0%", "Bytes a task": "2.05 kB", "Of dense": "10.0%"}
    wanted |= {"Training": "10 s", "Step ratio": "1\u00d7"}
    assert first == wanted


def test_the_best_and_the_smallest_that_is_as_good_are_found(usual, tmp_path):
    found = stats(usual)
    assert found["Stream"][0] == "split-digits"
    assert found["Methods"][0] == "3"
    assert found["Runs done"][0] == "12 / 12"
    assert found["Highest accuracy"][0] == "80.5 ± 0.5%"
    assert found["Smallest that is as good"][0] == "4.0%"
    worse = comparison()
    figures = {**worse.rows[1].figures, "ACC": replace(worse.rows[1].figures["ACC"], mean=0.7)}
    rows = [replace(row, figures=figures) if row.method != "independent" else row for row in worse.rows]
    value, explain = stats(sections(tmp_path, replace(worse, rows=tuple(rows))))["Smallest that is as good"]
    assert value == "-"
    assert "independent (80.5 ± 0.5%)" in explain


def test_what_is_shown_is_the_longest_training_and_the_front(usual):
    found = charts(usual)
    assert {row[1] for row in found["front-density"].table.rows} == {"3"}
    assert [row[-1] for row in found["front-density"].table.rows] == ["yes", "yes", "no"]  # two are the same
    assert len(found["times"].table.rows) == 6
    (line,) = {row["name"] for row in marks(found["grown-used"], "name") if row["tag"] == "1"}
    assert line == "1 ibm"


def test_methods_that_use_all_are_named_and_not_drawn(usual):
    found = usual
    assert "independent" in next(block.text for block in found["grown"].blocks if isinstance(block, Notice))
    assert "3 independent" not in {row.get("name") for row in marks(charts(found)["grown-used"])}


def test_tuning_says_what_was_tried_picked_and_failed(usual, tmp_path):
    found = usual
    rows = table(found["tuning"], "Every trial").rows
    assert len(rows) == 3 * 6
    assert [row[-1] for row in rows[:3]] == ["no", "yes", "no"] or [row[-1] for row in rows[:3]] == ["", "yes", ""]
    assert rows[2][4] == "failed: error: the loss became NaN"
    ringed = [row for row in marks(charts(found)["tuning-rates"], "ringed") if row["ringed"]]
    assert {row["x"] for row in ringed} == {0.001}
    assert "20%" in found["tuning"].lead
    nothing = sections(tmp_path, comparison(tried=(), grid=GRID | {"tune": 0}))
    assert "Nothing was tuned" in notices(nothing)


def test_an_incomplete_grid_says_what_is_open(tmp_path):
    failed = ({"job": "runs/wsn-e1-s0", "reason": "error: the disk\nis full"},)
    found = sections(tmp_path, comparison(left=4, failures=failed))
    assert "4 jobs are left" in notices(found)
    assert "Jobs that failed: 1" in notices(found)
    assert table(found["made"], "Failed").rows == (("runs/wsn-e1-s0", "error: the disk is full"),)


def test_no_run_yet_is_said_and_what_is_known_is_shown(tmp_path):
    found = sections(tmp_path, comparison(seeds=(), left=12))
    assert list(found) == ["standing", "methods", "tuning", "made"]
    assert "No run of the grid is done yet" in notices(found)
    assert [row[2] for row in found["methods"].blocks[0].rows] == ["0 / 2"] * 6
    assert set(sections(tmp_path, comparison(methods="ibm", rows=()))) == {"standing", "methods", "tuning", "made"}
    (tmp_path / "compare.json").unlink()
    (tmp_path / "grid.json").write_text("{}")
    page = page_of(Facts(open_subject(tmp_path)))
    assert [section.key for section in page.sections] == ["standing"]


def test_one_method_with_one_seed_and_one_length(tmp_path):
    found = sections(tmp_path, comparison("ibm", (1,), (0,), tasks=1))
    said = notices(found)
    for part in ("One method only", "one seed", "No run of `independent`", "one length of training"):
        assert part in said
    assert {"front-density", "grown-used", "by-task", "times"} <= set(charts(found))
    assert " ± " not in str(found["methods"].blocks[0].rows)


def test_rows_that_are_not_done_keep_the_colours_of_the_others(tmp_path):
    whole, first, *_ = comparison(), *comparison().rows
    nothing = {name: replace(figure, mean=None, se=None, values=()) for name, figure in first.figures.items()}
    open_ = replace(first, seeds=(), tasks=(), accuracy=(), used=(), figures=nothing)
    part = replace(whole, rows=(open_, replace(open_, epochs=3), *whole.rows[2:]), left=4)
    assert Variants(part, "compare.json").looks == Variants(whole, "compare.json").looks
    found = charts(sections(tmp_path, part))
    assert {row["tag"] for row in marks(found["front-density"], "tag")} == {"2", "3"}


def test_sixty_variants_look_different():
    methods = ",".join(f"ibm:density=0.{place:03d}" for place in range(10, 70))
    looks = Variants(comparison(methods, (1,), (0,)), "compare.json").looks.values()
    assert len({(look.colour, look.shape) for look in looks}) == 60
    assert len({look.name for look in looks}) == 60


def test_many_variants_have_their_accuracies_as_colours_and_the_matrices_are_bounded(tmp_path):
    methods = ",".join(f"ibm:density=0.{place:03d}" for place in range(10, 22))
    found = sections(tmp_path, comparison(methods, (1, 3), (0, 1), tasks=30))
    assert charts(found)["by-task"].spec["mark"]["type"] == "rect"
    assert len(charts(found)["by-task"].table.columns) == 13
    (choice,) = [block for block in found["by_task"].blocks if isinstance(block, Selector)]
    assert len(choice.options) == 10  # of 48, and of 24 rows
    assert "10 of the 48 runs" in notices(found)


def test_what_was_not_measured_is_left_out_by_name(tmp_path):
    data = json.loads(json.dumps(comparison("ibm,wsn", (1,)).to_json()))
    data["rows"][1]["figures"]["density"]["mean"] = 0.0
    data["rows"][1]["figures"]["bytes_per_task"]["mean"] = None
    found = sections(tmp_path, data)
    assert "Without a density or an accuracy, and so not shown: wsn" in notices(found)
    assert "Without bytes or an accuracy, and so not shown: wsn" in notices(found)
    for row in data["rows"]:
        row["figures"] = {}
        row["accuracy"] = [{"mean": None, "se": None, "values": [None, None]}] * 2
        row["used"] = row["accuracy"]
    for run in data["runs"]:
        run["R"] = [[None, None], [None, None]]
    found = sections(tmp_path, data)
    assert list(found) == KEYS
    assert set(charts(found)) == {"tuning-rates"}
    assert set(found["methods"].blocks[0].rows[0][4:]) <= {None, "-"}


def test_damage_is_named_and_the_rest_is_shown(tmp_path):
    data = json.loads(json.dumps(comparison().to_json()))
    data["rows"][0]["figures"]["ACC"]["mean"] = float("nan")
    data["rows"][2] = "gone"
    data["runs"][0]["R"] = 7
    found = sections(tmp_path, data)
    assert list(found) == KEYS
    for key in ("rows[0].figures.ACC.mean", "rows[2]", "runs[0].R"):
        assert key in notices(found)
    for row in data["rows"]:
        if isinstance(row, dict):
            row["figures"] = dict.fromkeys(row["figures"])
    assert "More parts of the file that cannot be read" in notices(sections(tmp_path, data))


def test_another_version_is_refused(tmp_path):
    (tmp_path / "compare.json").write_text(json.dumps(comparison().to_json() | {"version": 2}))
    with pytest.raises(StoreVersionError, match="version 2"):
        write_report(tmp_path, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_names_stay_names(language, tmp_path):
    data = json.loads(json.dumps(comparison(",".join(f"ibm:density=0.{i}" for i in range(1, 9)), tasks=8).to_json()))
    names = dict(zip(dict.fromkeys(row["label"] for row in data["rows"]), HOSTILE, strict=True))
    for row in (*data["rows"], *data["runs"]):
        row["label"] = names[row["label"]]
    for row in data["rows"]:
        row["tasks"] = list(HOSTILE)
    data |= {"notes": list(HOSTILE), "command": list(HOSTILE), "grid": {**GRID, "stream": HOSTILE[0]}}
    data["failures"] = [{"job": name, "reason": name} for name in HOSTILE]
    (tmp_path / "compare.json").write_text(json.dumps(data))
    html = write_report(tmp_path, tmp_path / "report.html", language=language).read_text()
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert html.count("<section") == len(KEYS)


def test_notes_are_said_in_the_reader_s_language(tmp_path):
    notes = (
        "`independent` (one dense network per task) was added: FWT and the ratios are held against its runs.",
        "Runs were done on 2 machines: seconds and step ratios are not comparable from row to row.",
        "The runs of one row had different options (ibm, wsn): narrows' defaults changed while the grid was run.",
        "Something else.",
    )
    said = [block.text for block in sections(tmp_path, comparison(notes=notes), "ja")["made"].blocks[:4]]
    assert all("。" in text for text in said[:3])
    assert "ibm, wsn" in said[2]
    assert said[3] == "Something else."


def test_a_comparison_is_followed_with_what_goes_on(tmp_path):
    follower = Follower(tmp_path)
    (tmp_path / "grid.json").write_text("{}")
    follower.look()
    assert list(follower.shown.versions) == ["live", "standing"]
    (tmp_path / "compare.json").write_text(json.dumps(comparison(left=2).to_json()))
    follower.look()
    before = follower.shown
    assert list(before.versions) == ["live", *KEYS]
    assert before.page.title == "split-digits: methods compared"
    (tmp_path / "compare.json").write_text(json.dumps(comparison(seeds=(0,), left=0).to_json()))
    follower.look()
    changed = {key for key, version in follower.shown.versions.items() if before.versions[key] != version}
    assert {"live", "standing", "methods", "front"} <= changed
    assert "tuning" not in changed
    (tmp_path / "compare.json").write_text("{")
    follower.look()
    assert list(follower.shown.versions) == ["live"]


def test_names_get_out_of_each_other_s_way():
    together = sides([(0.5, 0.5), (0.51, 0.5), (0.5, 0.51)], ["ibm density=0.03"] * 3, 300)
    assert len(set(together)) == 3
    assert sides([(0.5, 0.5)], ["ibm"], 300, [((0.5, 0.5), (0.9, 0.5))]) != ["right"]
