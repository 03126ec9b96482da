"""Making a corpus: what is missing is made, by this process or by Dask, and nothing twice."""

import contextlib
import functools
import time
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from noisegen.errors import InputError, NoisegenError, RunError
from pipelines import neca, prepare, schema, source_noise, unprocessing
from pipelines.begin import begin
from pipelines.build import ShardSummary, build
from pipelines.corpus import Corpus
from pipelines.execution import check_resources, run
from pipelines.recipe import Recipe
from pipelines.store import clean_partials, open_store, remove, write_chunk

EXAMPLES = 3
"""How many unusable images an error names."""

Roots = tuple[str | None, str | None, str | None]
"""Folders or URLs of the source, of the dark frames and of NeCA's networks."""


@dataclass(frozen=True)
class Progress:
    """How far a run is: samples done and in all, pixels and seconds of this run."""

    done: int
    total: int
    made: int
    pixels: int
    seconds: float

    def rates(self) -> str:
        """Return samples and megapixels a second, as text."""
        seconds = max(self.seconds, 1e-9)
        return f"{self.made / seconds:,.0f} samples/s, {self.pixels / seconds / 1e6:.1f} MP/s"

    def eta(self) -> float:
        """Return the seconds that are left at this pace."""
        return (self.total - self.done) * self.seconds / max(self.made, 1)


@dataclass(frozen=True)
class Summary:
    """What a run did, and what the corpus now holds.

    Attributes
    ----------
    path
        The corpus.
    samples
        Samples that this run's part of the corpus now holds, of ``planned``.
    made
        Samples made by this run.
    bytes
        Bytes written by this run.
    seconds
        Wall time of this run.
    finished
        Whether no shard of the whole corpus is missing.
    problems
        (image, line) of each image of this run's part that could not be used.
    warnings
        What the user should know about the figures that were used.
    rejected
        (image, patches) of each image of this run's part that is too noisy itself for some of its
        patches, and how many of them are left out.
    """

    path: str
    samples: int
    planned: int
    made: int
    bytes: int
    seconds: float
    finished: bool
    problems: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    rejected: tuple[tuple[str, int], ...]

    def text(self) -> str:
        """Return the summary as lines for people."""
        rate = self.made / max(self.seconds, 1e-9)
        lines = [
            f"{self.path}: {self.samples} of {self.planned} samples"
            + ("" if self.finished else "; other shards are not made yet"),
            f"made {self.made} in {self.seconds:.1f} s ({rate:,.0f}/s), {self.bytes / 1e6:.1f} MB"
            if self.made
            else "nothing was missing",
        ]
        lines += [f"warning: {line}" for line in self.warnings]
        if self.rejected:
            patches = sum(count for _, count in self.rejected)
            lines.append(
                f"left out: {patches} patches of {len(self.rejected)} images, which are too noisy "
                "themselves (docs/source-noise.md)"
            )
            lines += [f"  {name}: {count} patches" for name, count in self.rejected[:EXAMPLES]]
            if len(self.rejected) > EXAMPLES:
                lines.append(f"  and {len(self.rejected) - EXAMPLES} more images")
        if self.problems:
            lines.append(f"images that could not be used: {len(self.problems)}")
            lines += [f"  {line}" for _, line in self.problems]
        return "\n".join(lines)


@dataclass(frozen=True)
class DryRun:
    """What a run would make."""

    recipe: Recipe
    images: int
    samples: int
    shards: int
    bytes: int
    shard_bytes: int

    def text(self) -> str:
        """Return the plan as lines for people."""
        return "\n".join(
            (
                f"source {self.recipe.source}: {self.images} images",
                f"camera {self.recipe.camera}, noise {self.recipe.noise}",
                f"samples: {self.samples} of {self.recipe.patch} x {self.recipe.patch}",
                f"stage {self.recipe.stage}{', lazy' if self.recipe.lazy else ''}",
                f"shards: {self.shards} of up to {self.shard_bytes / 1e6:.1f} MB",
                f"pixels before compression: {self.bytes / 1e6:.1f} MB",
                f"memory of a worker: about {self.shard_bytes / 1e6 + 300:.0f} MB and one frame",
            )
        )


def dry_run(
    recipe: Recipe,
    *,
    root: str | None = None,
    dark_frames: str | None = None,
    neca_weights: str | None = None,
    shard_mb: int = 128,
) -> DryRun:
    """Plan a corpus and write nothing."""
    root, dark = prepare.absolute_or_none(root), prepare.absolute_or_none(dark_frames)
    recipe, networks = neca.of_folder(recipe, prepare.absolute_or_none(neca_weights))
    resolved = prepare.resolve(recipe, dark, networks)
    made = prepare.layout(resolved, root, shard_mb, dark, networks)
    patch_bytes = schema.bytes_per_patch(made.developer)
    plan = made.plan
    return DryRun(
        made.developer.recipe,
        plan.images,
        plan.samples,
        plan.shards,
        patch_bytes * plan.patches,
        patch_bytes * plan.patches_per_shard,
    )


