"""``noisegen bench``: what is trained or made, measured on real pictures."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from noisegen.cli.options import DEVICE, SETTING


@click.group(short_help="Measure synthetic noise by what networks learn from it.")
def command() -> None:
    """Measure synthetic noise by what networks learn from it."""


@command.command(short_help="Which synthetic noise trains a denoiser best, on your own pairs.")
@click.option(
    "--pairs",
    required=True,
    metavar="DIR",
    help="Folder of real noisy/clean pairs, or a corpus of them.",
)
@click.option("--out", required=True, metavar="RESULTS.json", help="File for the numbers.")
@click.option(
    "--camera",
    metavar="NAME|none",
    help="Camera that is left out of training and tested on.  [default: the one of the fewest "
    "scenes, two or more, where there are several]",
)
@click.option(
    "--per-scene",
    type=click.IntRange(1),
    metavar="N",
    help="Pairs of each scene that are used.  [default: all]",
)
@click.option(
    "--register/--no-register",
    default=True,
    show_default=True,
    help="Move each clean half onto its noisy one first, by parts of a pixel; 8 pixels are cut off "
    "at each side.",
)
@click.option(
    "--preset",
    default="camera-jpeg",
    show_default=True,
    metavar="NAME",
    help="Recipe of the physics rows: camera, rendering and finish.",
)
@click.option(
    "--neca",
    metavar="DIR",
    help="NeCA's networks (noisegen fit neca, --neca-weights), or a folder of them by the names of "
    "the cameras, for the rows neca-w and physics-finish+neca-w.  [default: neither row]",
)
@click.option(
    "--fit-neca",
    type=click.IntRange(1),
    metavar="N",
    help="Train them on each camera's training pairs instead, by neca-small with N iterations.",
)
@click.option(
    "--init",
    metavar="RUN|FILE",
    help="Weights that all networks begin from, whatever their noise, such as those of a run on "
    "white noise.  [default: drawn anew for each]",
)
@click.option(
    "--iterations", type=int, metavar="N", help="Updates of each network.  [default: the recipe's]"
)
@click.option("--batch", type=int, metavar="B", help="Samples of an update.")
@click.option("--patch", type=int, metavar="P", help="Height and width of a sample in pixels.")
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    metavar="N",
    help="Networks of each row.",
)
@click.option("--seed", type=click.IntRange(0), help="The first of them.  [default: 0]")
@click.option(
    "--set",
    "settings",
    type=SETTING,
    multiple=True,
    help="Any key of the training recipe adfnet-small, such as options.width=16.",
)
@DEVICE
@click.option(
    "--graph",
    "graphed",
    is_flag=True,
    help="Record an iteration as CUDA graphs and replay it, as noisegen train does.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="Networks trained at a time, each in a process of its own.",
)
@click.option("--work", metavar="FOLDER", help="Folder to work in.  [default: beside --out]")
def realnoise(**options: Any) -> None:
    """Train one network on each kind of noise and test them on real pairs.

    Content (the clean halves of the training scenes), network (adfnet-small) and steps are the
    same; only the noise differs: white of a range chosen on the training scenes; fitted levels,
    grain and channel covariance; the sensor's physics, plain and with the camera's finish, at the
    level of the training scenes; the real pairs themselves. The same command goes on where it was
    stopped.

    \b
    noisegen bench realnoise --pairs pairs/polyu --out results.json
    noisegen bench realnoise --pairs pairs/cc --iterations 1000 --out quick.json
    """
    import json

    from denoisers.realnoise import report
    from denoisers.realnoise.bench import Bench
    from denoisers.realnoise.learned import Learned
    from denoisers.realnoise.start import Start
    from denoisers.storage import write_text
    from noisegen.errors import InputError

    out = Path(options["out"])
    if out.is_dir() or not out.parent.is_dir():
        raise InputError(f"--out {out}: not a file in a folder that is there; name one")
    bench = Bench(
        options["pairs"],
        Path(options["work"] or out.with_suffix(".work")),
        _training(options),
        options["seeds"],
        _watch,
        camera=options["camera"],
        per_scene=options["per_scene"],
        register=options["register"],
        preset=options["preset"],
        learned=Learned(options["neca"], options["fit_neca"]),
        start=Start(options["init"]),
        device=options["device"],
        graphed=options["graphed"],
        jobs=options["jobs"],
    )
    results = bench.run()
    text = json.dumps(report.data(bench, results), indent=1, ensure_ascii=False)
    write_text(out, text + "\n")
    click.echo(report.table(results))


def _training(options: dict[str, Any]) -> Any:
    """Return the training recipe that all rows have in common."""
    from denoisers import presets
    from denoisers.training import recipe
    from noisegen.errors import InputError
    from pipelines.tables import merged

    data = presets.read("adfnet-small")
    for setting in options["settings"]:
        data = merged(data, setting)
    names = ("iterations", "batch", "patch", "seed")
    data = merged(data, {k: options[k] for k in names if options[k] is not None})
    if "awgn" in data or data.get("renoise"):
        raise InputError("--set awgn, renoise: the noise is what the rows differ in; leave it away")
    own = recipe.parse(data, "--set")
    # Validated at the end alone; turned pictures would give rows other content.
    last = {"every": own.iterations, "count": 4, "crop": 128}
    return recipe.parse(merged(data, {"augment": False, "validation": last}), "--set")


@contextlib.contextmanager
def _watch(what: str, iterations: int) -> Iterator[Callable[[Any], None]]:
    from noisegen.cli.progress import training

    click.echo(what, err=True)
    if not iterations:
        yield lambda progress: None
        return
    with training(iterations) as told:
        yield told
