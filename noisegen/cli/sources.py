"""``noisegen sources``: the catalogue of sources, and a look at what lies on disk."""

from typing import TYPE_CHECKING

import click

from noisegen.cli import facts

if TYPE_CHECKING:
    from catalogs.sources import Check, SourceEntry


@click.command(short_help="List the data sets, or check one.")
@click.argument("name", required=False)
@click.option(
    "--root",
    metavar="DIR",
    help="Folder or URL to check.  [default: $NOISEGEN_SOURCES/NAME, if it is there]",
)
@click.option("--all", "everything", is_flag=True, help="Read every image, not 32 of them.")
@click.pass_context
def command(ctx: click.Context, name: str | None, root: str | None, everything: bool) -> None:
    """Say where each data set is, its licence and layout; check what is under --root.

    Without NAME all data sets are listed. The exit status is 1 if an image cannot be read.
    """
    from catalogs import sources

    if name is None:
        if root is not None:
            raise click.UsageError(
                "--root needs the NAME of a source; `noisegen sources` lists them"
            )
        found, broken = sources.entries()
        width = max(len(page.name) for page in found)
        for page in found:
            click.echo(f"{page.name:{width}}  {page.title} [{page.licence}]")
        for line in broken:
            click.echo(f"warning: {line}", err=True)
        return
    page = sources.entry(name)
    _show(page)
    where = root if root is not None else sources.default_root(name)
    # A data set that is simply not there yet is no error unless its folder was named.
    if page.needs_root and (where is None or (root is None and not sources.Root(where).exists())):
        click.echo(f"\nTo check a folder: noisegen sources {name} --root DIR")
        return
    checked = sources.check(name, root, None if everything else 32)
    _report(
        checked, where if page.needs_root else None, "images" if page.windows is None else "pairs"
    )
    if checked.unreadable:
        ctx.exit(1)


def _show(page: "SourceEntry") -> None:
    click.echo(f"{page.name}: {page.title}")
    lines = [
        ("licence", page.licence),
        ("get it from", page.url),
        ("size", page.size),
        ("layout", page.layout),
        ("patches", f"{page.default_per_image} an image unless said otherwise"),
    ]
    if page.guides:
        always = f" [default: {page.guide}]" if page.guide else ""
        lines.append(("guide", f"{' or '.join(page.guides)} (--guide){always}"))
    if page.windows is not None:
        patch, stride = page.windows
        ingested = f"of {patch} pixels, every {stride}, by `noisegen ingest {page.name}`"
        lines.append(("windows", ingested))
    if page.ingested is not None:
        noise, patch, count = page.ingested
        lines.append(
            ("noise", f"{noise}; `noisegen ingest {page.name}`: {count} patches of {patch} pixels")
        )
    for key, option in page.options.items():
        choices = f": {', '.join(option.choices)}" if option.choices else ""
        lines.append((key, f"{option.text}{choices} [default: {option.default}]"))
    facts.show(lines)


def _report(checked: "Check", where: str | None, what: str) -> None:
    click.echo(f"\n{where}:" if where is not None else "")
    for split in checked.splits:
        expected = "" if split.expected is None else f" of {split.expected}"
        short = "" if split.expected is None else split.expected - split.found
        missing = f", {short} missing" if short else ""
        click.echo(f"  {split.name:12}{split.found}{expected} {what}{missing}")
    click.echo(f"  {'read':12}{checked.opened} {what}, {len(checked.unreadable)} not readable")
    for line in checked.unreadable:
        click.echo(f"  not readable: {line}")
    for line in checked.skipped:
        click.echo(f"  skipped: {line}")
