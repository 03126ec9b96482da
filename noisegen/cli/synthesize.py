"""``noisegen synthesize``: make a corpus."""

from pathlib import Path
from typing import Any

import click

from noisegen.cli.options import ASSIGNMENT, RANGE, SETTING, RangeType
from noisegen.cli.running import make, run_options

RUN_OPTIONS = (
    "out", "recipe_file", "settings", "root", "dark_frames", "neca_weights", "workers", "scheduler",
    "cluster", "parts", "max_bad", "overwrite", "dry_run", "shard_mb",
)  # fmt: skip
"""Options that say how a corpus is made; all others are keys of the recipe."""


@click.command(short_help="Make a corpus of noisy/clean samples.")
@click.option("--out", required=True, metavar="X.zarr", help="Store to write: a path or a URL.")
@click.option(
    "--recipe",
    "recipe_file",
    type=click.Path(),
    metavar="FILE.toml",
    help="Recipe to start from; the options below change it.",
)
@click.option(
    "--preset",
    metavar="NAME",
    help="Named recipe to start from: published, camera-jpeg, phone-jpeg or raw-only.",
)
@click.option(
    "--set",
    "settings",
    type=SETTING,
    multiple=True,
    help="Any key of the recipe, such as tone=0-1; may be given again.",
)
@click.option("--source", help="Data set (noisegen sources).  [default: deadleaves]")
@click.option(
    "--root",
    metavar="DIR",
    help="Folder or URL of the data set.  [default: $NOISEGEN_SOURCES/SOURCE]",
)
@click.option("--split", help="Split of the data set, where it has several.")
@click.option(
    "--source-option",
    "source_options",
    type=ASSIGNMENT,
    multiple=True,
    help="Other option of the source, such as size=1024; may be given again.",
)
@click.option(
    "--guide",
    type=click.Choice(["nir", "flash"]),
    help="Second picture of each scene beside it: near infrared or flash (docs/guided.md).  "
    "[default: the source's, if it has one]",
)
@click.option(
    "--camera",
    metavar="NAME|FILE.toml|DIR|as-shot",
    help="Camera whose noise is put on (noisegen cameras).  [default: GP]",
)
@click.option(
    "--noise",
    metavar="NAME|FILE.toml",
    help="Noise model, or one of pictures from a file (noisegen fit).  [default: the camera's own]",
)
@click.option(
    "--iso",
    type=RangeType("as-shot"),
    help="ISO, a range drawn log-uniformly, or each raw file's own.  [default: the camera's range]",
)
@click.option(
    "--without",
    metavar="TERM",
    multiple=True,
    help="Switch a noise term off: shot, read, row, bias, or one of the body's (docs/body.md); may "
    "be given again.",
)
@click.option(
    "--bodies",
    type=int,
    metavar="N",
    help="Virtual bodies of the camera, with a fixed pattern each (--set body.prnu=0.01).  "
    "[default: 1]",
)
@click.option(
    "--dark-frames",
    metavar="DIR",
    help="Raw files that the camera took with its lens covered, whose noise stands for read, row "
    "and bias noise (docs/dark-frames.md).",
)
@click.option(
    "--neca-weights",
    metavar="DIR",
    help="NeCA's networks, as published or as noisegen fit neca leaves them, for --noise neca-w "
    "and neca-s (docs/neca.md).  [default: the camera's own]",
)
@click.option(
    "--gain", type=RANGE, help="Gain in DN per electron, or a range, for cameras without ISO."
)
@click.option(
    "--stage",
    type=click.Choice(["srgb", "linear", "raw", "both"]),
    help="What is stored.  [default: srgb]",
)
@click.option("--bits", type=click.Choice(["8", "16"]), help="Bits of an sRGB value.  [default: 8]")
@click.option(
    "--lazy/--stored",
    default=None,
    help="Store the clean mosaic; compute the rest when it is read.",
)
@click.option("--patch", type=int, help="Height and width of a sample.  [default: 128]")
@click.option(
    "--per-image",
    type=int,
    help="Patches an image.  [default: the source's, 16 as a rule; what --count needs]",
)
@click.option("--count", type=int, help="Patches in all.")
@click.option(
    "--select",
    type=click.Choice(["uniform", "stratified"]),
    help="Take any place, or choose by level and texture (docs/select.md).  [default: uniform]",
)
@click.option(
    "--source-noise",
    type=click.Choice(["reject", "top-up", "bin2", "ignore"]),
    help="Raws that are noisy themselves: their patches are left out, get the rest of the camera's "
    "noise, are averaged 2x2, or used as they are (docs/source-noise.md).  [default: reject; "
    "ignore with --camera as-shot]",
)
@click.option("--draws", type=int, help="Noise draws of each patch.  [default: 1]")
@click.option(
    "--demosaic",
    type=click.Choice(["nearest", "bilinear", "malvar", "ahd"]),
    help="Demosaicing method.  [default: malvar]",
)
@click.option(
    "--gamma",
    type=click.Choice(["srgb", "rec709", "2.2"]),
    help="Transfer function.  [default: srgb]",
)
@click.option("--tone", type=RANGE, help="Tone amplification, 0 to 1.  [default: 0]")
@click.option(
    "--clip",
    type=click.Choice(["camera", "published"]),
    help="Noisy codes are cut as the camera does, or at black.  [default: camera]",
)
@click.option(
    "--border",
    type=click.Choice(["reflect", "published"]),
    help="Surroundings of a patch in the ISP.  [default: reflect]",
)
@click.option(
    "--exposure-ratio",
    type=RANGE,
    help="Low light: the noisy input gets this many times less light.",
)
@click.option(
    "--amplify/--dark", default=None, help="Multiply the dark input back after the noise."
)
@click.option("--seed", type=int, help="Seed of every draw.  [default: 0]")
@run_options
def command(**options: Any) -> None:
    """Make a corpus of noisy/clean samples.

    Without options but --out: 256 patches of dead leaves with the noise of a Google Pixel. The
    same command again completes what is missing; the same recipe gives the same bytes.

    \b
    noisegen synthesize --out demo.zarr
    noisegen synthesize --source fivek --root /data/fivek --camera GP --out data.zarr
    noisegen synthesize --source folder --root raws --camera as-shot --stage raw --out raw.zarr
    """
    make(_recipe(options), options)


