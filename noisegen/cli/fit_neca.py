"""``noisegen fit neca``: a camera's noise, learned from noisy/clean pairs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisegen.cli.options import DEVICE, SCENES, SETTING

if TYPE_CHECKING:
    from denoisers.neca.recipe import NecaTraining

PRESETS = "denoisers.neca.presets"

RECIPE_KEYS = ("iterations", "batch", "seed")
"""Options that are keys of the recipe."""


@click.command("neca", short_help="Noise learned by networks (NeCA), in a camera's folder.")
@click.option(
    "--data",
    required=True,
    metavar="PAIRS",
    help="Folder of noisy/clean pairs, or a corpus with sRGB pictures.",
)
@click.option(
    "--camera",
    required=True,
    metavar="NAME",
    help="Whose noise it is; pairs that are known to be another's are left out.",
)
@click.option("--out", required=True, metavar="DIR", help="The camera's folder.")
@SCENES
@click.option("--preset", metavar="NAME", help="Recipe: neca, neca-small or neca-distilled.")
@click.option(
    "--recipe",
    "recipe_file",
    type=click.Path(),
    metavar="FILE.toml",
    help="Recipe to start from; the options below change it.",
)
@click.option(
    "--set",
    "settings",
    type=SETTING,
    multiple=True,
    help="Any key of the recipe, such as gan=lsgan or correlation.width=16; may be given again.",
)
@click.option("--iterations", type=int, metavar="N", help="Updates of the weights.")
@click.option("--batch", type=int, metavar="B", help="Samples of an update.")
@click.option("--seed", type=int, help="Seed of every draw.  [default: 0]")
@click.option("--licence", help="Terms of the weights.  [default: those of the pairs]")
@DEVICE
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    metavar="W",
    help="Threads that read ahead; the batches are the same.",
)
@click.option(
    "--overwrite", is_flag=True, help="Begin anew where another run was, whose files are removed."
)
def command(**options: Any) -> None:
    """Learn a camera's noise from noisy/clean pairs: NeCA.

    Without --preset: the published recipe on a GPU, neca-small on a CPU. The same command again
    goes on where a run was stopped, and comes to the same weights. The folder is what
    `--camera` and `--neca-weights` take.

    \b
    noisegen fit neca --data pairs.zarr --camera canon-5d2 --out cameras/canon-5d2
    """
    from noisegen.cli.progress import training

    recipe = _recipe(options)

    from denoisers.neca.run import Run, said

    folder = Path(options["out"])
    run = Run(
        recipe,
        options["data"],
        options["camera"],
        folder,
        scenes=options["scenes"],
        licence=options["licence"] or "",
        device=options["device"],
        workers=options["workers"],
        overwrite=options["overwrite"],
    )
    click.echo(run.taken, err=True)
    if run.jpeg is not None:
        click.echo(f"JPEGs of {run.jpeg}: made noise goes through one too", err=True)
    elif recipe.jpeg.quality == "found":
        click.echo("no traces of JPEGs in the noisy pictures", err=True)
    with training(recipe.iterations) as told:
        result = run.train(told)
    line = f"{folder}: {result.iterations} iterations on {result.pairs} pairs"
    measured = said(result.scores)
    click.echo(f"{line}; held out: {measured}" if measured else line)
    if result.gains:
        both = ", ".join(
            f"ISO {iso}: {255 * found[len(found) // 2]:.1f}" for iso, found in result.gains.items()
        )
        click.echo(f"standard deviation of the noise (of 255), median: {both}")
    else:
        click.echo("the pairs do not tell their ISO: give a gain or a noisy picture to noise by it")


def _recipe(options: dict[str, Any]) -> "NecaTraining":
    """Fill a recipe from the preset or file and the options that were given."""
    from denoisers import presets
    from denoisers.neca import recipe
    from denoisers.training.ranks import chosen
    from denoisers.training.recipe import read_table
    from noisegen.errors import InputError
    from pipelines.tables import merged

    file, preset = options["recipe_file"], options["preset"]
    if file and preset:
        raise InputError("--recipe, --preset: give one of them; a recipe file may name its preset")
    data: dict[str, Any] = read_table(file) if file else {}
    preset = preset or data.get("preset")
    if not file and preset is None:
        gpu = chosen(options["device"]).type == "cuda"
        preset = "neca" if gpu else "neca-small"
        where = "a GPU" if gpu else "the CPU"
        click.echo(f"recipe: {preset}, as this is {where} (--preset, --recipe)", err=True)
    if preset is not None:
        data = merged(presets.read(preset, PRESETS), data)
    given = {key: options[key] for key in RECIPE_KEYS if options[key] is not None}
    for setting in (*options["settings"], given):
        data = merged(data, setting)
    return recipe.parse(data, where=str(file or preset))
