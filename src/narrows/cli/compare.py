"""`narrows compare`: methods under the same rules, tuned alike, in one table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrows.cli.as_json import Json, print_json
from narrows.cli.common import FAILED, INTERRUPTED, pictures_drawn
from narrows.cli.screen import Screen, say

if TYPE_CHECKING:
    from narrows.benchmarks.compare import Comparison


def compare_command(
    stream: Annotated[str, typer.Argument(help="A stream; see `narrows streams`.")],
    methods: Annotated[
        str, typer.Option("--methods", "-m", help="Methods, with options by colons: ibm:density=0.03,wsn,packnet.")
    ],
    out: Annotated[Path | None, typer.Option(help="Where to write; default runs/compare-STREAM.")] = None,
    seeds: Annotated[str, typer.Option(help="How many, from 0; or a list, as in 0,1,5.")] = "3",
    epochs: Annotated[
        str | None, typer.Option(help="Passes over each task's data; several, as in 2,10, give time to accuracy.")
    ] = None,
    tune: Annotated[int, typer.Option(help="Trials of tuning that each method gets; 0: defaults.")] = 5,
    tune_tasks: Annotated[int, typer.Option(help="How many of the first tasks a trial learns.")] = 2,
    holdout: Annotated[float, typer.Option(help="Fraction of the training data that trials are measured on.")] = 0.2,
    jobs: Annotated[int | None, typer.Option(help="Runs at once; default: cores over --threads.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of each run.")] = 1,
    storage: Annotated[
        str | None, typer.Option(help="Shared by several machines: a file, or a database's URL. See docs/compare.md.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the stream's data.")] = None,
    tasks: Annotated[int | None, typer.Option(help="Number of tasks.")] = None,
    classes: Annotated[int | None, typer.Option(help="Classes per task.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the images, in pixels.")] = None,
    network: Annotated[str | None, typer.Option(help="As for `narrows run`; default: the stream's own.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples per step.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    as_json: Json = False,
) -> None:
    """Compare methods on a stream: methods x seeds (x epochs), each tuned with as many trials, in one table.

    Every run is a process. Writes compare.md, compare.json and pictures to --out; interrupted, the same command goes
    on, and methods, seeds and epochs may be added to it. A run that fails is in the table, and tried again by the same
    command.
    """
    from narrows.benchmarks.compare import CompareOptions, compare, parse_numbers, parse_seeds, parse_variants
    from narrows.benchmarks.compare.folder import without_password
    from narrows.cli.grid_bar import GridBar

    options = CompareOptions(
        stream=stream,
        variants=parse_variants(methods),
        seeds=parse_seeds(seeds),
        epochs=parse_numbers(epochs, "--epochs") if epochs is not None else None,
        tune=tune,
        tune_tasks=tune_tasks,
        holdout=holdout,
        tasks=tasks,
        classes=classes,
        image_size=image_size,
        data=data,
        network=network,
        batch_size=batch_size,
        device=device,
        jobs=jobs,
        threads=threads,
        storage=storage,
        command=("narrows", *(without_password(word) for word in sys.argv[1:])),
    )
    where = out or Path("runs") / f"compare-{stream}"
    errors = Screen(stderr=True)
    try:
        with GridBar(errors) as progress:
            comparison = compare(options, where, progress)
    except KeyboardInterrupt:
        errors.print()
        say(
            errors,
            f"Stopped. Finished runs are kept, and figures so far are in {where}/compare.md; the same command goes on "
            "from there.",
        )
        raise typer.Exit(INTERRUPTED) from None
    _report(comparison, where, as_json)
    if comparison.failures:
        raise typer.Exit(FAILED)


def _report(comparison: Comparison, where: Path, as_json: bool) -> None:
    """The table, what failed, and where everything is."""
    from narrows.cli.tables import print_comparison
    from narrows.report import draw_comparison

    pictures: list[Path] = pictures_drawn(lambda: draw_comparison(comparison, where), [])
    if as_json:
        print_json("comparison", comparison.to_json())
        return
    console = Screen()
    print_comparison(console, comparison)
    wrote = ", ".join(["compare.md", "compare.json", *(picture.name for picture in pictures)])
    console.print()
    say(console, f"wrote to {where}: {wrote}; each run is in runs/")
