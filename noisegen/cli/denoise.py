"""``noisegen denoise``: run a network on picture files."""

from pathlib import Path
from typing import Any

import click


@click.command(short_help="Take the noise off picture files.")
@click.argument("source", metavar="PICTURE|FOLDER")
@click.option(
    "--model",
    required=True,
    metavar="RUN|FILE",
    help="Folder of a training run, or a file of weights, published ones too.",
)
@click.option("--out", required=True, metavar="PATH", help="File to write, or folder for a folder.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where the network computes.",
)
@click.option(
    "--tile",
    type=click.IntRange(0),
    metavar="N",
    help="Side of the tiles in pixels; 0: none.  [default: 512 above 0.6 megapixels]",
)
@click.option("--self-ensemble", is_flag=True, help="Average over eight turns and mirrors.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="What is computed in; auto: bfloat16 on a GPU.",
)
@click.option("--bits", type=click.Choice(["8", "16"]), help="Of a value.  [default: the input's]")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
def command(**options: Any) -> None:
    """Take the noise off a picture, or off all pictures of a folder.

    PNG, TIFF and JPEG of 8 or 16 bits and any size; profile and EXIF are kept.

    \b
    noisegen denoise photo.png --model runs/adfnet --out clean.png
    noisegen denoise photos --model adfnet_n50.pt --out cleaned --device cuda
    """
    from denoisers.inference.job import Job
    from noisegen.cli.progress import counting
    from noisegen.errors import NoisegenError, RunError

    job = Job.prepare(
        Path(options["source"]),
        Path(options["out"]),
        options["model"],
        device=options["device"],
        tile=options["tile"],
        ensemble=options["self_ensemble"],
        precision=options["precision"],
        bits={"8": 8, "16": 16, None: None}[options["bits"]],
        overwrite=options["overwrite"],
    )
    faults: list[NoisegenError] = []
    warnings: list[str] = []
    with counting("denoise", len(job.paths)) as done:
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
    what = (
        job.paths[0][1] if len(job.paths) == 1 else f"{options['out']}: {len(job.paths)} pictures"
    )
    click.echo(
        f"{what}, by {job.card.model}" + (f" of {job.card.origin}" if job.card.origin else "")
    )
