"""The picture of R: drawn from what is known."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from narrows.report import draw_accuracy

ROWS = [[0.9, 0.1, None], [0.8, 0.95, None], [0.7, 0.9, 1.0]]


def test_it_draws_the_learned_tasks_only(tmp_path):
    draw_accuracy(ROWS, ["a", "b", "c"], tmp_path / "r.svg")
    texts = [element.text for element in ET.parse(tmp_path / "r.svg").iter("{http://www.w3.org/2000/svg}text")]
    for shown in ("90", "80", "95", "70", "100", "a", "b", "c"):
        assert shown in texts
    assert "10" not in texts  # R[0][1], above the diagonal


def test_a_single_task_is_drawn(tmp_path):
    draw_accuracy([[0.5]], ["only"], tmp_path / "r.svg")
    assert "only" in (tmp_path / "r.svg").read_text()
