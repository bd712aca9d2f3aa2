"""What a run is told, and what it takes where it is told nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from narrows.benchmarks.streams import stream_names
from narrows.errors import ConfigError
from narrows.methods import Method
from narrows.training.device import require_device


@dataclass(frozen=True)
class RunOptions:
    """What is run. None means the stream's or the method's own default.

    Attributes:
        stream, tasks, classes, image_size, data: see `make_stream`.
        method: what learns.
        epochs, batch_size, lr: of training; Adam, cosine to 0 over each task.
        network: a name for `make_network`.
        seed: of initial weights, order of examples, class order and split.
        reference: also train a dense network for each task, for FWT and the step ratio.
        first: learn only so many of the stream's tasks, its first; the stream is drawn as if all were learned.
        holdout: fraction of each task's training examples held out and measured on in place of the test data,
            which are then not touched: for choosing options.
        device: "cpu", "cuda", ...
    """

    stream: str
    method: Method
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    network: str | None = None
    seed: int = 0
    tasks: int | None = None
    classes: int | None = None
    image_size: int | None = None
    data: Path | None = None
    reference: bool = False
    device: str = "cpu"
    first: int | None = None
    holdout: float | None = None


def with_defaults(options: RunOptions) -> RunOptions:
    """The same with the stream's and the method's own values filled in; ConfigError for one out of range."""
    spec = stream_names()[options.stream]
    filled = replace(
        options,
        epochs=spec.epochs if options.epochs is None else options.epochs,
        batch_size=spec.batch_size if options.batch_size is None else options.batch_size,
        lr=options.method.learning_rate if options.lr is None else options.lr,
        network=spec.network if options.network is None else options.network,
    )
    for name in ("epochs", "batch_size", "lr"):
        if not getattr(filled, name) > 0:
            raise ConfigError(f"{name} must be above 0, not {getattr(filled, name)}")
    require_device(filled.device)
    return filled
