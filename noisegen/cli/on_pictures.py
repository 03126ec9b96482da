"""What the commands have in common that run a network on picture files."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from noisegen.cli.options import DEVICE

if TYPE_CHECKING:
    from denoisers.inference.job import Job
    from denoisers.inference.raw_job import RawJob

Command = TypeVar("Command", bound=Callable[..., Any])

MODEL = click.option(
    "--model",
    required=True,
    metavar="RUN|FILE",
    help="Folder of a training run, or a file of weights, published ones too.",
)
OUT = click.option(
    "--out", required=True, metavar="PATH", help="File to write, or folder for a folder."
)

_OPTIONS = (
    DEVICE,
    click.option(
        "--tile",
        type=click.IntRange(0),
        metavar="N",
        help="Side of the tiles in pixels; 0: none.  [default: 512 above 0.6 megapixels]",
    ),
    click.option("--self-ensemble", is_flag=True, help="Average over eight turns and mirrors."),
    click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bfloat16"]),
        default="auto",
        show_default=True,
        help="What is computed in; auto: bfloat16 on a GPU.",
    ),
    click.option(
        "--bits", type=click.Choice(["8", "16"]), help="Of a value.  [default: the input's]"
    ),
    click.option(
        "--show",
        metavar="DIR",
        help="Folder to draw into what the network makes on its way: PICTURE-MAP.png.",
    ),
)
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace files that are there.")


def network_options(command: Command) -> Command:
    """Add the options of how a network is run."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def common(options: dict[str, Any]) -> dict[str, Any]:
    """Return what jobs on pictures and on raws both take."""
    return {
        "device": options["device"],
        "tile": options["tile"],
        "precision": options["precision"],
        "bits": {"8": 8, "16": 16, None: None}[options["bits"]],
        "overwrite": options["overwrite"],
    }


def shown(options: dict[str, Any]) -> Path | None:
    """Return the folder of the maps."""
    return None if options["show"] is None else Path(options["show"])


def run(job: "Job | RawJob", verb: str, out: str) -> str:
    """Run a job and return a line on what it wrote.

    Parameters
    ----------
    job
        What is to be done.
    verb
        What is told to go on.
    out
        As the user named it.

    Raises
    ------
    RunError
        If some of several pictures could not be used.
    """
    from noisegen.cli.progress import counting
    from noisegen.errors import NoisegenError, RunError

    faults: list[NoisegenError] = []
    warnings: list[str] = []
    with counting(verb, len(job.paths)) as done:
        for (_, path), found in zip(job.paths, job.run(), strict=True):
            if isinstance(found, NoisegenError):
                faults.append(found)
            else:
                warnings += [f"{path} is without {what}" for what in found]
            done()
    for line in warnings:
        click.echo(f"warning: {line}", err=True)
    if faults:
        raise RunError(
            f"{len(faults)} of {len(job.paths)} pictures could not be used, the others are done: "
            f"{faults[0]}"
        )
    what = job.paths[0][1] if len(job.paths) == 1 else f"{out}: {len(job.paths)} pictures"
    by = f"by {job.card.model}" + (f" of {job.card.origin}" if job.card.origin else "")
    return f"{what}, {by}"
