"""A page as a file: whole, by itself, whatever the names in it; what is missing is said and the rest is shown."""

from __future__ import annotations

import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from narrows.errors import StoreError, StoreMissingError
from narrows.report import write_report
from narrows.report.blocks import Chart, Citation, Notice, Page, Section, Selector, Stat, Stats, Table
from narrows.report.charts import altair, spec_of, values
from narrows.report.render import render, version_of

HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)> \u2028 \"quoted\" 日本語 & 🙂"


class Parsed(HTMLParser):
    """Elements by tag, and the texts of scripts by id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self._script: str | None = None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self._script = dict(attrs).get("id") or f"script {len(self.scripts)}"
            self.scripts[self._script] = ""

    def handle_endtag(self, tag):
        if tag == "script":
            self._script = None

    def handle_data(self, data):
        if self._script is not None:
            self.scripts[self._script] += data


def page(name: str) -> Page:
    table = Table(
        name, name, name, (Citation(name, name),), (name, "value"), ((name, "1"), (name, None)), frozenset({1})
    )
    chart = altair().Chart(values([{"name": name, "value": 1}])).mark_bar().encode(x="name:N", y="value:Q")
    blocks = (
        Stats((Stat(name, name, name, (), name, "good"),)),
        table,
        Chart(name, name, name, (), "chart", spec_of(chart), table),
        Notice(name, "warn", name),
        Selector("choice", name, ((name, (table,)), ("other", (Notice(name),)))),
    )
    return Page(name, name, "en", (Section("section", name, name, blocks),), (name,))


def test_no_name_leaves_its_place():
    plain, hostile = Parsed(render(page("plain"))), Parsed(render(page(HOSTILE)))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    assert not any(key.startswith("on") for _, attributes in hostile.elements for key in attributes)
    (data,) = json.loads(hostile.scripts["spec-chart"])["data"]["values"]
    assert data["name"] == HOSTILE


def test_the_page_may_fetch_nothing_and_points_nowhere():
    html = Parsed(render(page("plain")))
    policies = [attributes["content"] for _, attributes in html.elements if attributes.get("http-equiv")]
    assert len(policies) == 1
    assert "default-src 'none'" in policies[0]
    assert "http" not in policies[0]
    for tag, attributes in html.elements:
        for key in ("src", "href", "action", "data", "srcset"):
            if key in attributes:
                assert attributes[key].startswith(("#", "data:")), (tag, attributes)


def test_a_live_page_may_ask_its_own_server_only():
    html = render(page("plain"), live="events")
    assert "connect-src 'self'" in html
    assert 'data-live="events"' in html


def test_a_section_has_a_new_version_where_it_changed_only():
    one, same, other = (Section("key", title, "", ()) for title in ("one", "one", "other"))
    assert version_of(one) == version_of(same) != version_of(other)


def test_there_is_nothing_to_report_on(tmp_path: Path):
    with pytest.raises(StoreMissingError):
        write_report(tmp_path / "nowhere", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_page_that_cannot_be_written_leaves_the_old_one(shop: Path, tmp_path: Path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(StoreError, match=r"report\.html"):
        write_report(shop, tmp_path / "report.html")
    assert [child.name for child in tmp_path.iterdir()] == ["report.html"]


def test_the_page_of_a_store(shop: Path, tmp_path: Path):
    html = write_report(shop, tmp_path / "report.html", command="narrows report shop").read_text()
    found = Parsed(html)
    sections = [attributes["id"] for tag, attributes in found.elements if tag == "section"]
    assert sections[:2] == ["glance", "accuracy"]
    assert "narrows report shop" in html
    for place, spec in found.scripts.items():
        if place.startswith("spec-"):
            json.loads(spec)
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_a_damaged_task_leaves_the_rest_of_the_page(shop: Path, tmp_path: Path):
    record = next((shop / "tasks").glob("*/task.json"))
    record.write_bytes(record.read_bytes()[:-1])
    html = write_report(shop, tmp_path / "report.html").read_text()
    assert "This part could not be made" in html
    assert record.parent.name in html
    assert 'id="glance"' in html


def titles(html: str) -> set[str]:
    return set(re.findall(r"<h3>(.*?)(?:<span|</h3>)", html)) | set(re.findall(r"<dt>(.*?)(?:<span|</dt>)", html))


@pytest.mark.parametrize("verify", [True, False])
def test_a_damaged_mask_or_record_leaves_what_does_not_rest_on_it(verify: bool, shop: Path, tmp_path: Path):
    mask = next((shop / "tasks").glob("*/mask.bin"))
    mask.write_bytes(mask.read_bytes()[:-1])
    html = write_report(shop, tmp_path / "report.html", verify=verify).read_text()
    assert f"{mask.parent.name}/mask.bin" in html
    shown = {title.strip() for title in titles(html)}
    assert {"Tasks", "Disk per task", "What each task keeps", "Loss", "What it costs, and when it pays"} <= shown
    record = shop / "tasks" / mask.parent.name / "task.json"
    record.write_bytes(record.read_bytes()[:-1])
    html = write_report(shop, tmp_path / "report.html", verify=verify).read_text()
    assert f"{mask.parent.name}/task.json" in html
    assert {"Tasks", "Accuracy when learned", "Loss"} <= {title.strip() for title in titles(html)}


@pytest.mark.parametrize("text", ["{ damaged", '{"format": "narrows-result", "version": 99}'])
def test_a_result_that_cannot_be_read_leaves_the_store(text: str, shop: Path, tmp_path: Path):
    folder = tmp_path / "run"
    folder.mkdir()
    shop.rename(folder / "store")
    (folder / "result.json").write_text(text)
    html = write_report(folder, tmp_path / "report.html").read_text()
    assert "the result cannot be read" in html
    assert "This part could not be made" not in html
    assert "How the network fills up" in html


def test_rows_that_several_layers_draw_stand_in_the_chart_once():
    alt = altair()
    rows, other = values([{"a": place, "name": HOSTILE} for place in range(9)]), values([{"a": 0}])
    mark = alt.Chart(rows).encode(x="a:Q")
    spec = spec_of(alt.layer(mark.mark_line(), mark.mark_point(), alt.Chart(other).mark_rule().encode(x="a:Q")))
    assert json.dumps(spec).count('"a": 8') == 1
    names = [layer["data"].get("name") for layer in spec["layer"]]
    assert names[0] == names[1] in spec["datasets"]
    assert spec["layer"][2]["data"] == {"values": [{"a": 0}]}
