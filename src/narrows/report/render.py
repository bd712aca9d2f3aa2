"""The page as one HTML file that needs nothing else: no network, no folder beside it."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

from narrows.errors import ConfigError
from narrows.report.blocks import Page, Section
from narrows.report.charts import config
from narrows.report.texts import Texts

SCRIPTS = ("csv.js", "plan.js", "calculator.js", "page.js")
LIVE_SCRIPT = "live.js"
BARE_CSS = (
    "button, .plot, .fields, .choice > label, .choice > select { display: none; } .option[hidden] { display: block; }"
)
"""Without JavaScript."""


def render(page: Page, *, live: str = "") -> str:
    """The HTML of `page`.

    Args:
        live: where a page that follows a run is told of changes; "" for one that stands alone.

    Raises:
        ConfigError: the extra `report` is not installed.
    """
    from narrows import __version__

    own = "\n".join(asset(name) for name in (*SCRIPTS, *((LIVE_SCRIPT,) if live else ())))
    css = asset("page.css")
    html: str = _template().render(
        **_means(page.language),
        page=page,
        live=live,
        version=__version__,
        styles=_hashes(css, BARE_CSS),
        scripts=_hashes(libraries(), own),
        css=_markup(css),
        bare_css=_markup(BARE_CSS),
        script=_markup(own),
        libraries=_markup(libraries()),
        chart_config=config(),
    )
    return _text(html)


def render_section(section: Section, language: str) -> str:
    """The HTML of a section by itself, as it stands in the page.

    Raises:
        ConfigError: the extra `report` is not installed.
    """
    return _text(str(_template().make_module({**_means(language), "page": None}).part(section)))


def _means(language: str) -> dict[str, Any]:
    """What the template's macros need."""
    return {
        "say": Texts(language),
        "version_of": version_of,
        "kind_of": lambda block: type(block).__name__,
        "json": _json,
        "data_url": _data_url,
    }


def version_of(section: Section) -> str:
    """Changes where the section does."""
    return hashlib.sha256(repr(section).encode()).hexdigest()[:16]


@cache
def libraries() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script. ConfigError where they are not installed."""
    try:
        from vl_convert import javascript_bundle
    except ImportError as error:
        raise ConfigError('A report needs vl-convert: pip install "narrows[report]".') from error
    globals_ = "window.vega = vega; window.vegaLite = vegaLite; window.vegaEmbed = vegaEmbed;"
    return str(javascript_bundle(globals_)).replace("</script", "<\\/script")


@cache
def _template() -> Any:
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise ConfigError('A report needs Jinja: pip install "narrows[report]".') from error
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(asset("page.html.jinja"))


@cache
def asset(name: str) -> str:
    """The text of a file of the page."""
    return (resources.files("narrows.report") / "assets" / name).read_text(encoding="utf-8")


def _hashes(*texts: str) -> Any:
    """For a content security policy: of the scripts, or styles, that are the page's own. Any other is not run."""
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return _markup(" ".join(f"'sha256-{digest}'" for digest in digests))


def _text(html: str) -> str:
    """What UTF-8 can hold: half a surrogate pair, of a file's name or from a damaged record, is U+FFFD."""
    return html.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _json(value: Any) -> Any:
    """For a script element: no text of a user's ends it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _markup(text: str) -> Any:
    """Text that goes into the page as it is."""
    from markupsafe import Markup

    return Markup(text)


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
