"""How long the torture lasts, and the table of what was done and survived.

NARROWS_TORTURE=long does everything, else a sample; NARROWS_TORTURE_TABLE=FILE writes the table there as JSON.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import commands
import pytest
import torture_store
from children import RUNNING, end
from operations import OPERATIONS, Operation, Range
from tally import Tally, lines, table
from torture_store import LONG


@pytest.fixture(autouse=True)
def _end_children() -> Iterator[None]:
    """A test that fails leaves none of its children behind."""
    yield
    for pid in list(RUNNING):
        end(pid)


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Where a test counts its faults; they reach the table with its report, from xdist's workers too."""
    tally = Tally()
    request.node.user_properties.append(("faults", tally.counts))
    return tally


@pytest.fixture(scope="session")
def long() -> bool:
    """Whether the torture is exhaustive."""
    return LONG


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """Where thousands of copies of a store are made and removed: in memory, where the system has such a place."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(prefix="torture", dir=memory if os.access(memory, os.W_OK) else None) as made:
        yield Path(made)


@pytest.fixture(scope="session")
def prepared(place: Path) -> Path:
    """The store of `torture_store.prepare`, to be copied and never changed."""
    return torture_store.prepare(place / "prepared")


@pytest.fixture(scope="session")
def world(place: Path) -> Iterator[Path]:
    """The folder of `commands.make_world`, to be copied and never changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(place / "config"))
        patch.setenv("COLUMNS", "100")
        yield commands.make_world(place / "world")


@pytest.fixture(scope="session")
def ranges(place: Path, prepared: Path) -> dict[str, Range]:
    """A range for each operation, by its name."""
    return {name: Range(operation, place / name, prepared) for name, operation in OPERATIONS.items()}


@pytest.fixture(params=OPERATIONS.values(), ids=OPERATIONS)
def scene(request: pytest.FixtureRequest, ranges: dict[str, Range]) -> Range:
    """The range of each operation in turn."""
    operation: Operation = request.param
    return ranges[operation.name]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the table, and writes it where NARROWS_TORTURE_TABLE says."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    rows = table(dict(report.user_properties).get("faults", {}) for report in reports if report.when == "call")
    if not rows:
        return
    terminalreporter.section("torture: faults injected and survived")
    for line in lines(rows) if LONG else [lines(rows)[-1]]:
        terminalreporter.write_line(line)
    if path := os.environ.get("NARROWS_TORTURE_TABLE"):
        rows_by_name = [dict(zip(("operation", "kind", "injected", "survived"), row, strict=True)) for row in rows]
        found = {"form": "long" if LONG else "short", "rows": rows_by_name}
        Path(path).write_text(json.dumps(found, indent=1) + "\n")
