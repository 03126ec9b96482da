"""Is a corpus whole, and is it what its recipe makes?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from noisegen import random
from noisegen.errors import DamagedCorpusError, UnreadableFileError
from noisegen.isp.shading import Shading
from pipelines import prepare
from pipelines.corpus import Corpus
from pipelines.develop import Arrays
from pipelines.digest import sample_digest
from pipelines.job import ImageFacts
from pipelines.shard import batches, of_image
from pipelines.store import decode_text, write_chunk


@dataclass(frozen=True)
class Status:
    """How far a corpus is.

    Attributes
    ----------
    shards, finished
        Shards in all, and those that are there.
    damaged
        Shards that were finished and no longer open.
    samples, valid
        Samples in all, and those that are there.
    problems
        (image, line) of each image that could not be used.
    rejected
        Patches that were left out for their picture's own noise.
    """

    shards: int
    finished: int
    damaged: tuple[int, ...]
    samples: int
    valid: int
    problems: tuple[tuple[str, str], ...]
    rejected: int


@dataclass(frozen=True)
class Verification:
    """What :func:`verify` found.

    Attributes
    ----------
    checked
        Shards whose digest was compared.
    damaged
        (shard, what is wrong with it).
    regenerated
        Samples that were made again.
    different
        Those of them that came out otherwise.
    """

    checked: int
    damaged: tuple[tuple[int, str], ...]
    regenerated: tuple[int, ...]
    different: tuple[int, ...]


def status(corpus: Corpus) -> Status:
    """Look at a corpus quickly: no pixels are compared. It may be being made."""
    finished = [int(s) for s in np.flatnonzero(corpus.finished)]
    damaged = [s for s in finished if not corpus.intact(s)] + list(corpus.damaged_entries)
    whole = [s for s in finished if s not in damaged]
    return Status(
        corpus.plan.shards,
        len(whole),
        tuple(sorted(damaged)),
        len(corpus),
        sum(corpus.valid_samples(s) for s in whole),
        tuple(problems(corpus)),
        int(corpus.rejected.sum()),
    )


def problems(corpus: Corpus) -> list[tuple[str, str]]:
    """Return (image, line) of each image that could not be used."""
    lines = decode_text(corpus.reader("images/problem").rows_or_fill(0, corpus.plan.images))
    return [(name, line) for name, line in zip(corpus.images.names, lines, strict=True) if line]


def verify(
    corpus: Corpus,
    *,
    regenerate: int = 0,
    root: str | None = None,
    dark_frames: str | None = None,
    neca_weights: str | None = None,
    forget: bool = False,
    on_shard: Callable[[int], None] | None = None,
) -> Verification:
    """Compare every finished shard with its digest, and make some samples again.

    Parameters
    ----------
    corpus
        The corpus.
    regenerate
        How many valid samples are drawn, made again from the source, and compared.
    root
        Folder or URL of the source, for ``regenerate``.
    dark_frames
        Folder or URL of the dark frames, for ``regenerate``.
    neca_weights
        Folder or file of NeCA's networks, for ``regenerate``.
    forget
        Take damaged shards out of the manifest, so that the next run makes them again.
    on_shard
        Called with the number of each shard that was compared.

    Raises
    ------
    DamagedCorpusError
        If the names, scenes or splits of the images are damaged, which belong to no shard.
    UnreadableFileError
        If the source no longer gives an image whose samples are to be made again.
    """
    corpus.images  # noqa: B018 - read whole, checksums and all
    damaged = [(shard, "its manifest entry is damaged") for shard in corpus.damaged_entries]
    sound = []
    for shard in map(int, np.flatnonzero(corpus.finished)):
        problem = _compare(corpus, shard)
        if problem:
            damaged.append((shard, problem))
        else:
            sound.append(shard)
        if on_shard:
            on_shard(shard)
    if forget:
        spec = corpus.reader("manifest").spec
        for shard, _ in damaged:
            write_chunk(corpus.storage, spec, shard, np.zeros((1, 32), np.uint8))
    again = _choose(corpus, sound, regenerate)
    return Verification(
        len(sound) + len(damaged),
        tuple(sorted(damaged)),
        again,
        _different(corpus, again, root, dark_frames, neca_weights),
    )


def _compare(corpus: Corpus, shard: int) -> str:
    try:
        corpus.read_facts(shard)
        found = corpus.shard_digest(shard)
    except DamagedCorpusError as error:
        return str(error)
    return "" if found == corpus.manifest[shard].tobytes() else "its digest is not the recorded one"


def _choose(corpus: Corpus, shards: list[int], wanted: int) -> tuple[int, ...]:
    """Draw the samples that are made again; the same ones each time."""
    if not wanted or not shards:
        return ()
    valid = np.concatenate(
        [np.asarray(corpus.rows_of(s))[corpus.read_rows(s)["valid"].astype(bool)] for s in shards]
    )
    rng = random.generator(corpus.recipe.seed, random.Stream.VERIFY)
    return tuple(sorted(map(int, rng.choice(valid, min(wanted, len(valid)), replace=False))))


def _different(
    corpus: Corpus,
    samples: tuple[int, ...],
    root: str | None,
    dark_frames: str | None,
    neca_weights: str | None,
) -> tuple[int, ...]:
    if not samples:
        return ()
    job = prepare.job_of(corpus, root, dark_frames, neca_weights)
    wanted, out = set(samples), []
    for shard in sorted({s // corpus.plan.rows_per_shard for s in samples}):
        number, problem, developer = corpus.rows_of(shard).start, "", job.developer
        for item in batches(job, shard):
            if isinstance(item, ImageFacts):
                problem = item.problem
                own = Shading.from_bytes(item.shading) if item.shading else None
                developer = of_image(job, own).developer
                continue
            for patch, rows in enumerate(item.rows):
                for at, row in enumerate(rows):
                    if number in wanted:
                        if item.tiles is None:
                            raise UnreadableFileError(
                                f"sample {number} cannot be made again: "
                                f"{problem or 'its place or its noise is refused now'}"
                            )
                        tile, draw = item.tiles[patch], patch * len(rows) + at
                        fresh = {name: array[draw] for name, array in item.arrays.items()}
                        if not fresh:
                            fresh = developer.sample(row, tile, corpus.window(row))
                        if not _same(corpus, number, row, fresh):
                            out.append(number)
                    number += 1
    return tuple(out)


def _same(corpus: Corpus, sample: int, row: np.void, fresh: Arrays) -> bool:
    stored = corpus[sample]
    return sample_digest(row, fresh) == sample_digest(stored.row, stored.arrays)
