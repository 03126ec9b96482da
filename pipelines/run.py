"""Making a corpus: what is missing is made, by this process or by Dask, and nothing twice."""

import functools
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

import noisegen
import noisegen.random
from catalogs import sources
from noisegen.errors import CorpusMismatchError, InputError, NoisegenError, RunError
from pipelines import prepare, schema
from pipelines import recipe as recipes
from pipelines.build import ShardSummary, build, write_image_names
from pipelines.corpus import Corpus
from pipelines.execution import run
from pipelines.recipe import Recipe
from pipelines.shard import Job
from pipelines.store import (
    MARK,
    ArraySpec,
    Storage,
    clean_partials,
    create,
    encode_text,
    open_store,
    read_attributes,
    remove,
)

EXAMPLES = 3
"""How many unusable images an error names."""


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


def dry_run(recipe: Recipe, *, root: str | None = None, shard_mb: int = 64) -> DryRun:
    """Plan a corpus and write nothing."""
    job = prepare.new_job(prepare.resolve(recipe), root, shard_mb)
    patch_bytes = schema.bytes_per_patch(job.developer)
    plan = job.plan
    return DryRun(
        job.recipe,
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
    part: tuple[int, int] = (1, 1),
    max_bad: float = 0.01,
    overwrite: bool = False,
    shard_mb: int = 64,
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
    recipe = prepare.resolve(recipe)
    path, root = prepare.absolute(str(out)), prepare.absolute(root) if root else None
    storage = open_store(path)
    job = _begin(storage, recipe, root, overwrite, shard_mb)
    clean_partials(storage)
    corpus = Corpus(storage)
    shards = range(part[0] - 1, corpus.plan.shards, part[1])
    images = {piece.image for s in shards for piece in corpus.plan.pieces(s)}
    pending = [s for s in shards if not (corpus.finished[s] and corpus.intact(s))]
    problems = _recorded(corpus, set(shards) - set(pending))
    if _too_many(problems, images, max_bad):
        # An earlier run stopped here: images that were mended since are used now.
        again = {s for s in shards if any(p.image in problems for p in corpus.plan.pieces(s))}
        pending, problems = sorted(again | set(pending)), {}
    total = sum(len(corpus.rows_of(s)) for s in shards)
    left = sum(len(corpus.rows_of(s)) for s in pending)
    made: list[ShardSummary] = []
    task = (
        functools.partial(_make_shard, path, root, recipe.sha256)
        if client
        else functools.partial(build, job, storage)
    )
    for summary in run(task, pending, client):
        made.append(summary)
        problems |= {image: (line, mistake) for image, line, mistake in summary.problems}
        if _too_many(problems, images, max_bad):
            raise _unusable(problems, len(images), max_bad)
        if on_shard:
            done = total - left + sum(len(corpus.rows_of(m.shard)) for m in made)
            on_shard(_progress(made, done, total, start))
    after = Corpus(storage)
    return Summary(
        path=str(out),
        samples=int(sum(after.read_rows(s)["valid"].sum() for s in shards)),
        planned=total,
        made=sum(m.samples for m in made),
        bytes=sum(m.bytes for m in made),
        seconds=time.perf_counter() - start,
        finished=bool(after.finished.all()),
        problems=tuple((job.images[i].name, line) for i, (line, _) in sorted(problems.items())),
        warnings=_warnings(job),
    )


def _begin(
    storage: Storage, recipe: Recipe, root: str | None, overwrite: bool, shard_mb: int
) -> Job:
    """Return the job of the corpus that is there, or begin one."""
    existing = storage.read("zarr.json") is not None and read_attributes(storage)[MARK]
    if existing and existing.get("recipe_sha256") != recipe.sha256:
        if not overwrite:
            difference = _difference(existing, recipe)
            raise CorpusMismatchError(
                f"{storage.url}: holds a corpus of another recipe ({difference}); "
                "choose another --out, or --overwrite to replace it"
            )
        remove(storage)
        existing = None
    if existing:
        corpus = Corpus(storage)
        if storage.read(corpus.reader("images/split").spec.key(0)) is not None:
            return prepare.job_of(corpus, root)
    job = prepare.new_job(recipe, root, shard_mb)
    names, scenes = [ref.name for ref in job.images], [ref.scene for ref in job.images]
    widths = (encode_text(names).shape[1], encode_text(scenes).shape[1])
    specs: list[ArraySpec] = [
        *schema.pixel_specs(job.developer, job.plan),
        *schema.metadata_specs(job.plan).values(),
        *schema.name_specs(job.plan, *widths),
    ]
    create(storage, specs, {MARK: _attributes(job)})
    corpus = Corpus(storage)
    if corpus.recipe.sha256 != recipe.sha256 or corpus.plan.images != job.plan.images:
        raise CorpusMismatchError(
            f"{storage.url}: another recipe was begun here at the same time; choose another --out"
        )
    write_image_names(storage, names, scenes, prepare.splits(scenes))
    return prepare.job_of(Corpus(storage), root)


def _attributes(job: Job) -> dict[str, Any]:
    plan, entry = job.plan, sources.entry(job.recipe.source)
    camera = job.camera
    return {
        "schema": recipes.SCHEMA,
        "recipe": job.recipe.to_json(),
        "recipe_sha256": job.recipe.sha256,
        "plan": vars(plan),
        "sensor": job.developer.sensor.to_json(),
        "source": {"name": entry.name, "title": entry.title, "licence": entry.licence},
        "camera": {
            "name": job.recipe.camera,
            "title": camera.title if camera else "each file's own figures",
            "figures": camera.figures if camera else "declared",
            "licence": camera.licence if camera else "the files' own",
        },
        "warnings": list(_warnings(job)),
        "versions": {"noisegen": noisegen.__version__, "numpy": np.__version__},
    }


def _warnings(job: Job) -> tuple[str, ...]:
    """Return what the camera has to say about the extremes of the setting that was asked for."""
    if job.camera is None:
        return ()
    recipe = job.recipe
    found: dict[str, None] = {}
    for end in (0, 1):
        setting = {
            name: None if value is None else recipes.ends(value)[end]
            for name, value in (("iso", recipe.iso), ("gain", recipe.gain))
        }
        rng = noisegen.random.generator(recipe.seed, noisegen.random.Stream.CAMERA)
        state = job.camera.draw(rng, model=job.developer.sensor.model, **setting)
        found |= dict.fromkeys(state.warnings)
    return tuple(found)


def _difference(existing: dict[str, Any], recipe: Recipe) -> str:
    old, new = recipes.json_data(existing["recipe"]), recipes.json_data(recipe.to_json())
    keys = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
    key = next((k for k in keys if k != "camera_file"), keys[0] if keys else "schema")
    return f"{key} is {old.get(key)!r} there, {new.get(key)!r} here"


def _make_shard(path: str, root: str | None, recipe_sha256: str, shard: int) -> ShardSummary:
    """Make a shard in a worker, which opens corpus and source for itself."""
    corpus, job = prepare.opened(path, root, recipe_sha256)
    return build(job, corpus.storage, shard)


def _recorded(corpus: Corpus, shards: set[int]) -> dict[int, tuple[str, bool]]:
    """Return the problems of images in finished shards."""
    return {
        image: (line, False)
        for shard in sorted(shards)
        for image, line in corpus.read_facts(shard).items()
        if line
    }


def _too_many(problems: Collection[int], images: Collection[int], max_bad: float) -> bool:
    return len(problems) > max_bad * len(images) or len(problems) == len(images)


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
