"""No bytes get more out of a reader than a NarrowsError: not another exception, not much memory, not much time."""

from __future__ import annotations

import importlib.util
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import fuzz_targets
import pytest
from hypothesis import HealthCheck, given, settings
from mutations import mutated
from tally import Tally
from torture_store import LONG

SEEDS = fuzz_targets.seeds()
DEEP = b"[" * 800 + b"]" * 800
FOUND: dict[str, tuple[str, Callable[[bytes], bytes]]] = {  # what broke a reader once
    "an integer beyond every float": ("checkpoint, tree", lambda _: b'{"dict":{"a":{"float":1%b}}}' % (b"0" * 400)),
    "a tree nested too deep": ("checkpoint, tree", lambda _: b'{"dict":' * 500 + b"{}" + b"}" * 500),
    "a model nested too deep": ("store.json, sealed", lambda seed: b'{"model":{"x":%b},' % DEEP + seed.lstrip()[1:]),
    "metrics nested too deep": (
        "task.json",
        lambda seed: seed.replace(b'"metrics": {', b'"metrics": {"x": %b, ' % DEEP, 1),
    ),
}
MEMORY = 256 << 10  # KiB that a fuzzed reader may add to the largest size of this process
SECONDS = 5  # for one input of at most some kilobytes


@pytest.mark.parametrize("target", fuzz_targets.TARGETS)
def test_the_seeds_are_sound(target: str):
    assert any(fuzz_targets.run(target, seed) for seed in SEEDS[target])


@pytest.mark.parametrize("what", FOUND)
def test_what_broke_a_reader_once(what: str, tally: Tally):
    target, make = FOUND[what]
    with tally.fault(f"fuzz: {target}", "found before"):
        assert not fuzz_targets.run(target, make(SEEDS[target][0]))


@pytest.mark.parametrize("target", fuzz_targets.TARGETS)
def test_mutated_inputs(target: str, tally: Tally, long: bool):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @settings(
        max_examples=5_000 if long else 60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(mutated(SEEDS[target]))
    def fuzz(data: bytes) -> None:
        started = time.perf_counter()
        with tally.fault(f"fuzz: {target}", "mutated"):
            fuzz_targets.run(target, data)
            assert time.perf_counter() - started < SECONDS

    fuzz()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY


if importlib.util.find_spec("atheris"):  # which is not to be had for every Python

    @pytest.mark.parametrize("target", fuzz_targets.TARGETS)
    def test_guided_by_coverage(target: str, tally: Tally, tmp_path: Path):
        script = Path(__file__).with_name("fuzz_readers.py")
        command = [
            sys.executable,
            str(script),
            target,
            str(tmp_path / "corpus"),
            *(["-max_total_time=60"] if LONG else ["-runs=2000", "-seed=1"]),
            f"-artifact_prefix={tmp_path}/",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-4000:]
        (runs,) = re.findall(r"number_of_executed_units: (\d+)", done.stderr)
        with tally.fault(f"fuzz: {target}", "atheris", int(runs)):
            assert int(runs) > 100
