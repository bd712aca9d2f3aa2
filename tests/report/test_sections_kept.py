"""What is kept and why, on the page: the analysis' numbers, pictures within their bytes, what is missing said."""

from __future__ import annotations

import io
import json
import math
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from analysis_samples import add, empty_store, random_store
from narrows.analysis.counter_check import CounterCheck, Finding
from narrows.analysis.measurement_run import measure
from narrows.analysis.measurements import Measurements
from narrows.analysis.picture import Picture
from narrows.analysis.retention import retention
from narrows.analysis.scoring import ScoreChange
from narrows.analysis.states import STATES, states_of
from narrows.analysis.subject import open_subject
from narrows.analysis.walk import walk
from narrows.benchmarks.options import RunOptions
from narrows.benchmarks.runner import run
from narrows.errors import ConfigError, UnknownNameError
from narrows.methods import IBM
from narrows.report import write_report
from narrows.report.blocks import Chart, Notice, Pictures, Section, Selector, Table
from narrows.report.facts import Facts
from narrows.report.page_measurements import PageExamples, cache_beside, measured_on
from narrows.report.pixels import STATE_COLOURS, PixelBudget, draw_states
from narrows.report.sections.kept import kept
from narrows.report.sections.kept import weights as weights_section
from narrows.report.sections.kept.counter_check import verdict
from narrows.report.sections.kept.weights import draw_weights
from narrows.report.texts import Texts

