"""Fuzzes one reader of the store with atheris, guided by what it covers of narrows' own code.

    python tests/torture/fuzz_readers.py "store.json, sealed" FOLDER -max_total_time=60

The name is one of `fuzz_targets.TARGETS`; what follows goes to libFuzzer. FOLDER keeps the inputs that were worth
keeping, and gets the seeds. Ends with an error, and the input that did it, where anything but a NarrowsError is raised,
where one input takes more than ten seconds, or where memory passes 2 GiB.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

import atheris  # noqa: E402

with atheris.instrument_imports(include=["narrows.store"]):
    import fuzz_targets


def main(target: str, folder: Path, *options: str) -> None:
    """Does not return: libFuzzer ends the process."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in fuzz_targets.seeds()[target]:
        (folder / hashlib.sha256(seed).hexdigest()).write_bytes(seed)
    limits = ["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0"]
    atheris.Setup([sys.argv[0], str(folder), *limits, *options], lambda data: fuzz_targets.run(target, data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
