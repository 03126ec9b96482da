"""``noisegen inspect``: look at a corpus."""

import click


@click.command(short_help="Draw a contact sheet with the measured noise.")
@click.argument("store", metavar="X.zarr")
@click.option("--out", required=True, metavar="SHEET.png", help="Picture to write.")
def command(store: str, out: str) -> None:
    """Draw samples at 1:1 (clean, noisy, difference) and the noise against the model's."""
    import pipelines
    from pipelines.sheet import contact_sheet

    curves = contact_sheet(pipelines.open(store), out)
    for curve in curves:
        click.echo(f"{curve.name}: measured variance is {curve.ratio:.3f} of the model's")
    click.echo(f"wrote {out}")
