"""``noisegen evaluate``: test a network by a published protocol."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisegen.cli.options import DEVICE

if TYPE_CHECKING:
    from denoisers.evaluation.result import Result

ROWS = 30
"""Pictures up to which the terminal shows a row for each."""


@click.command(short_help="Test a network: PSNR, SSIM, submission files.")
@click.argument("model", metavar="RUN|FILE")
@click.option(
    "--on", required=True, metavar="PROTOCOL", help="Test, by its name (docs/evaluate.md)."
)
@click.option(
    "--root", required=True, metavar="PATH", help="Folder of the test's files, or a corpus."
)
@click.option(
    "--sigma",
    type=float,
    metavar="S",
    help="Standard deviation of the white noise that is put on, in 8-bit levels.",
)
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    help="Scenes of one split of pairs or a corpus alone.  [default: all]",
)
@click.option(
    "--demosaic",
    type=click.Choice(["ahd", "malvar", "bilinear", "nearest"]),
    help="Of the ISP that mosaics are developed by.  [default: ahd]",
)
@click.option("--self-ensemble", is_flag=True, help="Average over eight turns and mirrors.")
@click.option(
    "--tile",
    type=click.IntRange(0),
    metavar="N",
    help="Side of the tiles in pixels; 0: none.  [default: as the protocol says]",
)
@click.option("--bgr", is_flag=True, help="Give the network blue, green, red, as ADFNet's test.")
@click.option(
    "--guide",
    type=click.Choice(["own", "none", "moved", "other"]),
    default="own",
    show_default=True,
    help="What a network with a guide gets: each picture's own, a black one, its own 8 pixels off, "
    "or another picture's.",
)
@DEVICE
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="What is computed in.",
)
@click.option(
    "--data",
    multiple=True,
    metavar="PATH",
    help="Training data to look for the test's pictures in; may be given again.  [default: what "
    "the weights name]",
)
@click.option("--strict", is_flag=True, help="Fail if a test picture may have been trained on.")
@click.option("--out", metavar="DIR", help="Folder for JSON, CSV, the page, and submission files.")
@click.option("--overwrite", is_flag=True, help="Replace results that are there.")
def command(**options: Any) -> None:
    """Test a network by a published protocol.

    Pictures are noised, restored and compared by the rules of the protocol; SIDD's benchmark and
    DND become files for their servers.

    \b
    noisegen evaluate runs/adfnet --on cbsd68 --root CBSD68 --sigma 25
    noisegen evaluate runs/adfnet --on polyu --root CroppedImages --out results
    noisegen evaluate adfnet.pth --on sidd-benchmark --root SIDD --out submission
    noisegen evaluate runs/dualdn --on fivek-raw --root FiveK --out results
    """
    from catalogs.sources.roots import Root
    from denoisers.evaluation import report
    from denoisers.evaluation.evaluate import Evaluation
    from denoisers.protocols.base import Asked
    from noisegen.cli.progress import counting

    out = Path(options["out"]) if options["out"] else None
    job = Evaluation.prepare(
        options["model"],
        options["on"],
        Asked(Root(options["root"]), options["sigma"], options["split"], options["demosaic"]),
        device=options["device"],
        tile=options["tile"],
        ensemble=options["self_ensemble"],
        precision=options["precision"],
        bgr=options["bgr"],
        guide=options["guide"],
        data=options["data"],
    )
    job.check_out(out)
    if out is not None:
        report.begin(out, overwrite=options["overwrite"])
    for note in job.cases.notes:
        click.echo(f"note: {note}", err=True)
    with counting("compare with training data", None) as step:
        found = job.look(step, strict=options["strict"])
    for line in found.lines(len(job.cases)):
        click.echo(f"warning: {line}", err=True)
    with counting("evaluate", len(job.cases)) as step:
        result, shown = job.run(found, out, step)
    _show(result)
    if out is not None:
        paths = report.write(result, shown, out)
        for path in (*result.files, *paths):
            click.echo(f"wrote {path}")


def _show(result: "Result") -> None:
    """Print the table, or what was done where there are no figures."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from denoisers.evaluation import report

    if not result.scores:
        click.echo(f"{report.title(result)}: {result.pictures} pictures restored")
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=160)
    columns = report.columns(result)
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=report.title(result))
    grid.title_justify = "left"
    grid.add_column("", no_wrap=True)
    for column in columns:
        grid.add_column(column.title, justify="right")
    pictures = result.scores if len(result.scores) <= ROWS else ()
    for score in pictures:
        grid.add_row(score.name, *(column.text(score.values) for column in columns))
    grid.add_section()
    for mean in (*result.groups, result.mean):
        texts = (column.text(mean.values) for column in columns)
        style = "bold" if mean.name == "mean" else ""
        grid.add_row(f"{mean.name} of {mean.pictures}", *texts, style=style)
    console.print(grid)
