"""Pages and pictures of stores and results. Reads what `analysis` finds out; trains nothing."""

from typing import TYPE_CHECKING, Final

from narrows.lazy import lazily

if TYPE_CHECKING:
    from narrows.report.build import page_of, write_report
    from narrows.report.pictures import draw_accuracy, draw_comparison
else:
    __getattr__, __dir__ = lazily(__name__, ".pictures", ".build")

PORT: Final = 8765
"""Where `narrows watch` serves a page, or the next that is free."""

__all__ = ["PORT", "draw_accuracy", "draw_comparison", "page_of", "write_report"]
