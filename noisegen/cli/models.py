"""``noisegen models``: the networks there are, and how large they are."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from noisegen.cli import facts
from noisegen.cli.options import SETTING

if TYPE_CHECKING:
    from denoisers.base import ModelEntry, Options


@click.command(short_help="List the networks, or show one with its size.")
@click.argument("name", required=False)
@click.option(
    "--set",
    "settings",
    type=SETTING,
    multiple=True,
    help="An option of the network, such as width=64, to see its size; may be given again.",
)
@click.option(
    "--size",
    type=click.IntRange(1),
    default=128,
    show_default=True,
    metavar="N",
    help="Height and width in pixels of the picture that the multiply-adds are for.",
)
def command(name: str | None, settings: tuple[dict[str, Any], ...], size: int) -> None:
    """List the networks, or show all about one.

    MACs are multiply-adds of convolutions, matrix products and dynamic filtering in one forward
    pass.
    """
    import denoisers

    if name is None:
        if settings:
            raise click.UsageError(
                "--set needs the NAME of a network; `noisegen models` lists them"
            )
        pages, broken = denoisers.entries()
        rows = [
            (page.name, variant, *_size(page, page.check(options), size), page.title)
            for page in pages
            for variant, options in page.variants.items()
        ]
        _table(("name", "variant", "parameters", f"MACs at {size}x{size}", ""), rows)
        for line in broken:
            click.echo(f"warning: {line}", err=True)
        return
    page = denoisers.entry(name)
    if settings:
        from pipelines.tables import merged

        chosen: dict[str, Any] = {}
        for setting in settings:
            chosen = merged(chosen, setting)
        options = page.check(chosen)
        parameters, macs = _size(page, options, size)
        told = ", ".join(f"{k} = {v}" for k, v in options.model_dump().items())
        click.echo(f"{name} with {told}: {parameters} parameters, {macs} MACs at {size}x{size}")
        return
    nets = [
        (variant, _changes(options), *_size(page, page.check(options), size))
        for variant, options in page.variants.items()
    ]
    _show(page)
    click.echo()
    _table(("published", "options", "parameters", f"MACs at {size}x{size}"), nets)


def _size(page: "ModelEntry", options: "Options", side: int) -> tuple[str, str]:
    """Return parameters and multiply-adds of a network as texts."""
    from denoisers.complexity import macs, outline, parameters

    network = outline(page, options)
    if side % network.multiple:
        raise click.UsageError(
            f"--size {side}: {page.name} takes sides of multiples of {network.multiple} pixels"
        )
    count = macs(network, *page.shapes(options, side, side))
    return f"{parameters(network):,}", f"{count / 1e9:.2f} G"


def _show(page: "ModelEntry") -> None:
    click.echo(f"{page.name}: {page.title}")
    lines = [
        ("paper", page.paper),
        ("licence", f"of the published weights: {page.licence}"),
        ("takes", ", ".join(page.inputs)),
    ]
    for key, field in page.options.model_fields.items():
        lines.append((key, f"{field.description} [default: {field.default}]"))
    facts.show(lines)


def _changes(options: Any) -> str:
    return ", ".join(f"{k} = {v}" for k, v in options.items()) or "the defaults"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print columns, those of numbers to the right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    right = {i for i, head in enumerate(heads) if head == "parameters" or head.startswith("MACs")}
    for row in (heads, *rows):
        cells = (
            text.rjust(width) if i in right else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        click.echo("  ".join(cells).rstrip())
