"""``noisegen realism``: how far the noise of synthetic sets is from a real one's."""

from typing import TYPE_CHECKING

import click

from noisegen.cli.options import ASSIGNMENT

if TYPE_CHECKING:
    from pipelines.realism.comparison import Comparison


@click.command(short_help="Compare the noise of synthetic sets with a real one's.")
@click.argument("real", metavar="REAL")
@click.argument("synthetic", metavar="SYNTH...", nargs=-1, required=True)
@click.option("--out", metavar="REPORT.html", help="Page to write.")
@click.option("--json", "json_file", metavar="RESULTS.json", help="File for the numbers.")
@click.option(
    "--gate",
    "gates",
    type=ASSIGNMENT,
    multiple=True,
    help="Exit with 1 if a distance is above this, such as lag1=0.08; may be given again.",
)
@click.option(
    "--pairs",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    metavar="N",
    help="Pairs of each set that are read, evenly spread.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, help="Of halves and folds.  [default: 0]"
)
def command(
    real: str,
    synthetic: tuple[str, ...],
    out: str | None,
    json_file: str | None,
    gates: tuple[tuple[str, str | int], ...],
    pairs: int,
    seed: int,
) -> None:
    """Compare the noise of synthetic sets with that of a real one.

    Each is a folder of noisy/clean pairs (X_noisy and X_clean, X_real and X_mean, NOISY_SRGB and
    GT_SRGB, or in noisy/ and clean/) or a corpus with sRGB pictures. Every number stands next to
    what random halves of the real set's scenes give: the zero of its scale.

    \b
    noisegen realism pairs/cc data.zarr --out report.html
    noisegen realism pairs/sidd a.zarr b.zarr --json results.json --gate lag1=0.08
    """
    from noisegen.cli.progress import counting
    from pipelines.pairs import open_pairs
    from pipelines.realism.comparison import compare
    from pipelines.reports.page import write

    limits = _limits(gates)
    sets = [open_pairs(path) for path in (real, *synthetic)]
    for one in sets:
        if one.skipped:
            some = f"{len(one.skipped)}, first {one.skipped[0]}"
            click.echo(f"{one.where}: pictures that are no halves of pairs: {some}", err=True)
        finish = one.corpus.recipe.finish if one.corpus else None
        if finish is not None and finish.is_on and finish.target == "render":
            what = (
                "its clean pictures are not finished, so that what the finish does counts as noise"
            )
            click.echo(f"{one.where}: {what} (--set finish.target=finished)", err=True)
    reads = sum(2 * min(len(one), pairs) for one in sets)
    with counting("realism", reads) as step:
        found = compare(sets[0], sets[1:], seed=seed, max_pairs=pairs, on_pair=step)
    _show(found)
    if out is not None:
        from pipelines.reports.realism import realism_page

        write(out, realism_page(found))
        click.echo(f"wrote {out}")
    if json_file is not None:
        import json

        write(json_file, json.dumps(found.to_json(), indent=2) + "\n")
        click.echo(f"wrote {json_file}")
    _check(found, limits)


def _limits(gates: tuple[tuple[str, str | int], ...]) -> dict[str, float]:
    from noisegen.errors import InputError, UnknownNameError
    from pipelines.realism.comparison import NAMES

    limits = {}
    for name, value in gates:
        if name not in NAMES:
            raise UnknownNameError("measure", name, NAMES, f"--gate knows {', '.join(NAMES)}")
        try:
            limits[name] = float(value)
        except ValueError:
            raise InputError(f"--gate {name}={value}: the limit is no number") from None
    return limits


def _show(found: "Comparison") -> None:
    """Print the table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from pipelines.realism.table import short_names, table

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=max(100, 60 + 24 * len(found.synthetic)))
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    names = short_names([found.real.where, *(one.where for one in found.synthetic)])
    grid.add_column("measure", no_wrap=True)
    for name in (names[0], "its halves", *names[1:]):
        grid.add_column(name, justify="right")
    for row, cells in table(found):
        texts = [f"{c.text} ({c.difference})" if c.difference else c.text for c in cells]
        styled = (f"[green]{t}[/]" if c.alike else t for t, c in zip(texts, cells, strict=True))
        grid.add_row(row.label, *styled)
    console.print(grid)
    console.print(
        "In brackets: less the real one. Its halves: the same between random halves of its scenes. "
        "AUC: 0.5 is guessing."
    )


def _check(found: "Comparison", limits: dict[str, float]) -> None:
    """Raise an error for the first distance that is above its limit, or not known."""
    from noisegen.errors import RunError

    for one, distances in zip(found.synthetic, found.distances, strict=True):
        for name, limit in limits.items():
            distance = abs(distances[name])
            if not distance <= limit:
                raise RunError(f"{one.where}: {name} is {distance:.3f}, the gate allows {limit:g}")
