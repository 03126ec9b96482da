"""Writing one shard of a corpus: pixels first, then parameters and images, the manifest last."""

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines import digest, parameters
from pipelines.job import Batch, ImageFacts, Job
from pipelines.picture import AnyDeveloper
from pipelines.plan import Plan
from pipelines.schema import PROBLEM_BYTES, metadata_specs, pixel_specs
from pipelines.shard import batches
from pipelines.store import (
    ArraySpec,
    ShardBuilder,
    Storage,
    encode_text,
    write_chunk,
)

CACHED = 1 << 20
"""Bytes of samples that are encoded and hashed together: they are read twice while in cache."""

Specs = Mapping[str, ArraySpec]
"""The arrays beside the pixels, by name."""


@dataclass(frozen=True)
class ShardSummary:
    """What became of one shard; small enough to go through a scheduler.

    Attributes
    ----------
    shard
        Its number.
    samples
        Valid samples in it.
    pixels
        Pixels of these samples (of one array).
    bytes
        Bytes written.
    seconds
        Time it took.
    problems
        (image, line, whether the user can mend it) of images that could not be used.
    warnings
        Where the camera's figures were stretched for one of its images.
    kinds
        Kinds of its images that were used.
    """

    shard: int
    samples: int
    pixels: int
    bytes: int
    seconds: float
    problems: tuple[tuple[int, str, bool], ...]
    warnings: tuple[str, ...]
    kinds: frozenset[str]


def build(job: Job, storage: Storage, shard: int) -> ShardSummary:
    """Make a shard of a job and store it."""
    return store(job.developer, job.plan, storage, shard, batches(job, shard))


def store(
    developer: AnyDeveloper,
    plan: Plan,
    storage: Storage,
    shard: int,
    items: Iterable[ImageFacts | Batch],
) -> ShardSummary:
    """Store a shard.

    The manifest's entry is written when all else is in place: a shard counts only with it, so a
    killed run leaves no half truth.

    Parameters
    ----------
    developer, plan
        Of the corpus that is written.
    storage, shard
        Where it goes.
    items
        The facts of each of the shard's images, each followed by its patches.
    """
    start = time.perf_counter()
    specs = pixel_specs(developer, plan)
    # Zeros stand in for samples that could not be made: every chunk of a shard is there.
    blank = {spec.name: np.zeros(spec.chunk, spec.stored) for spec in specs}
    lazy = developer.tile.name if developer.recipe.lazy else None
    facts: list[ImageFacts] = []
    rows: list[bytes] = []
    digests: list[bytes] = []
    with contextlib.ExitStack() as stack:
        builders = {s.name: stack.enter_context(ShardBuilder(storage, s, shard)) for s in specs}
        for item in items:
            if isinstance(item, ImageFacts):
                facts.append(item)
                continue
            rows.append(item.rows.tobytes())
            digests += _store(item, builders, blank, lazy)
        written = sum(builder.finish() for builder in builders.values())
    table = parameters.table(b"".join(rows))
    beside = metadata_specs(plan, developer.recipe.shading.kept_bytes)
    written += _write_parameters(storage, beside, table, shard)
    written += _write_images(storage, beside, plan.images_per_shard, facts)
    manifest = beside["manifest"]
    entry = np.frombuffer(digest.combined(digests), np.uint8)[None]
    written += write_chunk(storage, manifest, shard, entry)
    valid = int(table["valid"].sum())
    return ShardSummary(
        shard,
        valid,
        valid * developer.recipe.patch**2,
        written,
        time.perf_counter() - start,
        tuple((f.image, f.problem, f.user_mistake) for f in facts if f.problem),
        tuple(line for fact in facts for line in fact.warnings),
        frozenset(fact.kind for fact in facts if fact.kind),
    )


def _store(
    batch: Batch,
    builders: dict[str, ShardBuilder],
    blank: dict[str, npt.NDArray[np.generic]],
    lazy: str | None,
) -> Iterator[bytes]:
    """Add a batch to the shard's arrays and return the digests of its samples.

    ``lazy`` names the array of tiles of a lazy corpus.
    """
    arrays, draws = batch.arrays, 1
    if lazy is not None:
        # The patch's tile counts once, with its first draw.
        arrays, draws = {} if batch.tiles is None else {lazy: batch.tiles}, batch.rows.shape[1]
    rows = batch.rows.reshape(-1, draws)
    step = max(1, CACHED * len(rows) // max(1, sum(array.nbytes for array in arrays.values())))
    for first in range(0, len(rows), step):
        some = rows[first : first + step]
        own = {name: array[first : first + step] for name, array in arrays.items()}
        for name, builder in builders.items():
            for chunks in [own[name]] if own else [blank[name]] * len(some):
                builder.add(chunks)
        digests = digest.sample_digests(some[:, 0], own)
        if draws == 1:
            yield from digests
            continue
        for patch, first_draw in zip(some, digests, strict=True):
            yield first_draw
            yield from digest.sample_digests(patch[1:], {})


def _write_parameters(
    storage: Storage, specs: Specs, table: npt.NDArray[np.void], shard: int
) -> int:
    return sum(
        write_chunk(
            storage,
            specs[f"params/{parameter.name}"],
            shard,
            np.ascontiguousarray(table[parameter.name]),
        )
        for parameter in parameters.PARAMETERS
    )


def _write_images(storage: Storage, specs: Specs, own: int, facts: list[ImageFacts]) -> int:
    """Write the rows of the shard's images, a chunk of them at a time.

    Shards that share an image write the same bytes.
    """
    columns: dict[str, npt.NDArray[Any]] = {
        "height": np.array([fact.height for fact in facts], np.uint32),
        "width": np.array([fact.width for fact in facts], np.uint32),
        "rejected": np.array([fact.rejected for fact in facts], np.uint32),
        "sha256": _bytes([fact.sha256 for fact in facts]),
        "perceptual_hash": _bytes([fact.perceptual_hash for fact in facts]),
        "problem": encode_text([_short(fact.problem) for fact in facts], PROBLEM_BYTES),
    }
    if (kept := specs.get("images/shading")) is not None:
        width = kept.shape[1]
        columns["shading"] = _bytes([fact.shading.ljust(width, b"\0") for fact in facts])
    return sum(
        write_chunk(storage, specs[f"images/{name}"], facts[at].image // own, rows[at : at + own])
        for name, rows in columns.items()
        for at in range(0, len(facts), own)
    )


def _bytes(rows: list[bytes]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)


def _short(line: str) -> str:
    return (
        line.encode("utf-8", "backslashreplace")[:PROBLEM_BYTES]
        .decode(errors="ignore")
        .replace("\0", "")
    )
