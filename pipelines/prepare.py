"""From a recipe to a job: names looked up, everything checked before a byte is written."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catalogs import cameras, sources
from catalogs.camera import Camera
from catalogs.sources import ImageRef, PairRef, Source
from noisegen.errors import CorpusMismatchError, InputError, MissingDataError
from noisegen.sensor import BodyFigures
from noisegen.sensor import models as noise_models
from noisegen.sensor.body import TERMS
from pipelines import dark_folder, ingest, neca, picture, unprocessing
from pipelines import plan as plans
from pipelines.corpus import Corpus
from pipelines.develop import Developer, Sensor
from pipelines.job import Job
from pipelines.neca import NecaDeveloper
from pipelines.picture import AnyDeveloper
from pipelines.plan import Plan
from pipelines.recipe import Recipe
from pipelines.schema import SPLITS, bytes_per_patch
from pipelines.tables.body import Body
from pipelines.tables.source_noise import SourceNoise

VAL, TEST = 10, 10
"""Percent of the scenes in the splits "val" and "test"; the others are "train"."""


def resolve(
    recipe: Recipe, dark_frames: str | None = None, neca_weights: str | None = None
) -> Recipe:
    """Return the recipe with its camera's file inside, its noise model, dark frames and networks
    named.

    A resolved recipe means the same on every machine and in every later version of the catalog's
    defaults.

    Parameters
    ----------
    recipe
        The recipe.
    dark_frames
        Folder or URL of the dark frames, where it draws from some.
    neca_weights
        Folder or file of NeCA's networks, where it draws with some.

    Raises
    ------
    NoisegenError
        If a name is unknown or the camera cannot give what is asked for.
    """
    if recipe.is_real:
        return _resolve_real(recipe)
    if recipe.is_rgbir:
        return recipe.model_copy(update={"camera": cameras.AS_SHOT, **_guide(recipe)})
    recipe = dark_folder.with_frames(picture.with_noise_file(recipe), dark_frames)
    return neca.with_weights(_with_camera(recipe), neca_weights)


def _with_camera(recipe: Recipe) -> Recipe:
    """Return the recipe with its camera's file inside and its noise model named."""
    changes: dict[str, Any] = {}
    if recipe.camera.endswith(".toml") and recipe.camera_file is None:
        own = cameras.load(recipe.camera)
        changes = {"camera": own.name, "camera_file": own.toml}
    elif recipe.camera_file is not None:
        _check_name(recipe.camera, recipe.camera_file)
    changes |= _guide(recipe)
    camera = target(recipe.model_copy(update=changes))
    if recipe.on_picture:
        if camera is not None:
            changes |= {"camera": camera.name, "camera_file": camera.toml}
        return recipe.model_copy(update=changes)
    changes |= _policy(recipe, camera)
    if camera is None:
        if recipe.iso == "as-shot":
            raise InputError("camera 'as-shot' is at the file's own ISO already: leave --iso away")
        if recipe.iso is not None or recipe.gain is not None:
            raise InputError("camera 'as-shot' takes ISO and gain of each file: leave them away")
        model = recipe.noise or "heteroscedastic"
        if model not in ("awgn", "heteroscedastic", "poisson-gaussian"):
            raise InputError(
                f"noise '{model}' needs more figures than a NoiseProfile has; with camera "
                "'as-shot' use heteroscedastic, poisson-gaussian or awgn"
            )
    else:
        model = recipe.noise or camera.default_model
        iso = None if recipe.iso == "as-shot" else recipe.iso
        if recipe.iso == "as-shot" and camera.iso_range is None:
            raise InputError(
                f"camera {camera.name} is not set by ISO, so it cannot follow a file's: leave "
                "--iso away or give --gain"
            )
        camera.check(model=model, iso=iso, gain=recipe.gain)
        # A catalog camera goes along as well: its figures may be mended in a later release.
        changes |= {"camera": camera.name, "camera_file": camera.toml}
    unprocessing.check(recipe, camera)
    if recipe.source_noise.policy == "top-up" and noise_models.get(model).shot == "none":
        raise InputError(
            "source_noise: 'top-up' adds less where the file itself is noisier, and noise "
            f"'{model}' is the same at every level; use --noise heteroscedastic"
        )
    _check_terms(recipe, model)
    _check_body(recipe, camera)
    dark_folder.check(recipe, camera, model, body(recipe, camera))
    return recipe.model_copy(update={**changes, "noise": model})


