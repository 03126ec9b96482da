"""``noisegen ingest``: real noisy/clean pairs as a corpus."""

from typing import TYPE_CHECKING, Any

import click

from noisegen.cli.options import ASSIGNMENT
from noisegen.cli.running import make, run_options
from noisegen.errors import InputError

if TYPE_CHECKING:
    from catalogs.sources import Ingested


@click.command(short_help="Make a corpus of real noisy/clean pairs, or of dvd.")
@click.argument("name")
@click.option("--out", required=True, metavar="X.zarr", help="Store to write: a path or a URL.")
@click.option(
    "--root",
    metavar="DIR",
    help="Folder or URL of the pairs.  [default: $NOISEGEN_SOURCES/NAME]",
)
@click.option(
    "--pattern",
    metavar="NOISY:CLEAN",
    help="Names of both halves, of NAME pairs: {name}_noisy.png:{name}_clean.png.",
)
@click.option(
    "--source-option",
    "source_options",
    type=ASSIGNMENT,
    multiple=True,
    help="Other option of the set, such as split=scene; may be given again.",
)
@click.option("--patch", type=int, help="Height and width of a window.  [default: the set's own]")
@click.option(
    "--stride",
    type=int,
    help="Step between windows; the last ends with the picture.  [default: the set's or the patch]",
)
@click.option(
    "--bits",
    type=click.Choice(["8", "16"]),
    help="Bits of a stored value.  [default: 8, and pictures of 16 are refused; 16 of dvd]",
)
@run_options
def command(name: str, **options: Any) -> None:
    """Make a corpus of real noisy/clean pairs: pictures cut into windows, stored as they are.

    The Dark Vision Dataset (dvd) has clean mosaics: patches are drawn, darkened and made noisy as
    published (docs/guided.md).

    `noisegen sources` lists the sets and how each must lie on disk. The same command again
    completes what is missing.

    \b
    noisegen ingest sidd --root SIDD_Medium_Srgb --out sidd.zarr
    noisegen ingest pairs --root mine --pattern '{scene}/{name}.png:{scene}/gt.png' --out x.zarr
    """
    make(_recipe(name, options), options)


def _recipe(name: str, options: dict[str, Any]) -> Any:
    from catalogs import sources
    from pipelines import recipe

    if (published := sources.entry(name).ingested) is not None:
        return recipe.parse(_with_noise(name, published, options), where="ingest")
    own = sources.check_pairs(name)
    patch, stride = options["patch"], options["stride"]
    if patch is None:
        patch = own.patch
    if stride is None:
        stride = own.stride if patch == own.patch else patch
    source_options = dict(options["source_options"])
    if options["pattern"] is not None:
        source_options["pattern"] = options["pattern"]
    data = {
        "source": name,
        "source_options": source_options,
        "camera": "as-shot",
        "noise": recipe.REAL,
        "patch": patch,
        "stride": stride,
    }
    if options["bits"] is not None:
        data["bits"] = int(options["bits"])
    return recipe.parse(data, where="ingest")


def _with_noise(name: str, published: "Ingested", options: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of the recipe of clean mosaics that are made noisy as published."""
    for option in ("stride", "pattern"):
        if options[option] is not None:
            raise InputError(f"--{option}: patches of {name} are drawn, not windows; leave it away")
    return {
        "source": name,
        "source_options": dict(options["source_options"]),
        "noise": published.noise,
        "patch": options["patch"] or published.patch,
        "per_image": published.per_image,
        "bits": int(options["bits"] or 16),
    }
