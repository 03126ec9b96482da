"""``noisegen enhance``: make dark pictures bright."""

from pathlib import Path
from typing import Any

import click

from noisegen.cli.on_pictures import MODEL, OUT, OVERWRITE, common, network_options, run, shown


@click.command(short_help="Make dark pictures bright.")
@click.argument("source", metavar="PICTURE|FOLDER")
@MODEL
@OUT
@click.option(
    "--strength",
    type=click.FloatRange(0, 1),
    metavar="S",
    help="How far to go: 0 keeps the picture's own light, takes its noise alone.  [default: 1]",
)
@network_options
@OVERWRITE
def command(**options: Any) -> None:
    """Make a dark picture bright, or all pictures of a folder.

    PNG, TIFF and JPEG of 8 or 16 bits and any size; profile and EXIF are kept. R2RNet takes the
    whole picture into account: --tile 0 where memory allows.

    \b
    noisegen enhance night.jpg --model runs/r2rnet --out night.png
    noisegen enhance night.jpg --model runs/r2rnet --out night.png --show maps
    """
    from denoisers.inference.job import Job
    from denoisers.inference.weights import open_weights

    network, card = open_weights(options["model"])
    job = Job.prepare(
        Path(options["source"]),
        Path(options["out"]),
        network,
        card,
        verb="enhance",
        ensemble=options["self_ensemble"],
        show=shown(options),
        strength=options["strength"],
        **common(options),
    )
    click.echo(run(job, "enhance", options["out"]))