SAY = Texts()
HOSTILE = "</script><b>x</b> {datum.x} 日本語"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two tasks on small images."""
    folder = tmp_path_factory.mktemp("run") / "digits"
    run(RunOptions("split-digits", IBM(density=0.05), epochs=1, tasks=2), folder)
    return folder


@pytest.fixture(scope="module")
def measured(ran: Path, tmp_path_factory: pytest.TempPathFactory) -> Measurements:
    return measured_on(PageExamples(), open_subject(ran), tmp_path_factory.mktemp("page") / "page.html")


def flat(section: Section) -> Iterator[object]:
    for block in section.blocks:
        yield block
        if isinstance(block, Selector):
            for _, inner in block.options:
                yield from inner


def charts(section: Section) -> dict[str, Chart]:
    return {block.key: block for block in flat(section) if isinstance(block, Chart)}


def notices(section: Section) -> str:
    return " ".join(f"{block.text} {block.command}" for block in flat(section) if isinstance(block, Notice))


def colours_of(png: bytes) -> dict[str, int]:
    picture = np.asarray(Pillow.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3)
    found, counts = np.unique(picture, axis=0, return_counts=True)
    return {"#{:02x}{:02x}{:02x}".format(*colour): int(n) for colour, n in zip(found, counts, strict=True)}


def test_the_numbers_of_a_layer_are_those_of_the_analysis(ran: Path):
    facts = Facts(open_subject(ran))
    section = kept(facts, SAY)
    found = retention(facts.reader)
    for place, task in enumerate(found):
        chart = charts(section)[f"kept-layers-{place}"]
        assert [row["kept"] for row in chart.spec["data"]["values"]] == [layer.density for layer in task.layers]
        assert [row[2] for row in chart.table.rows] == [SAY.number(k.kept) for k in (*task.layers, task.total)]
        assert [row[6] for row in chart.table.rows] == [SAY.number(k.nats) for k in (*task.layers, task.total)]
        nats = charts(section)[f"kept-nats-{place}"]
        assert [row["nats"] for row in nats.spec["data"]["values"]] == [layer.nats for layer in task.layers]
    cells = charts(section)["kept-fraction"].spec["data"]["values"]
    assert [cell["value"] for cell in cells] == [layer.density for task in found for layer in task.layers]


def test_a_picture_with_a_pixel_for_each_weight_has_the_colour_of_each_state(ran: Path):
    reader = open_subject(ran).reader
    drawn = draw_weights(reader, reader.task_names(), 10**6)
    assert (drawn.pooled, drawn.layers_left_out) == (0, 0)
    for step in walk(reader):
        states = {found.layer: found for found in states_of(step)}
        for layer in drawn.tasks[step.name]:
            codes = states[layer.states.layer].codes
            counts = {state: int((codes == code).sum()) for code, state in enumerate(STATES)}
            assert dict(zip(STATES, layer.states.counts, strict=True)) == counts
            expected = {STATE_COLOURS[state]: count for state, count in counts.items() if count}
            assert colours_of(layer.drawn.png) == expected


def test_where_pixels_stand_for_several_weights_colours_keep_their_proportion():
    torch.manual_seed(1)
    codes = torch.multinomial(torch.tensor([0.6, 0.2, 0.1, 0.07, 0.03]), 200 * 300, replacement=True)
    drawn = draw_states(codes.reshape(200, 300).numpy(), PixelBudget(10**6, 1), 100, 150)
    found = colours_of(drawn.png)
    for code, state in enumerate(STATES):
        share = float((codes == code).double().mean())
        assert found[STATE_COLOURS[state]] / (100 * 150) == pytest.approx(share, abs=0.01)


def test_the_colours_are_those_of_the_pages_light_style():
    css = (Path(weights_section.__file__).parents[2] / "assets/page.css").read_text().split("@media")[0]
    names = {"claimed": "kept", "again": "again", "reused": "reused", "passed": "dropped", "free": "free"}
    assert all(f"--{names[state]}: {colour};" in css for state, colour in STATE_COLOURS.items())


def test_pictures_of_fifty_tasks_keep_to_their_bytes(tmp_path: Path):
    shapes = {f"layer{number}.weight": (64, 96) for number in range(8)}
    random_store(tmp_path / "s", 50, claim=60, reuse=300, shapes=shapes)
    reader = open_subject(tmp_path / "s").reader
    most = 100_000
    drawn = draw_weights(reader, reader.task_names(), most)
    sizes = [len(layer.drawn.png) for layers in drawn.tasks.values() for layer in layers]
    assert len(drawn.tasks) == 50
    assert sum(sizes) <= most
    assert drawn.layers_left_out > 0
    (alone,) = draw_weights(reader, ["task 49"], most).tasks.values()
    assert len(alone) == 8
    assert all(layer.weights_per_pixel == 1 for layer in alone)
    page = write_report(tmp_path / "s", tmp_path / "report.html", verify=False)
    assert page.stat().st_size < 5_000_000


def test_pictures_of_some_tasks_only(ran: Path):
    names = open_subject(ran).reader.task_names()
    section = kept(Facts(open_subject(ran), drawn=(names[1],)), SAY)
    (choice,) = (block for block in section.blocks if isinstance(block, Selector))
    assert [any(isinstance(block, Pictures) for block in blocks) for _, blocks in choice.options] == [False, True]
    assert names[1] in notices(section)


def test_an_unknown_task_is_refused_with_the_nearest(ran: Path, tmp_path: Path):
    with pytest.raises(UnknownNameError, match="did you mean 'split-01'"):
        write_report(ran, tmp_path / "report.html", tasks=["split-1"])


def test_without_a_store_or_a_task_or_an_account_the_page_says_so(ran: Path, tmp_path: Path):
    result = tmp_path / "result.json"
    result.write_bytes((ran / "result.json").read_bytes())
    assert "There is no store" in notices(kept(Facts(open_subject(result)), SAY))
    store = empty_store(tmp_path / "empty")
    assert "No task" in notices(kept(Facts(open_subject(store.path)), SAY))
    add(store, "a", {"one.weight": [0]}, {"one.weight": [0]}, layers={})
    section = kept(Facts(open_subject(store.path)), SAY)
    assert "says nothing of single layers" in notices(section)
    assert any(isinstance(block, Pictures) for block in flat(section))


def test_layers_of_one_weight_and_a_hostile_name(tmp_path: Path):
    store = empty_store(tmp_path / "s", {"one.weight": (1, 1), HOSTILE: (1, 3)})
    add(store, HOSTILE, {"one.weight": [0]}, {"one.weight": [0]})
    add(store, "later", {}, {})
    section = kept(Facts(open_subject(store.path)), SAY)
    for chart in charts(section).values():
        expressions = json.dumps({key: value for key, value in chart.spec.items() if key != "data"})
        assert "datum" not in expressions.replace(json.dumps(HOSTILE)[1:-1], "")
    html = write_report(store.path, tmp_path / "report.html").read_text()
    assert "<b>x</b>" not in html


def test_the_command_that_measures_stands_where_nothing_was_measured(ran: Path, shop: Path):
    assert f"narrows report {ran} --measure" in notices(kept(Facts(open_subject(ran)), SAY))
    told = notices(kept(Facts(open_subject(shop)), SAY))  # made in Python: no command can build its network
    assert "--data" not in told
    (named,) = re.findall(r"narrows\.analysis\.[a-z_.]+", told)
    assert pkgutil.resolve_name(named) is measure


def test_what_was_measured_is_shown_as_it_was(ran: Path, measured: Measurements):
    facts = Facts(open_subject(ran), measured=measured)
    section = kept(facts, SAY)
    for place, found in enumerate(measured.tasks):
        chart, table = charts(section)[f"kept-check-{place}"], charts(section)[f"kept-check-{place}"].table
        points = chart.spec["datasets"][chart.spec["layer"][0]["data"]["name"]]
        gains = [
            100 * gain
            for layer in found.check.layers
            for gain in [
                *(noise.score - found.check.baseline for noise in layer.perturbed),
                *(tried.gain for tried in (layer.put_back, *_moved(layer)) if tried is not None),
            ]
        ]
        assert [point["gain"] for point in points] == [round(gain, 4) for gain in gains]
        assert [row[0] for row in table.rows] == [layer.layer for layer in found.check.layers]
        units = charts(section)[f"kept-units-{place}"].table
        inside = facts.insides[found.task].connections
        assert [row[1:3] for row in units.rows] == [
            (SAY.number(len(layer.kept_in)), SAY.number(len(layer.dead))) for layer in inside.layers
        ]
    tables = [block for block in section.blocks if isinstance(block, Table) and block.title == SAY("kept.check.all")]
    assert [row[3] for row in tables[0].rows] == [SAY.percent(found.check.baseline) for found in measured.tasks]
    assert sum(isinstance(block, Pictures) for block in flat(section)) == 3 * len(measured.tasks)
    assert SAY("kept.not_measured") not in notices(section)


def _moved(layer):
    return () if layer.moved is None else (layer.moved.dropped, layer.moved.control)


def test_a_measurement_is_remembered_beside_the_page(ran: Path, measured: Measurements, tmp_path: Path):
    out = tmp_path / "page.html"
    write_report(ran, out, verify=False, examples=PageExamples())
    written = cache_beside(out).read_bytes()
    assert sorted(child.name for child in tmp_path.iterdir()) == ["page.html", "page.measured.json"]
    assert measured_on(PageExamples(), open_subject(ran), out) == measured
    assert cache_beside(out).read_bytes() == written


def test_what_cannot_be_measured_is_refused(ran: Path, shop: Path, tmp_path: Path):
    out = tmp_path / "page.html"
    with pytest.raises(ConfigError, match="its own stream"):
        measured_on(PageExamples(sources={"split-01": "x.csv"}), open_subject(ran), out)
    with pytest.raises(ConfigError, match="--data returns=DATA"):
        measured_on(PageExamples(), open_subject(shop), out)


def test_a_finding_names_layer_class_and_error():
    whole = ScoreChange(None, 100, 0.9, 0.93, 0.01, 1e-6)
    one = ScoreChange(HOSTILE, 40, 0.5, 0.8, 0.05, 1e-6)
    check = CounterCheck("accuracy", 100, 0.9, 0.03, (), (), 1e-4, (Finding("fc", "moved", "accuracy", whole, one),))
    ((text, tone),) = verdict(check, SAY)
    assert tone == "warn"
    for part in ("fc", "+3.0 ± 1 points", HOSTILE, "+30.0 ± 5 points", "40 examples"):
        assert part in text
    ((text, tone),) = verdict(CounterCheck("r2", 100, 0.9, 0.03, (), (), 1e-4, ()), SAY)
    assert (tone, "100 examples" in text) == ("good", True)


def test_a_budget_is_never_below_nothing():
    budget = PixelBudget(10, 2)
    budget.spend(50)
    assert budget.share() == 0
    codes = np.zeros((40, 40), dtype=np.uint8)
    drawn = draw_states(codes, PixelBudget(0, 1), 40, 40)
    assert drawn.height * drawn.width <= 64
    assert math.isfinite(len(drawn.png))


def test_a_large_picture_of_inputs_is_made_smaller():
    from narrows.report.sections.kept.leaning import _map

    pixels = Picture.of(np.random.default_rng(0).random((200, 200)), 0, 1)
    pictures = _map(pixels, "map", PixelBudget(2000, 1), SAY)
    assert len(pictures.images[0].png) <= 2000
