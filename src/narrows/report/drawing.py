"""Charts of the page as SVG files: drawn from the same specs, in the page's light colours."""

from __future__ import annotations

import base64
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from narrows.errors import ConfigError
from narrows.report.blocks import Image
from narrows.report.charts import config
from narrows.report.render import asset
from narrows.store import outside

WIDTH: Final = 900
"""Of the plot, in pixels: that for which names beside points are placed."""
_LETTERS: Final = 150  # in a line under the title
_NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OWN_COLOUR: Final = re.compile(r"var\(--(\w+)\)")
_ROWS: Final = ("values", "datasets", "domain")  # of a spec: a user's names, in which nothing is to be put in


def draw(spec: Mapping[str, Any], path: Path, title: str, notes: Sequence[str] = ()) -> None:
    """Writes a chart as an SVG file, whole or not at all.

    Args:
        spec: of `narrows.report.charts.spec_of`.
        notes: sentences under the title.

    Raises:
        ConfigError: the extra `report` is not installed.
    """
    try:
        from vl_convert import vegalite_to_svg
    except ImportError as error:
        raise ConfigError('Pictures need vl-convert: pip install "narrows[report]".') from error
    lines = [line for note in notes for line in textwrap.wrap(note, _LETTERS)]
    whole = {**spec, "config": config() | {"background": _light()["paper"]}, "autosize": "pad"}
    whole["title"] = {"text": title, "subtitle": lines, "anchor": "start", "frame": "group", "offset": 14}
    if whole.get("width", "container") == "container":
        whole["width"] = WIDTH
    svg: str = vegalite_to_svg(json.dumps(_drawable(whole)), allowed_base_urls=[])
    outside.replace_text(path, svg)


def spec_of_pixels(image: Image) -> dict[str, Any]:
    """A picture of pixels as a chart."""
    url = "data:image/png;base64," + base64.b64encode(image.png).decode()
    return {
        "mark": {"type": "image", "width": image.width, "height": image.height, "smooth": False},
        "data": {"values": [{"url": url}]},
        "encoding": {"url": {"field": "url"}},
        "width": image.width,
        "height": image.height,
        "description": image.alt,
    }


def _drawable(node: Any, own: bool = True) -> Any:
    """The spec with colours in place of the page's variables, and without what XML cannot hold: on a control
    character in a name vl-convert ends the process.
    """
    if isinstance(node, Mapping):
        # No label is cut short: vl-convert fails where the cut goes through a sign of two halves.
        node = {**node, "labelLimit": 0} if "labelLimit" in node else node
        return {key: _drawable(value, own and key not in _ROWS) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_drawable(value, own) for value in node]
    if not isinstance(node, str):
        return node
    text = _OWN_COLOUR.sub(lambda found: _light().get(found[1], found[0]), node) if own else node
    return _NO_XML.sub("\ufffd", text)


@cache
def _light() -> dict[str, str]:
    """The page's colours by name, where it is not dark."""
    block = asset("page.css").partition("}")[0]
    return dict(re.findall(r"--(\w+): (#[0-9a-f]+);", block))
