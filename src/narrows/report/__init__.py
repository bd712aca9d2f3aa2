"""Pages and pictures of stores and results. Reads what `analysis` finds out; trains nothing."""

from narrows.report.build import page_of, write_report
from narrows.report.comparison import draw_comparison
from narrows.report.picture import draw_accuracy

__all__ = ["draw_accuracy", "draw_comparison", "page_of", "write_report"]
