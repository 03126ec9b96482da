"""From a lazy corpus to a stored one, without the source."""

from collections.abc import Iterator
from typing import Any

from noisegen.errors import InputError
from pipelines import picture, prepare, schema
from pipelines import plan as plans
from pipelines.begin import write
from pipelines.build import store
from pipelines.corpus import Corpus
from pipelines.job import Batch, ImageFacts, split
from pipelines.parameters import alike
from pipelines.picture import AnyDeveloper
from pipelines.plan import Plan
from pipelines.store import decode_text, open_store


def materialize(corpus: Corpus, out: str, *, shard_mb: int = 128) -> int:
    """Store what a lazy corpus computes when it is read; go on where an earlier call stopped.

    Parameters
    ----------
    corpus
        A lazy corpus, finished.
    out
        Path or fsspec URL of the stored one.
    shard_mb
        Pixels of a shard before compression, in MB.

    Returns
    -------
    int
        Number of samples that were stored by this call.

    Raises
    ------
    InputError
        If the corpus is stored already.
    CorpusMismatchError
        If something else is at ``out``.
    DamagedCorpusError
        If the corpus is not finished or damaged.
    """
    if not corpus.recipe.lazy:
        raise InputError(f"{corpus.storage.url} is stored already; there is nothing to compute")
    recipe = corpus.recipe.model_copy(update={"lazy": False})
    developer = corpus.equip(picture.developer(recipe, corpus.sensor))
    old = corpus.plan
    size = schema.bytes_per_patch(developer)
    plan = plans.make(recipe, old.images, old.per_image, old.patches, size, shard_mb << 20)
    attributes: dict[str, Any] = {
        **corpus.attributes,
        "recipe": recipe.to_json(),
        "recipe_sha256": recipe.sha256,
        "plan": vars(plan),
    }
    storage = open_store(prepare.absolute(out))
    stored = write(storage, developer, plan, corpus.images, attributes)
    made = 0
    for shard in range(stored.plan.shards):
        if not (stored.finished[shard] and stored.intact(shard)):
            items = _items(corpus, developer, stored.plan, shard)
            made += store(developer, stored.plan, storage, shard, items).samples
    return made


def _items(
    corpus: Corpus, developer: AnyDeveloper, plan: Plan, shard: int
) -> Iterator[ImageFacts | Batch]:
    for piece in plan.pieces(shard):
        yield _facts(corpus, piece.image)
        first = piece.image * plan.per_image + piece.first
        samples = range(first * plan.draws, (first + piece.patches) * plan.draws)
        rows = corpus.checked_rows(samples).reshape(piece.patches, plan.draws)
        for run in alike(rows[:, 0], "valid"):
            if not rows[run.start, 0]["valid"]:
                yield Batch(rows[run], None, {})
                continue
            for within in split(developer, run.stop - run.start):
                part = slice(run.start + within.start, run.start + within.stop)
                stored = corpus.reader(developer.tile.name)
                tiles = stored.rows(first + part.start, first + part.stop)
                sizes = corpus.frame_sizes(rows[part, 0])
                yield Batch(rows[part], tiles, developer.batch(rows[part], tiles, sizes))


def _facts(corpus: Corpus, image: int) -> ImageFacts:
    def value(name: str) -> Any:
        return corpus.reader(f"images/{name}")[image]

    return ImageFacts(
        image,
        int(value("height")),
        int(value("width")),
        value("sha256").tobytes(),
        value("perceptual_hash").tobytes(),
        decode_text(value("problem")[None])[0],
        rejected=int(value("rejected")),
        shading=value("shading").tobytes() if corpus.recipe.shading.kept_bytes else b"",
    )
