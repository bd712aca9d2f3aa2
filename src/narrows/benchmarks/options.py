"""What a run is told, and what it takes where it is told nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from narrows.benchmarks.streams import stream_names
from narrows.methods import Method
from narrows.training import Training
from narrows.training.device import require_device
from narrows.training.value import Amp


@dataclass(frozen=True)
class RunOptions:
    """What is run. None means the stream's or the method's own default.

    Attributes:
        stream, tasks, classes, image_size, data: see `make_stream`.
        method: what learns.
        epochs, batch_size, lr: of training; Adam, cosine to 0 over each task.
        amp, clip, accumulate: as in `narrows.Training`.
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
    amp: Amp | None = None
    clip: float | None = None
    accumulate: int = 1
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

    def training(self) -> Training:
        """How each task is trained; of options that `with_defaults` gave. ConfigError: one out of range."""
        return Training(
            self.epochs or 0,
            lr=self.lr,
            batch_size=self.batch_size,
            amp=self.amp,
            clip=self.clip,
            accumulate=self.accumulate,
        )


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
    filled.training()
    require_device(filled.device)
    return filled