def synthesize(
    recipe: Recipe,
    out: str,
    client: Any | None = None,
    *,
    root: str | None = None,
    dark_frames: str | None = None,
    neca_weights: str | None = None,
    part: tuple[int, int] = (1, 1),
    max_bad: float = 0.01,
    overwrite: bool = False,
    shard_mb: int = 128,
    on_shard: Callable[[Progress], None] | None = None,
) -> Summary:
    """Make a corpus, or what is missing of it.

    Parameters
    ----------
    recipe
        What is made.
    out
        Path or fsspec URL of the store.
    client
        A ``distributed.Client`` whose workers make the shards; None: this process does.
    root
        Folder or URL of the source; None: its default.
    dark_frames
        Folder or URL of dark frames, which stand for read noise; None: the model draws it.
    neca_weights
        Folder or file of NeCA's networks; None: the camera's own.
    part
        ``(i, n)`` makes every n-th shard from the i-th on, i from 1 to n. All parts make one store
        and may run at the same time.
    max_bad
        Share of the images that may be unusable, from 0 to 1.
    overwrite
        Replace a corpus that another recipe made.
    shard_mb
        Pixels of a shard before compression, in MB; an existing corpus keeps its own.
    on_shard
        Called after each shard.

    Returns
    -------
    Summary
        What was done.

    Raises
    ------
    InputError
        If the recipe, the source or the store is not what it should be.
    RunError
        If too many images were unusable, or the store could not be written.
    """
    start = time.perf_counter()
    if not 1 <= part[0] <= part[1]:
        raise InputError(f"part {part[0]} of {part[1]}: give i from 1 to n")
    if not 0 <= max_bad <= 1:
        raise InputError(f"max_bad {max_bad}: a share from 0 to 1")
    if not str(out):
        raise InputError("out is empty: give the path or URL of the store")
    path, root = prepare.absolute(str(out)), prepare.absolute_or_none(root)
    dark = prepare.absolute_or_none(dark_frames)
    recipe, networks = neca.of_folder(recipe, prepare.absolute_or_none(neca_weights))
    recipe = prepare.resolve(recipe, dark, networks)
    if client is not None:
        check_resources(client, neca.resources(recipe))
    if client is not None and path.startswith("memory:"):
        raise InputError(
            f"{out} lives in this process's memory, where no worker can write: use a path"
        )
    storage = open_store(path)
    begun = begin(storage, recipe, root, overwrite, shard_mb, dark, networks)
    clean_partials(storage)
    corpus = begun.corpus
    shards = range(part[0] - 1, corpus.plan.shards, part[1])
    pending, problems = _pending(corpus, shards, max_bad)
    total = sum(len(corpus.rows_of(s)) for s in shards)
    left = sum(len(corpus.rows_of(s)) for s in pending)
    made: list[ShardSummary] = []
    roots = (root, dark, networks)
    with contextlib.closing(_work(corpus, path, roots, client, pending)) as work:
        for summary in work:
            made.append(summary)
            problems |= {image: (line, mistake) for image, line, mistake in summary.problems}
            if _too_many(problems, corpus.plan.images, max_bad):
                if begun.new and part == (1, 1) and not any(m.samples for m in made):
                    remove(storage)  # a corpus of nothing would be in the way of the next try
                raise _unusable(problems, corpus.plan.images, max_bad)
            if on_shard:
                done = total - left + sum(len(corpus.rows_of(m.shard)) for m in made)
                on_shard(_progress(made, done, total, start))
    # A killed client's workers may have lived on when this run began.
    clean_partials(storage)
    after = Corpus(storage)
    samples = sum(after.valid_samples(s) for s in shards)
    rejected = _rejected(after, shards)
    if not samples and after.finished.all() and not _holds_any(after):
        error = _none_left(after, _recorded(after, set(range(after.plan.shards))))
        if begun.new and part == (1, 1):
            remove(storage)
        raise error
    return Summary(
        path=str(out),
        samples=samples,
        planned=total,
        made=sum(m.samples for m in made),
        bytes=sum(m.bytes for m in made),
        seconds=time.perf_counter() - start,
        finished=bool(after.finished.all()),
        problems=tuple((corpus.images.names[i], line) for i, (line, _) in sorted(problems.items())),
        warnings=_warnings(corpus, begun.skipped, made),
        rejected=rejected,
    )


def _pending(
    corpus: Corpus, shards: range, max_bad: float
) -> tuple[list[int], dict[int, tuple[str, bool]]]:
    """Return the shards to make, and what is wrong with images of the others.

    An entry of the manifest is taken back before its shard is made again, so that it never stands
    for half of it.
    """
    pending = [s for s in shards if not (corpus.finished[s] and corpus.intact(s))]
    problems = _recorded(corpus, set(shards) - set(pending))
    if _too_many(problems, corpus.plan.images, max_bad):
        # An earlier run stopped here: images that were mended since are used now.
        again = {s for s in shards if any(p.image in problems for p in corpus.plan.pieces(s))}
        pending, problems = sorted(again | set(pending)), {}
    spec = corpus.reader("manifest").spec
    for shard in pending:
        if corpus.finished[shard] or shard in corpus.damaged_entries:
            write_chunk(corpus.storage, spec, shard, np.zeros((1, 32), np.uint8))
    return pending, problems