def _recipe(options: dict[str, Any]) -> Any:
    """Fill a recipe from the file and the options that were given."""
    from pipelines import recipe
    from pipelines.tables import merged

    file = options["recipe_file"]
    data = recipe.read_table(file) if file else {}
    given = {k: v for k, v in options.items() if k not in RUN_OPTIONS and v is not None}
    if not given["without"]:
        del given["without"]
    if "camera_file" in data and given.get("camera", data.get("camera")) != data.get("camera"):
        # A printed recipe: its figures and noise model are those of the camera it was made for.
        del data["camera_file"]
        if "noise_file" not in data:
            data.pop("noise", None)
    if given.get("noise", data.get("noise")) != data.get("noise"):
        data.pop("noise_file", None)
    own = dict(given.pop("source_options"))
    if "split" in given:
        own["split"] = given.pop("split")
    if own:
        given["source_options"] = own
    if "select" in given:
        given["select"] = {"method": given["select"]}
    if "source_noise" in given:
        given["source_noise"] = {"policy": given["source_noise"]}
    if "bits" in given:
        given["bits"] = int(given["bits"])
    for key in ("camera", "noise"):
        if str(given.get(key, "")).endswith(".toml"):
            given[key] = str(Path(given[key]).absolute())
    data = merged(data, given)
    for setting in options["settings"]:
        data = merged(data, setting)
    return recipe.parse(data, where=str(file or "recipe"))