def _guide(recipe: Recipe) -> dict[str, Any]:
    """Return the source's guide where the recipe names none."""
    given = None if recipe.guide else sources.entry(recipe.source).guide
    return {"guide": given} if given else {}


def _resolve_real(recipe: Recipe) -> Recipe:
    """Return the recipe of real pairs with the step of its windows named."""
    sources.check_pairs(recipe.source)
    return recipe.model_copy(update={"stride": recipe.stride or recipe.patch})


def _policy(recipe: Recipe, camera: Camera | None) -> dict[str, SourceNoise]:
    """Say what is done about the source's own noise where the recipe does not."""
    table = recipe.source_noise
    if camera is None:
        if table.policy == "reject" or table.max_share != SourceNoise().max_share:
            raise InputError(
                "source_noise: camera 'as-shot' puts each file's own noise on once more, which is "
                "more than any share of itself; leave it away, or use --source-noise ignore"
            )
        if table.policy == "top-up":
            raise InputError(
                "source_noise: with camera 'as-shot' there is nothing to top up, the file has that "
                "noise already; name a camera, or use --source-noise ignore"
            )
        return {"source_noise": table.model_copy(update={"policy": table.policy or "ignore"})}
    return {"source_noise": table.model_copy(update={"policy": table.policy or "reject"})}


def _check_terms(recipe: Recipe, model: str) -> None:
    """Refuse to switch off what a noise model does not have."""
    terms = noise_models.get(model)
    has = {"shot": terms.shot != "none", "read": True, "row": terms.row, "bias": terms.bias}
    for term in recipe.without:
        if term not in TERMS and not has[term]:
            raise InputError(f"without: noise model '{model}' has no term '{term}' to switch off")


def _check_body(recipe: Recipe, camera: Camera | None) -> None:
    """Refuse what is said of a body's terms that are not on."""
    stated = recipe.body.over(BodyFigures() if camera is None else camera.body)
    for term in recipe.without:
        if term in TERMS and term not in stated.on:
            raise InputError(f"without: the body has no term '{term}' to switch off")
    off = vars(BodyFigures())
    for name, (_, figures) in TERMS.items():
        for figure in figures if name not in stated.on else ():
            if getattr(recipe.body, figure) not in (None, off[figure]):
                others = " and ".join(f"body.{other}" for other in figures if other != figure)
                raise InputError(f"body.{figure}: does nothing alone; state {others} too")
    on = body(recipe, camera).on
    fixed = [name for name, term in TERMS.items() if term.scope == "sensor"]
    if recipe.bodies > 1 and not set(on) & set(fixed):
        raise InputError(
            f"bodies: nothing tells {recipe.bodies} bodies apart; switch a fixed pattern on, such "
            "as body.prnu, or leave bodies away"
        )
    if recipe.body.exposure_time != Body().exposure_time and "hot_pixels" not in on:
        raise InputError(
            "body.exposure_time: nothing depends on it; switch body.hot_pixels on or leave it away"
        )


def _check_name(name: str, text: str) -> None:
    """Refuse a catalog camera's name over another camera's figures."""
    if name in cameras.names():
        inside, known = cameras.parse(text, name, f"camera {name}").title, cameras.load(name).title
        if inside != known:
            raise InputError(
                f"camera: the recipe says {name}, its camera_file is '{inside}'; "
                "delete camera_file (and noise) to use the catalog's camera"
            )


