"""How a corpus is made, whatever it holds: workers, parts, shards."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from noisegen.cli.options import PART

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--workers",
        type=click.IntRange(0),
        default=0,
        metavar="N",
        help="Local Dask processes; 0 works in this process.",
    ),
    click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler to use."),
    click.option(
        "--cluster",
        type=click.Path(),
        metavar="FILE.toml",
        help="Dask cluster to start: class and arguments.",
    ),
    click.option("--parts", type=PART, help="Make part I of N of the store (job arrays)."),
    click.option(
        "--max-bad",
        type=click.FloatRange(0, 1),
        default=0.01,
        show_default=True,
        help="Share of the images that may be unusable.",
    ),
    click.option(
        "--shard-mb",
        type=click.IntRange(1, 2048),
        default=128,
        show_default=True,
        help="Pixels of a shard in MB, of a new store.",
    ),
    click.option("--overwrite", is_flag=True, help="Replace a corpus made by another recipe."),
    click.option("--dry-run", is_flag=True, help="Say what would be made, and how large it is."),
)


def run_options(command: Command) -> Command:
    """Give a command the options that :func:`make` asks for."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def make(recipe: Any, options: dict[str, Any]) -> None:
    """Make a recipe's corpus, or what is missing of it, and say what was done.

    Parameters
    ----------
    recipe
        A ``pipelines.Recipe``.
    options
        Values of :func:`run_options`, ``out``, and roots by name.
    """
    from noisegen.cli.progress import progress, report
    from pipelines import run
    from pipelines.execution import executor

    roots = {name: options.get(name) for name in ("root", "dark_frames", "neca_weights")}
    if options["dry_run"]:
        click.echo(run.dry_run(recipe, **roots, shard_mb=options["shard_mb"]).text())
        return
    with (
        executor(options["workers"], options["scheduler"], options["cluster"]) as client,
        progress(client) as on_shard,
    ):
        summary = run.synthesize(
            recipe,
            options["out"],
            client,
            **roots,
            part=options["parts"] or (1, 1),
            max_bad=options["max_bad"],
            overwrite=options["overwrite"],
            shard_mb=options["shard_mb"],
            on_shard=on_shard,
        )
    report(summary)
