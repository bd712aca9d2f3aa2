"""`narrows run`: a benchmark stream, learned and measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrows.cli.as_json import Json, print_json
from narrows.cli.common import INTERRUPTED, Log, pictures_drawn
from narrows.cli.screen import Screen, say
from narrows.cli.suggesting import suggest
from narrows.cli.tables import percent
from narrows.cli.training_options import Accumulate, Amp, Clip
from narrows.pairs import parse_pairs

if TYPE_CHECKING:
    from narrows.benchmarks.results import Result
    from narrows.training import Callback


def run_command(
    stream: Annotated[str, typer.Argument(help="A stream; see `narrows streams`.")] = "permuted-digits",
    method: Annotated[str, typer.Option("--method", "-m", help="A method; see `narrows methods`.")] = "ibm",
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-s", metavar="NAME=VALUE", help="An option of the method; repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write; default runs/STREAM-METHOD-sSEED.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER|hub", help="Folder of the stream's data, or hub to download them; see docs/streams.md."
        ),
    ] = None,
    tasks: Annotated[int | None, typer.Option(help="Number of tasks.")] = None,
    classes: Annotated[int | None, typer.Option(help="Classes per task.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the images, in pixels.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over each task's data.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples per step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate; default: the method's own.")] = None,
    amp: Amp = None,
    clip: Clip = None,
    accumulate: Accumulate = 1,
    network: Annotated[
        str | None, typer.Option(help="As mlp or resnet18; docs/streams.md lists them; default: the stream's own.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights, order, classes and split.")] = 0,
    reference: Annotated[
        bool, typer.Option("--reference", help="Also train one dense network per task, for FWT and step time.")
    ] = False,
    first: Annotated[int | None, typer.Option(help="Learn only so many tasks of the stream, its first.")] = None,
    holdout: Annotated[
        float | None,
        typer.Option(help="Measure on this fraction of the training data, held out, and leave the test data alone."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    threads: Annotated[int | None, typer.Option(help="CPU threads for torch.")] = None,
    log: Log = None,
    as_json: Json = False,
) -> None:
    """Learn a stream of tasks into one network and measure every task again after each.

    Writes result.json, store/, live.jsonl and accuracy.svg to --out. Interrupted, the same command goes on at the task
    it was in.
    """
    import torch

    from narrows.benchmarks.options import RunOptions
    from narrows.benchmarks.parent import stop_without_parent
    from narrows.benchmarks.runner import run
    from narrows.cli.tables import print_result
    from narrows.methods import make_method
    from narrows.report import draw_accuracy
    from narrows.trackers.names import make_trackers

    stop_without_parent()
    if threads is not None:
        torch.set_num_threads(threads)
    options = RunOptions(
        stream=stream,
        method=make_method(method, parse_pairs(settings or [], "--set", "--set density=0.03")),
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        amp=amp,  # type: ignore[arg-type]  # others are refused
        clip=clip,
        accumulate=accumulate,
        network=network,
        seed=seed,
        tasks=tasks,
        classes=classes,
        image_size=image_size,
        data=data,
        reference=reference,
        device=device,
        first=first,
        holdout=holdout,
    )
    where = out or Path("runs") / f"{stream}-{method}-s{seed}"
    trackers = make_trackers(log, where / "tensorboard")
    console = Screen()
    errors = Screen(stderr=True)
    _say_if_complete(where, errors)
    try:
        result = run(options, where, _Watcher(errors), trackers)
    except KeyboardInterrupt:
        errors.print()
        say(errors, f"Stopped. The tasks in {where}/store are safe; the same command goes on from there.")
        raise typer.Exit(INTERRUPTED) from None
    names, title = [task.name for task in result.tasks], f"{stream}, {method}"
    picture = where / "accuracy.svg"
    drawn = pictures_drawn(lambda: draw_accuracy(result.rows, names, picture, title=title), None)
    if as_json:
        print_json("result", result.to_json())
        return
    print_result(console, result)
    console.print()
    matrix = "" if drawn is None else f"{drawn} (the matrix R), "
    say(console, f"wrote {where}/result.json (all figures), {matrix}{where}/store/ (the tasks)")
    say(
        console,
        f"next: {suggest('report', where, '--open')} (the same as a page)   {suggest('verify', where / 'store')}   "
        "the same run with --method wsn",
    )


def _say_if_complete(where: Path, console: Screen) -> None:
    from narrows.benchmarks.results import Result

    path = where / "result.json"
    if path.exists() and (found := Result.load(path)).complete:
        say(
            console,
            f"{where} holds this run complete, begun {found.environment['started']}; nothing is trained again. "
            "Delete it to run anew.",
        )


class _Watcher:
    """Draws a bar for each task and says how it went."""

    def __init__(self, console: Screen) -> None:
        self._console = console

    @contextmanager
    def training(self, name: str, number: int, count: int) -> Iterator[Callback | None]:
        from narrows.training import ProgressBar

        with ProgressBar(f"{number:>2}/{count} {name}", self._console) as bar:
            yield bar

    def learned(self, result: Result) -> None:
        task = result.tasks[-1]
        if not self._console.is_terminal:
            say(
                self._console,
                f"{task.name}: accuracy {percent(task.accuracy)}%, density {percent(task.density, 2)}%, "
                f"used {percent(task.used, 2)}%, {task.seconds:.1f} s",
            )