def _work(
    corpus: Corpus, path: str, roots: Roots, client: Any | None, pending: list[int]
) -> Generator[ShardSummary, None, None]:
    """Make shards, here or in workers; a finished corpus does not ask for its source."""
    if not pending:
        return
    task: Callable[[int], ShardSummary | NoisegenError]
    if client is None:
        task = functools.partial(build, prepare.job_of(corpus, *roots), corpus.storage)
    else:
        task = functools.partial(_make_shard, path, roots, corpus.identity())
    resources = neca.resources(corpus.recipe)
    with contextlib.closing(run(task, pending, client, resources)) as results:
        for result in results:
            if isinstance(result, NoisegenError):
                raise result
            yield result


def _make_shard(path: str, roots: Roots, identity: str, shard: int) -> ShardSummary | NoisegenError:
    """Make a shard in a worker, which opens corpus and source for itself.

    An expected error is returned, not raised: Dask would try it again and print its traceback.
    """
    try:
        corpus, job = prepare.opened(path, *roots, identity)
        return build(job, corpus.storage, shard)
    except NoisegenError as error:
        return error


def _recorded(corpus: Corpus, shards: set[int]) -> dict[int, tuple[str, bool]]:
    """Return the problems of images in finished shards."""
    return {
        image: (line, False)
        for shard in sorted(shards)
        for image, line in corpus.read_facts(shard).items()
        if line
    }


def _warnings(
    corpus: Corpus, skipped: tuple[str, ...], made: list[ShardSummary]
) -> tuple[str, ...]:
    lines = list(dict.fromkeys(line for summary in made for line in summary.warnings))
    more = (f"and {len(lines) - EXAMPLES} more images",) if len(lines) > EXAMPLES else ()
    kinds = {kind for summary in made for kind in summary.kinds}
    recipe = corpus.recipe
    found = (
        unprocessing.unused(recipe.unprocess, kinds),
        source_noise.unused(recipe.source_noise, kinds),
    )
    once = (*corpus.attributes["warnings"], *skipped, *(line for line in found if line))
    return (*once, *lines[:EXAMPLES], *more)


def _rejected(corpus: Corpus, shards: range) -> tuple[tuple[str, int], ...]:
    """Return (image, patches left out for its own noise) of the images of some shards."""
    counts = corpus.rejected
    if not counts.any():
        return ()
    images = {piece.image for shard in shards for piece in corpus.plan.pieces(shard)}
    return tuple((corpus.images.names[i], int(counts[i])) for i in sorted(images) if counts[i])


def _holds_any(corpus: Corpus) -> bool:
    return any(corpus.valid_samples(shard) for shard in range(corpus.plan.shards))


def _none_left(corpus: Corpus, unusable: Collection[int]) -> InputError:
    """Return the error of a corpus whose patches are all left out: by what, and what would help."""
    recipe, plan, counts = corpus.recipe, corpus.plan, corpus.rejected
    noisy, setting = int((counts > 0).sum()), "--gain" if recipe.gain is not None else "--iso"
    source = (
        f"the own noise of {noisy} raw file{'s' * (noisy > 1)} is more than "
        f"{recipe.source_noise.max_share:g} of that of camera {recipe.camera}; raise {setting}, or "
        "use --source-noise top-up, bin2 or ignore"
    )
    unfit = plan.patches - int(counts.sum()) - sum(map(plan.patches_of_image, unusable))
    select = (
        f"no place for {unfit} patches keeps to select.min_mean ({recipe.select.min_mean:g}) and "
        f"select.max_clipped ({recipe.select.max_clipped:g}); change them, or raise "
        "select.candidates"
    )
    if not noisy:
        return InputError(f"select: no patch is left; {select}")
    return InputError(f"source_noise: no patch is left; {source}" + f"; {select}" * (unfit > 0))


def _too_many(problems: Collection[int], images: int, max_bad: float) -> bool:
    return len(problems) > max_bad * images or len(problems) == images


def _unusable(problems: dict[int, tuple[str, bool]], images: int, max_bad: float) -> NoisegenError:
    lines = "; ".join(line for line, _ in list(problems.values())[:EXAMPLES])
    share = f"{len(problems)} of {images} images could not be used"
    remedy = (
        "nothing usable is left"
        if len(problems) == images
        else f"more than --max-bad {max_bad:g}; raise it or mend them"
    )
    mistake = all(mistake for _, mistake in problems.values())
    return (InputError if mistake else RunError)(f"{share}, {remedy}: {lines}")


def _progress(made: list[ShardSummary], done: int, total: int, start: float) -> Progress:
    return Progress(
        done,
        total,
        sum(m.samples for m in made),
        sum(m.pixels for m in made),
        time.perf_counter() - start,
    )
