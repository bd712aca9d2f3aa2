"""The sections of a page, one file each: facts in, blocks out."""

from narrows.report.sections.accuracy import accuracy
from narrows.report.sections.builds import builds
from narrows.report.sections.capacity import capacity
from narrows.report.sections.glance import glance
from narrows.report.sections.kept import kept
from narrows.report.sections.training import training

SECTIONS = (glance, accuracy, capacity, kept, builds, training)
"""Of the page of a store or a run, in order. Each takes (facts, texts), and gives a Section, or None to be left out."""
