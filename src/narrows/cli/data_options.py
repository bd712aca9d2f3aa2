"""What may be said of a user's data on the command line, for every command that reads some."""

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from narrows.errors import ConfigError

if TYPE_CHECKING:
    from narrows.data import DataOptions

Data = Annotated[
    str,
    typer.Option(
        "--data",
        "-d",
        metavar="DATA",
        help="Folder of class folders of images, .csv, .parquet or .npz file, hf:OWNER/NAME, or "
        "hook:PACKAGE.MODULE:FUNCTION.",
    ),
]
Task = Annotated[str, typer.Option("--task", "-t", metavar="NAME", help="The task's name.")]
Features = Annotated[
    list[str] | None, typer.Option(metavar="COLUMN", help="Predict from these; repeatable. Default: all others.")
]
Bad = Annotated[str, typer.Option(help="Rows that cannot be used: refuse, or skip them.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, ...", rich_help_panel="Machine")]


def described(
    valid: Annotated[str | None, typer.Option(metavar="DATA", help="Data to measure on, not learned from.")] = None,
    holdout: Annotated[float, typer.Option(help="Fraction of the data to measure on instead, not learned from.")] = 0.0,
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="What is to be predicted; repeatable. Default: label, target, y or class."),
    ] = None,
    kind: Annotated[str, typer.Option(help="auto, classification, regression or multilabel.")] = "auto",
    classes: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="The classes in the order of the outputs; default: sorted.")
    ] = None,
    features: Features = None,
    categorical: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Numbers that are names (postal codes, say); repeatable.")
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Not to be learned from; later data may lack it; repeatable."),
    ] = None,
    id: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="COLUMN", help="Not learned from, and kept beside the predictions; repeatable."),
    ] = None,
    decimal: Annotated[
        str | None,
        typer.Option(metavar=".|,", help="Decimal mark of numbers in text; default: what all of a column fit."),
    ] = None,
    dates: Annotated[str | None, typer.Option(help="Where dates may be either: day-first or month-first.")] = None,
    parted_by: Annotated[
        str | None,
        typer.Option(
            metavar="MARK", help="What stands between the labels of one text, as ; or [] for a list; multilabel."
        ),
    ] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the images in pixels; others are resized.")] = None,
    channels: Annotated[int | None, typer.Option(help="1: grey images, 3: RGB.")] = None,
    mean: Annotated[
        str | None, typer.Option(metavar="M,M,M", help="Mean of each channel, 0 to 1; default: the data's.")
    ] = None,
    std: Annotated[
        str | None, typer.Option(metavar="S,S,S", help="Deviation of each channel; default: the data's.")
    ] = None,
    bad: Bad = "refuse",
) -> None:
    """What `learn` and `adopt` let people say of their data; see `narrows.cli.shared_options`."""


for _kind in (Data, Task, Features, Bad, *described.__annotations__.values()):
    for _option in get_args(_kind)[1:]:
        _option.rich_help_panel = _option.rich_help_panel or "Data"


def data_options(**said: Any) -> "DataOptions":
    """Those of `said` that are about how data are read, lists that are empty aside.

    ConfigError: a value out of its range.
    """
    from narrows.data import DataOptions

    known = {field.name for field in fields(DataOptions)}
    values: dict[str, Any] = {name: said[name] for name in known & said.keys() if said[name] not in (None, [])}
    if "classes" in values:
        values["classes"] = names_of(values["classes"])
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return DataOptions(**plain)


def names_of(text: str | None) -> tuple[str, ...] | None:
    """Names apart by commas; None for None.

    >>> names_of("cat, dog")
    ('cat', 'dog')
    """
    return None if text is None else tuple(part.strip() for part in text.split(","))


def scale_of(mean: str | None, std: str | None) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """--mean and --std as numbers; None where neither was said. ConfigError: one without the other, or no numbers.

    >>> scale_of("0.5,0.5,0.5", "0.25,0.25,0.25")
    ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    """
    if mean is None and std is None:
        return None
    if mean is None or std is None:
        raise ConfigError("--mean and --std are said together.")
    try:
        numbers = [tuple(float(part) for part in text.split(",")) for text in (mean, std)]
    except ValueError:
        raise ConfigError(
            f"--mean and --std take a number for each channel, as 0.5,0.5,0.5; got {mean} and {std}."
        ) from None
    return numbers[0], numbers[1]
