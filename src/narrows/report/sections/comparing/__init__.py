"""The sections of a comparison's page: what `narrows compare` found, from compare.json alone."""

from narrows.report.sections.comparing.by_task import by_task
from narrows.report.sections.comparing.front import front
from narrows.report.sections.comparing.grown import grown
from narrows.report.sections.comparing.made import made
from narrows.report.sections.comparing.methods import methods
from narrows.report.sections.comparing.standing import standing
from narrows.report.sections.comparing.times import times
from narrows.report.sections.comparing.tuning import tuning

COMPARING = (standing, methods, front, grown, by_task, times, tuning, made)
"""In order. Each takes (facts, texts), and gives a Section, or None to be left out."""
