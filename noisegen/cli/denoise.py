"""``noisegen denoise``: run a network on picture files or raws."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisegen.cli.on_pictures import MODEL, OUT, OVERWRITE, common, network_options, run, shown

if TYPE_CHECKING:
    from denoisers.inference.job import Job
    from denoisers.inference.raw_job import RawJob

OF_RAWS = ("shot", "read", "alpha", "reference", "bgu", "iphone")
"""Options of raws alone."""


@click.command(short_help="Take the noise off picture files or raws.")
@click.argument("source", metavar="PICTURE|RAW|FOLDER")
@MODEL
@OUT
@click.option(
    "--guide",
    metavar="PATH",
    help="Second picture of the scene, or folder of them, of networks with a guide (rffnet, dvn).",
)
@network_options
@click.option("--shot", type=float, metavar="K", help="Raws: shot noise, variance = K x + S.")
@click.option(
    "--read",
    type=click.FloatRange(0),
    metavar="S",
    help="Raws: read noise.  [default of both: NoiseProfile, the catalog by ISO, or an estimate]",
)
@click.option(
    "--alpha",
    type=click.FloatRange(-1, 1),
    metavar="A",
    help="Raws: strength of the tone curve.  [default: 0]",
)
@click.option(
    "--reference",
    type=click.Path(),
    metavar="JPEG",
    help="Raws: picture of the same shot whose colours the result gets.",
)
@click.option(
    "--bgu",
    type=click.Choice(["smooth", "published"]),
    help="How --reference is fitted; published: with DualDn's damaged regulariser.  [default: "
    "smooth]",
)
@click.option(
    "--iphone",
    is_flag=True,
    default=None,
    help="Raws of Apple's phones: light and noise by DualDn's rule, from the maker notes.",
)
@OVERWRITE
def command(**options: Any) -> None:
    """Take the noise off a picture, or off all pictures of a folder.

    PNG, TIFF and JPEG of 8 or 16 bits and any size; profile and EXIF are kept. A network of
    mosaics (dualdn) takes raws instead, and writes pictures or a DNG; pictures it takes back to a
    mosaic first, with a warning.

    \b
    noisegen denoise photo.png --model runs/adfnet --out clean.png
    noisegen denoise dark.png --guide nir.png --model runs/rffnet --out clean.png
    noisegen denoise photos --model adfnet_n50.pt --out cleaned --device cuda
    noisegen denoise shot.dng --model runs/dualdn --out shot.png
    """
    job = _job(options)
    for line in getattr(job, "warnings", ()):
        click.echo(f"warning: {line}", err=True)
    click.echo(run(job, "denoise", options["out"]) + _noise(job))


def _job(options: dict[str, Any]) -> "Job | RawJob":
    import denoisers
    from denoisers.inference.job import Job
    from denoisers.inference.raw_job import RawJob
    from denoisers.inference.weights import open_weights
    from noisegen.errors import InputError

    network, card = open_weights(options["model"])
    source, out = Path(options["source"]), Path(options["out"])
    told = common(options)
    if denoisers.entry(card.model).develop is None:
        for name in OF_RAWS:
            if options[name] is not None:
                raise InputError(f"--{name} is of raws, {card.model} is a network of pictures")
        ensemble, guide = options["self_ensemble"], options["guide"]
        told["guide"] = None if guide is None else Path(guide)
        told["show"] = shown(options)
        return Job.prepare(source, out, network, card, ensemble=ensemble, **told)
    if options["guide"] is not None:
        raise InputError(f"{card.model} takes raws alone: leave --guide away")
    if options["show"] is not None:
        raise InputError(f"{card.model} has no maps to --show: leave it away")
    if options["self_ensemble"]:
        raise InputError("--self-ensemble turns pictures; a turned mosaic has another phase")
    shot, read, reference = options["shot"], options["read"], options["reference"]
    if (shot is None) != (read is None) or (shot is not None and not 0 < shot < 1):
        raise InputError("--shot, --read: give both, K from 0 to 1 and S from 0 on")
    if options["bgu"] and reference is None:
        raise InputError("--bgu says how --reference is fitted; give it")
    return RawJob.prepare(
        source,
        out,
        network,
        card,
        levels=None if shot is None else (shot, read),
        alpha=options["alpha"] or 0.0,
        reference=None if reference is None else Path(reference),
        published_colours=options["bgu"] == "published",
        iphone=bool(options["iphone"]),
        **told,
    )


def _noise(job: "Job | RawJob") -> str:
    """Return what a single raw file's noise was taken to be."""
    found = getattr(job, "noise", {})
    if len(job.paths) > 1 or not found:
        return ""
    ((shot, read, origin),) = found.values()
    return f"; noise K = {shot:.3g}, S = {read:.3g} ({origin})"
