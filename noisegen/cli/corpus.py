"""Commands on a corpus: status, verify, digest, recipe, materialize."""

import click

STORE = click.argument("store", metavar="X.zarr")


@click.command(short_help="Finished, missing, damaged: how far a corpus is.")
@STORE
def status(store: str) -> None:
    """Tell how far a corpus is; it may be being made."""
    import pipelines
    from pipelines import check

    corpus = pipelines.open(store)
    found = check.status(corpus)
    recipe = corpus.recipe
    click.echo(f"{store}: {found.valid} of {found.samples} samples")
    click.echo(f"source {recipe.source}, camera {recipe.camera}, noise {recipe.noise}")
    stage = recipe.stage + (", lazy" if recipe.lazy else "")
    click.echo(f"stage {stage}, patch {recipe.patch}, recipe {recipe.sha256[:12]}")
    missing = found.shards - found.finished - len(found.damaged)
    click.echo(
        f"shards: {found.finished} finished, {missing} missing, {len(found.damaged)} damaged"
        + (f" ({', '.join(map(str, found.damaged))})" if found.damaged else "")
    )
    if found.rejected:
        click.echo(f"left out for their own noise: {found.rejected} patches")
    for _, line in found.problems:
        click.echo(f"not usable: {line}")


@click.command(short_help="Compare every shard with its digest.")
@STORE
@click.option(
    "--regenerate",
    type=click.IntRange(0),
    default=0,
    metavar="K",
    help="Make K samples again from the source and compare them.",
)
@click.option("--root", metavar="DIR", help="Folder or URL of the source, for --regenerate.")
@click.option(
    "--dark-frames", metavar="DIR", help="Folder or URL of the dark frames, for --regenerate."
)
@click.option(
    "--neca-weights", metavar="DIR", help="NeCA's networks, for --regenerate (docs/neca.md)."
)
@click.option(
    "--forget",
    is_flag=True,
    help="Forget damaged shards, so that the next synthesize makes them again.",
)
def verify(
    store: str,
    regenerate: int,
    root: str | None,
    dark_frames: str | None,
    neca_weights: str | None,
    forget: bool,
) -> None:
    """Compare every finished shard with its digest; exit with 1 if one is damaged."""
    import pipelines
    from noisegen.errors import DamagedCorpusError
    from pipelines import check

    corpus = pipelines.open(store)
    found = check.verify(
        corpus,
        regenerate=regenerate,
        root=root,
        dark_frames=dark_frames,
        neca_weights=neca_weights,
        forget=forget,
    )
    for shard, problem in found.damaged:
        click.echo(f"shard {shard}: {problem}")
    for sample in found.different:
        click.echo(f"sample {sample}: made again, it came out otherwise")
    missing = corpus.plan.shards - found.checked
    click.echo(
        f"{found.checked} shards compared, {len(found.damaged)} damaged, {missing} missing; "
        f"{len(found.regenerated)} samples made again, {len(found.different)} different"
    )
    if found.damaged or found.different:
        remedy = (
            "run the same synthesize to make them again"
            if forget
            else "noisegen verify --forget, then the same synthesize, makes damaged shards again"
        )
        raise DamagedCorpusError(f"{store} is not what was written: {remedy}")


@click.command(short_help="One hash of a corpus's content.")
@STORE
def digest(store: str) -> None:
    """Print one hash of all samples, on the last line.

    It does not depend on shards, compression, or on what a lazy corpus computes when it is read.
    """
    import pipelines

    corpus = pipelines.open(store)
    found = corpus.digest().hex()
    click.echo(f"{store}: {len(corpus.valid)} samples")
    click.echo(found)


@click.command(short_help="Print the recipe that makes a corpus again.")
@click.argument("store", metavar="[X.zarr]", required=False)
@click.option("--json-schema", is_flag=True, help="Print the JSON Schema of recipes instead.")
def recipe(store: str | None, json_schema: bool) -> None:
    """Print the recipe of a corpus as TOML, for synthesize --recipe."""
    import json

    if json_schema:
        from pipelines.recipe import json_schema as schema

        click.echo(json.dumps(schema(), indent=2))
        return
    if store is None:
        raise click.UsageError("give a corpus, or --json-schema")
    import pipelines

    click.echo(pipelines.open(store).recipe.to_toml(), nl=False)


@click.command(short_help="Store what a lazy corpus computes.")
@STORE
@click.option("--out", required=True, metavar="Y.zarr", help="Store to write: a path or a URL.")
def materialize(store: str, out: str) -> None:
    """Make a stored corpus of a lazy one; the source is not needed."""
    import pipelines
    from pipelines.materialize import materialize as run

    made = run(pipelines.open(store), out)
    click.echo(f"{out}: {made} samples stored")
