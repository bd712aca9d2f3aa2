"""Comparing methods under the same rules: a grid of methods x seeds x epochs, tuned alike, in processes of its own.

Knows no terminal and draws no pictures; `narrows.report.draw_comparison` does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from narrows.benchmarks.compare.spec import CompareOptions, Variant, parse_numbers, parse_seeds, parse_variants
from narrows.benchmarks.compare.summary import Comparison, Figure, Row
from narrows.errors import ConfigError

if TYPE_CHECKING:
    from narrows.benchmarks.compare.grid_listener import GridListener
    from narrows.benchmarks.compare.jobs import Job

__all__ = [
    "CompareOptions",
    "Comparison",
    "Figure",
    "Row",
    "Variant",
    "compare",
    "parse_numbers",
    "parse_seeds",
    "parse_variants",
]


def compare(options: CompareOptions, out: Path | str, listener: GridListener | None = None) -> Comparison:
    """Runs a grid into `out`, or goes on with the one that is there.

    Each run is a process. After each, compare.json and compare.md are written anew; docs/compare.md describes them.

    Raises:
        ConfigError: an option is wrong, `out` holds another grid, or Optuna is not installed.
        CapacityError: a method cannot learn so many tasks.
        DatasetMissingError, DataError: the stream's data.
        StorageError: the storage cannot be used, or another command is at work in `out`.
        KeyboardInterrupt: it was stopped; what runs was ended cleanly, and the same call goes on.

    >>> options = CompareOptions("split-digits", parse_variants("ibm,wsn"), seeds=(0,), tune=0)
    >>> [variant.label for variant in options.variants]
    ['ibm', 'wsn']
    """
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise ConfigError('A comparison needs Optuna: pip install "narrows[bench]".') from error
    from narrows.benchmarks.compare.board import Board
    from narrows.benchmarks.compare.folder import open_folder
    from narrows.benchmarks.compare.grid import Runner
    from narrows.benchmarks.compare.grid_checks import check_grid
    from narrows.benchmarks.compare.grid_listener import SilentGrid
    from narrows.benchmarks.compare.workers import Child

    out, listener = Path(out), listener or SilentGrid()
    grid = check_grid(options)
    slots = options.jobs or max(1, (os.cpu_count() or 1) // options.threads)
    with open_folder(out, grid.identity, options.storage) as folder:
        board = Board(folder.storage, grid.identity, folder.worker, options.stale)
        listener.begun(grid, slots)

        def launch(job: Job) -> Child:
            return Child(job.command(grid.options, out), out / job.key, options.threads)

        return Runner(grid, folder, board, launch, slots, listener).run()
