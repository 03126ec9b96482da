"""``noisegen inspect``: look at a corpus."""

import click


@click.command(short_help="Show samples and their measured noise: a page or a contact sheet.")
@click.argument("store", metavar="X.zarr")
@click.option(
    "--out",
    required=True,
    metavar="REPORT.html|SHEET.png",
    help="Page or picture to write.",
)
@click.option(
    "--neca-weights", metavar="DIR", help="NeCA's networks, for the curve of the noise they made."
)
def command(store: str, out: str, neca_weights: str | None) -> None:
    """Show samples at 1:1 (clean, noisy, difference) and the noise against the model's.

    A page (.html) holds, besides, correlations, spectra, histograms of what was drawn, and the
    recipe with its licences; anything else is a contact sheet in PNG.
    """
    import pipelines

    corpus = pipelines.open(store)
    if out.lower().endswith((".html", ".htm")):
        from pipelines.reports.inspect import inspect_page
        from pipelines.reports.page import write

        html, curves = inspect_page(corpus, neca_weights)
        write(out, html)
    else:
        from pipelines.sheet import contact_sheet

        curves = contact_sheet(corpus, out, neca_weights)
    for curve in curves:
        click.echo(curve.text())
    click.echo(f"wrote {out}")
