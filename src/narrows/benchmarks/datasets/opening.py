"""One function that opens any data set, from a folder in any of its layouts or from the hub.

Knows nothing of streams or tasks.
"""

from __future__ import annotations

from pathlib import Path

from narrows.benchmarks.datasets.catalogue import DATASETS
from narrows.benchmarks.datasets.digits import load_digits
from narrows.benchmarks.datasets.hub import open_hub
from narrows.benchmarks.datasets.image_source import ImageSource, framed
from narrows.benchmarks.datasets.spec import DatasetSpec
from narrows.errors import ConfigError, DataError, DatasetMissingError

HUB = Path("hub")
"""Said in place of a folder: take the data set from the hub."""


def open_dataset(
    name: str, data: Path | None = None, *, shape: tuple[int, int, int] | None = None, seed: int = 0
) -> ImageSource:
    """The data set of that name (a key of `DATASETS`), its images brought to `shape` (C, H, W).

    data: a folder in any of the data set's layouts; `HUB`, which may download gigabytes and so is never
    taken unsaid; or None for the default folder, where the data set has one. Larger images go through a
    box filter; smaller grey ones are centred on black, and get three equal channels where `shape` has
    three. `seed` holds out the digits' fifth. DatasetMissingError says what was looked for, DataError which
    file is damaged.
    """
    spec = DATASETS[name]
    if name == "digits":
        return load_digits(seed)
    shape = shape or spec.shape
    size = shape[1] if spec.any_size else spec.shape[1]
    place = data or _default(spec)
    if place != HUB:
        source = _open_folder(spec, place, size)
    elif spec.hub is None:
        raise ConfigError(f"{name} has no place on the hub that narrows knows of: give a folder. {spec.how}")
    else:
        source = open_hub(name, spec.hub, size, spec.shape[0])
    return framed(source, shape)


def _default(spec: DatasetSpec) -> Path:
    if spec.default is not None and spec.default.is_dir():
        return spec.default
    hub = ", or --data hub to download it" if spec.hub is not None else ""
    raise DatasetMissingError(f"{spec.name} needs data: say --data FOLDER{hub} (in Python: data=). {spec.how}")


def _open_folder(spec: DatasetSpec, folder: Path, size: int) -> ImageSource:
    """The first layout that the folder has."""
    if not folder.is_dir():
        raise DatasetMissingError(f"{spec.name}: there is no folder {folder}. {spec.how}")
    try:
        for layout in spec.layouts:
            source = layout.open(folder, size)
            if source is not None:
                return source
    except OSError as error:
        if isinstance(error, DatasetMissingError):
            raise
        raise DataError(f"{spec.name}: {error}") from error
    looked = "".join(f"\n  - {layout.looks_for}" for layout in spec.layouts)
    raise DatasetMissingError(f"{spec.name}: {folder} has none of the layouts that narrows reads:{looked}\n{spec.how}")