def target(recipe: Recipe) -> Camera | None:
    """Return the recipe's camera; None for "as-shot"."""
    if recipe.camera == cameras.AS_SHOT:
        return None
    if recipe.camera_file is not None:
        return cameras.parse(recipe.camera_file, recipe.camera, f"camera {recipe.camera}")
    return cameras.load(recipe.camera)


def body(recipe: Recipe, camera: Camera | None) -> BodyFigures:
    """Return what the body adds: the recipe's figures over its camera's; nothing on pictures."""
    if recipe.on_picture:
        return BodyFigures()
    stated = recipe.body.over(BodyFigures() if camera is None else camera.body)
    return stated.without(*(term for term in recipe.without if term in TERMS))


def developer(recipe: Recipe, camera: Camera | None) -> AnyDeveloper:
    """Return what develops the samples of a resolved recipe."""
    model = recipe.noise or ""
    clips_at, includes = (
        ("adc", ("quantisation",))
        if camera is None
        else (camera.levels.clips_at, camera.read_includes)
    )
    if recipe.clip == "published":
        clips_at = "black"
    if recipe.dark_frames:
        includes = ()  # what is recorded as read noise is the frames' own
    return picture.developer(recipe, Sensor(model, clips_at, includes, body(recipe, camera)))


@dataclass(frozen=True)
class Layout:
    """A corpus as it would be, before any of its images is named."""

    plan: Plan
    camera: Camera | None
    developer: AnyDeveloper
    source: Source
    listed: tuple[ImageRef, ...] | None


def layout(
    recipe: Recipe,
    root: str | None,
    shard_mb: int,
    dark_frames: str | None = None,
    neca_weights: str | None = None,
) -> Layout:
    """Plan a corpus that does not exist yet.

    Parameters
    ----------
    recipe
        A resolved recipe.
    root
        Folder or URL of the source; None: the default.
    shard_mb
        Uncompressed pixels of a shard, in MB.
    dark_frames
        Folder or URL of the dark frames, where it draws from some.
    neca_weights
        Folder or file of NeCA's networks, where it draws with some.
    """
    if recipe.is_real:
        return _real_layout(recipe, root, shard_mb)
    entry = sources.entry(recipe.source)
    camera = target(recipe)
    made = developer(recipe, camera)
    if recipe.dark_frames and camera is not None and isinstance(made, Developer):
        edge = made.core + 2 * made.halo
        made = replace(made, dark=dark_folder.survey(recipe, dark_frames, camera, edge))
    if isinstance(made, NecaDeveloper):
        made = neca.with_networks(made, neca_weights)
    listed = None
    if entry.needs_root:
        source = sources.open(recipe.source, root, guide=recipe.guide, **recipe.source_options)
        listed = source.images()
        if not listed:
            raise MissingDataError(
                f"no images of source '{recipe.source}' under {root or 'its root'}; "
                f"'noisegen sources {recipe.source}' shows the layout it expects"
            )
    available = None if listed is None else len(listed)
    images, per_image, patches = plans.selection(recipe, available, entry.default_per_image)
    if listed is None:
        source = _generated(recipe, root, images)
    plan = plans.make(recipe, images, per_image, patches, bytes_per_patch(made), shard_mb << 20)
    return Layout(plan, camera, made, source, listed)


def _real_layout(recipe: Recipe, root: str | None, shard_mb: int) -> Layout:
    """Plan a corpus of real pairs: their sizes say how many windows each gives."""
    made = developer(recipe, None)
    source = sources.open_pairs(recipe.source, root, **recipe.source_options)
    refs = source.pairs()
    counts = ingest.counts(recipe, source, refs)
    plan = plans.of_counts(recipe, counts, bytes_per_patch(made), shard_mb << 20)
    return Layout(plan, None, made, source, refs)


def new_job(
    recipe: Recipe,
    root: str | None,
    shard_mb: int,
    dark_frames: str | None = None,
    neca_weights: str | None = None,
) -> Job:
    """Plan a corpus that does not exist yet, and name its images; see :func:`layout`."""
    made = layout(recipe, root, shard_mb, dark_frames, neca_weights)
    listed = made.source.images() if made.listed is None else made.listed
    refs = tuple(listed[i] for i in plans.spread(len(listed), made.plan.images))
    return Job(recipe, made.plan, made.source, refs, made.camera, made.developer)


