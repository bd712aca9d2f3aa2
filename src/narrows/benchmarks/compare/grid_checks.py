"""What can be known to be wrong with a grid, said before anything runs or is written.

Reads the stream's data; trains nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from narrows.benchmarks.compare.spec import DENSE, CompareOptions, Variant, require_distinct
from narrows.benchmarks.holdout import first_tasks, held_out
from narrows.benchmarks.options import RunOptions, with_defaults
from narrows.benchmarks.stream_data import HEAD
from narrows.benchmarks.streams import Stream, make_stream
from narrows.errors import CapacityError, ConfigError
from narrows.networks import make_network
from narrows.tasks.sharing import shared_specs


@dataclass(frozen=True)
class Grid:
    """A grid that can be run.

    Attributes:
        options: with nothing left to the stream's defaults, and with the dense reference among the variants.
        epochs: the lengths of training.
        tasks: of the stream.
        added_dense: whether the dense reference was not asked for.
        identity: what all runs of one folder or storage have in common. Variants, seeds and epochs may be added.
    """

    options: CompareOptions
    epochs: tuple[int, ...]
    tasks: int
    added_dense: bool
    identity: dict[str, Any]


def check_grid(options: CompareOptions) -> Grid:
    """The grid these options ask for.

    Raises:
        ConfigError, UnknownNameError: an option of the grid or of a method.
        DatasetMissingError, DataError: the stream's data.
        CapacityError: a method that cannot learn so many tasks.
    """
    _check_numbers(options)
    stream = make_stream(
        options.stream,
        data=options.data,
        seed=options.seeds[0],
        tasks=options.tasks,
        classes=options.classes,
        image_size=options.image_size,
    )
    tasks = len(stream.tasks)
    if options.tune:
        options = replace(options, tune_tasks=min(options.tune_tasks, tasks))
        held_out(first_tasks(stream, options.tune_tasks), options.holdout, 0)
    added = all(variant.method != DENSE for variant in options.variants)
    variants = (*options.variants, *((Variant(DENSE, DENSE),) if added else ()))
    require_distinct(variants)
    runs = [_run_options(options, variant, epochs) for variant in variants for epochs in options.epochs or (None,)]
    first = runs[0]
    _check_methods(variants, stream, first.network or "")
    options = replace(options, variants=variants, network=first.network, batch_size=first.batch_size)
    identity = {
        "stream": options.stream,
        "tasks": tasks,
        "classes": options.classes,
        "image_size": options.image_size,
        "network": options.network,
        "batch_size": options.batch_size,
        "tune": options.tune,
        "tune_tasks": options.tune_tasks if options.tune else None,
        "holdout": options.holdout if options.tune else None,
    }
    return Grid(options, options.epochs or (first.epochs or 0,), tasks, added, identity)


def _run_options(options: CompareOptions, variant: Variant, epochs: int | None) -> RunOptions:
    return with_defaults(
        RunOptions(
            options.stream,
            variant.make(),
            epochs=epochs,
            batch_size=options.batch_size,
            lr=variant.lr,
            network=options.network,
            device=options.device,
        )
    )


def _check_methods(variants: tuple[Variant, ...], stream: Stream, network: str) -> None:
    net = make_network(network, stream.input_shape, len(stream.tasks[0].classes))
    sizes = [spec.numel for spec in shared_specs(net, [HEAD])]
    for variant in variants:
        try:
            variant.make().check_tasks(len(stream.tasks), sizes)
        except CapacityError as error:
            raise CapacityError(f"{variant.label} cannot learn {stream.name}: {error}") from error


def _check_numbers(options: CompareOptions) -> None:
    if not options.seeds or len(set(options.seeds)) < len(options.seeds):
        raise ConfigError(f"seeds are one or more different numbers; got {options.seeds}.")
    if min(options.seeds) < 0:
        raise ConfigError(f"a seed is zero or more; got {min(options.seeds)}.")
    if options.tune < 0:
        raise ConfigError(f"tune is a number of trials, zero or more; got {options.tune}.")
    for name in ("jobs", "threads", "tune_tasks"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be at least 1, not {value}")
