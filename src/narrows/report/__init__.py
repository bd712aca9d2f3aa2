"""Pictures of results. Reads results; knows no training and no store."""

from narrows.report.comparison import draw_comparison
from narrows.report.picture import draw_accuracy

__all__ = ["draw_accuracy", "draw_comparison"]