def job_of(
    corpus: Corpus,
    root: str | None,
    dark_frames: str | None = None,
    neca_weights: str | None = None,
) -> Job:
    """Return the job that makes, or made, an existing corpus."""
    recipe = corpus.recipe
    names = corpus.images
    if recipe.is_real:
        pairs = sources.open_pairs(recipe.source, root, **recipe.source_options)
        found = ingest.found_again(pairs, names.names, names.scenes)
        return Job(recipe, corpus.plan, pairs, tuple(found), None, corpus.developer)
    source = (
        _generated(recipe, root, corpus.plan.images)
        if not sources.entry(recipe.source).needs_root
        else sources.open(recipe.source, root, guide=recipe.guide, **recipe.source_options)
    )
    refs = tuple(
        ImageRef(name, scene) for name, scene in zip(names.names, names.scenes, strict=True)
    )
    made = corpus.developer
    if recipe.dark_frames and isinstance(made, Developer):
        frames = dark_folder.of_corpus(recipe, dark_frames, corpus.attributes)
        made = replace(made, dark=frames)
    if isinstance(made, NecaDeveloper):
        made = neca.with_networks(made, neca_weights)
    return Job(recipe, corpus.plan, source, refs, target(recipe), made)


@lru_cache(maxsize=4)
def opened(
    path: str,
    root: str | None,
    dark_frames: str | None,
    neca_weights: str | None,
    identity: str,
) -> tuple[Corpus, Job]:
    """Return a corpus and its job, kept for the next shard that this process makes.

    The corpus's identity is asked for because a path may be overwritten while a worker lives.
    """
    corpus = Corpus(path)
    if corpus.identity() != identity:
        raise CorpusMismatchError(
            f"{path}: overwritten with another recipe while it was being made"
        )
    return corpus, job_of(corpus, root, dark_frames, neca_weights)


def splits_of(refs: Sequence[ImageRef]) -> npt.NDArray[np.uint8]:
    """Return the split of each image: the published one, or that of its scene's hash."""
    found = splits([ref.scene for ref in refs])
    for number, ref in enumerate(refs):
        if isinstance(ref, PairRef) and ref.shot.split:
            found[number] = SPLITS.index(ref.shot.split)
    return found


def splits(scenes: list[str]) -> npt.NDArray[np.uint8]:
    """Return the split of each scene, by its hash: new scenes never move old ones."""
    encoded = [scene.encode("utf-8", "surrogateescape") for scene in scenes]
    percent = [int.from_bytes(hashlib.sha256(scene).digest()[:8]) % 100 for scene in encoded]
    return np.array([2 if p < TEST else 1 if p < TEST + VAL else 0 for p in percent], np.uint8)


def absolute(path: str) -> str:
    """Return a path that means the same in every process of this machine; URLs stay."""
    return path if "://" in path or "::" in path else str(Path(path).expanduser().absolute())


def absolute_or_none(path: str | None) -> str | None:
    """Return :func:`absolute` of a path that may not be given."""
    return absolute(path) if path else None


def _generated(recipe: Recipe, root: str | None, images: int) -> Source:
    """Open a generated source for as many images as are wanted, on the recipe's seed."""
    if root is not None:
        raise InputError(f"source '{recipe.source}' is generated: leave --root away")
    entry = sources.entry(recipe.source)
    options = dict(recipe.source_options)
    if "count" in options:
        raise InputError(
            f"source '{recipe.source}' makes as many images as are needed: say how many samples "
            "with count and per_image, not with the source's option"
        )
    if "count" in entry.options:
        options["count"] = images
    if "seed" in entry.options:
        options.setdefault("seed", recipe.seed)
    return sources.open(recipe.source, None, guide=recipe.guide, **options)
