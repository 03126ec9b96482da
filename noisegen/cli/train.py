"""``noisegen train``: train a network."""

from pathlib import Path
from typing import Any

import click

from noisegen.cli.options import DEVICE, RANGE, SETTING

RUN_OPTIONS = (
    "model", "backbone", "data", "recipe_file", "settings", "val", "out", "device", "workers",
    "processes", "compiled", "graphed", "overwrite", "start",
)  # fmt: skip
"""Options that are no keys of the training recipe."""


class DataType(click.ParamType):  # type: ignore[type-arg]
    """A path, and its weight after a colon: ``b.zarr:2``."""

    name = "PATH[:WEIGHT]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        """Parse the text; a colon that no number follows belongs to the path."""
        if isinstance(value, tuple):
            return value
        path, _, weight = str(value).rpartition(":")
        try:
            number = float(weight)
        except ValueError:
            return str(value), 1.0
        if not path:
            return str(value), 1.0
        if not 0 < number < float("inf"):
            self.fail(f"'{value}': the weight after the colon must be above 0", param, ctx)
        return path, number


@click.command(short_help="Train a network on a corpus or on pictures.")
@click.argument("model")
@click.option(
    "--data",
    type=DataType(),
    multiple=True,
    required=True,
    help="Corpus, folder of noisy/clean pairs, or folder of clean pictures with --awgn; may be "
    "given again, with a weight: b.zarr:2 is seen twice as often.",
)
@click.option("--preset", metavar="NAME", help="Training recipe by name (docs/train.md).")
@click.option(
    "--recipe",
    "recipe_file",
    type=click.Path(),
    metavar="FILE.toml",
    help="Training recipe to start from; the options below change it.",
)
@click.option(
    "--set",
    "settings",
    type=SETTING,
    multiple=True,
    help="Any key of the recipe, such as optimiser.lr=1e-4; may be given again.",
)
@click.option(
    "--backbone",
    type=click.Choice(["restormer", "swinir", "mirnet"]),
    help="Of networks that are built around one (dualdn).",
)
@click.option("--iterations", type=int, metavar="N", help="Updates of the weights, in each phase.")
@click.option(
    "--phase",
    "phases",
    multiple=True,
    metavar="NAME",
    help="Of a network that is trained in parts (r2rnet): one of them; may be given again.  "
    "[default: all, in turn]",
)
@click.option(
    "--from",
    "start",
    metavar="RUN|FILE",
    help="Weights to start from, such as those of a run of the phase before.",
)
@click.option("--batch", type=int, metavar="B", help="Samples of an update.")
@click.option("--patch", type=int, metavar="P", help="Height and width of a sample in pixels.")
@click.option(
    "--awgn", type=RANGE, help="White noise on clean pictures, in 8-bit levels: 25, or 0-75."
)
@click.option(
    "--renoise/--stored-noise",
    default=None,
    help="Draw a corpus's own noise anew in every epoch; takes one of --lazy, --stage both or "
    "--noise FILE.toml.",
)
@click.option("--seed", type=int, help="Seed of every draw.  [default: 0]")
@click.option(
    "--val",
    metavar="PATH",
    help="Corpus or folder to validate on.  [default: scenes held out of --data]",
)
@click.option(
    "--teacher",
    metavar="RUN|FILE",
    help="Trained network that the loss asks, of networks that learn from one (dvn: dvn-recons).",
)
@click.option("--out", metavar="RUN", help="Folder of the run.  [default: runs/MODEL]")
@DEVICE
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    metavar="W",
    help="How many read ahead; the batches are the same.",
)
@click.option(
    "--processes/--threads",
    default=False,
    help="What the workers are.  [default: threads]",
)
@click.option("--compile", "compiled", is_flag=True, help="Compile the network (torch.compile).")
@click.option(
    "--graph",
    "graphed",
    is_flag=True,
    help="Record an iteration as CUDA graphs and replay it: faster for narrow networks on a GPU.",
)
@click.option(
    "--overwrite", is_flag=True, help="Begin anew where another run was, whose files are removed."
)
def command(**options: Any) -> None:
    """Train a network on noisy/clean samples, or on clean pictures with white noise.

    MODEL is one that `noisegen models` lists. Without --preset: the published recipe on a GPU,
    MODEL-small on a CPU. The same command again
    goes on where a run was stopped, and comes to the same weights.

    \b
    noisegen synthesize --out demo.zarr && noisegen train adfnet --data demo.zarr
    noisegen train adfnet --preset adfnet-rgb --data DIV2K --awgn 25 --out runs/rgb25
    noisegen train dualdn --data raw.zarr --backbone restormer
    torchrun --nproc-per-node 4 -m noisegen train adfnet --data a.zarr --data b.zarr:2
    """
    from noisegen.cli.progress import training

    recipe = _recipe(options)
    with training(recipe.total) as told:
        from denoisers.training.run import Run

        folder = Path(options["out"] or f"runs/{recipe.model}")
        result = Run(
            recipe,
            options["data"],
            folder,
            start=options["start"],
            val=options["val"],
            device=options["device"],
            workers=options["workers"],
            processes=options["processes"],
            compiled=options["compiled"],
            graphed=options["graphed"],
            overwrite=options["overwrite"],
            told=told,
        ).train()
    line = f"{folder}: {result.iterations} iterations"
    if result.scores is not None:
        psnr, ssim, noisy = result.scores
        line += f", held-out pictures {noisy:.2f} -> {psnr:.2f} dB, SSIM {ssim:.4f}"
    click.echo(line)


def _recipe(options: dict[str, Any]) -> Any:
    """Fill a training recipe from the preset or file and the options that were given."""
    import denoisers
    from denoisers import presets
    from denoisers.training import recipe
    from denoisers.training.ranks import chosen
    from noisegen.errors import InputError
    from pipelines.tables import merged

    model, file, preset = options["model"], options["recipe_file"], options["preset"]
    denoisers.entry(model)
    given = {k: v for k, v in options.items() if k not in RUN_OPTIONS and v not in (None, ())}
    if file and preset:
        raise InputError("--recipe, --preset: give one of them; a recipe file may name its preset")
    data: dict[str, Any] = recipe.read_table(file) if file else {}
    preset = preset or data.get("preset")
    if not file and preset is None:
        gpu = chosen(options["device"]).type == "cuda"
        preset = presets.default(model, gpu=gpu, awgn="awgn" in given, backbone=options["backbone"])
        if preset is None:
            raise InputError(f"there is no preset for {model}; give --recipe FILE.toml")
        where = "a GPU" if gpu else "the CPU"
        click.echo(f"training recipe: {preset}, as this is {where} (--preset, --recipe)", err=True)
    if preset is not None:
        data = merged(presets.read(preset), data)
    for setting in options["settings"]:
        data = merged(data, setting)
    data = merged(data, given)
    if options["backbone"] is not None:
        data = merged(data, {"options": {"backbone": options["backbone"]}})
    if data.setdefault("model", model) != model:
        raise InputError(f"{file or preset} is for {data['model']}, not for {model}")
    return recipe.parse(data, where=str(file or preset))
