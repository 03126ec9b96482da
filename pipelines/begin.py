"""Beginning a corpus: the skeleton, its description and the names of its images."""

import textwrap
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

import noisegen
import noisegen.random
from catalogs import sources
from catalogs.sources import PairRef
from noisegen.errors import CorpusMismatchError, DamagedCorpusError
from pipelines import neca, picture, prepare, schema
from pipelines import recipe as recipes
from pipelines.corpus import Corpus, Images
from pipelines.job import Job
from pipelines.neca import NecaDeveloper
from pipelines.picture import AnyDeveloper, dark_of
from pipelines.plan import Plan
from pipelines.recipe import Recipe
from pipelines.store import (
    MARK,
    ArraySpec,
    Storage,
    create,
    encode_text,
    read_attributes,
    read_spec,
    remove,
    write_chunk,
)
from pipelines.tables import ends


@dataclass(frozen=True)
class Begun:
    """A corpus that is there now.

    Attributes
    ----------
    corpus
        The corpus, perhaps without a shard.
    new
        Whether this call made it.
    skipped
        One line for each kind of thing that the source left out; empty for an older corpus.
    """

    corpus: Corpus
    new: bool
    skipped: tuple[str, ...]


def begin(
    storage: Storage,
    recipe: Recipe,
    root: str | None,
    overwrite: bool,
    shard_mb: int,
    dark_frames: str | None = None,
    neca_weights: str | None = None,
) -> Begun:
    """Return the corpus of a resolved recipe that is there, or begin one.

    Raises
    ------
    CorpusMismatchError
        If the place holds something else, or a corpus of another recipe and ``overwrite`` is false.
    """
    existing = read_attributes(storage)[MARK] if storage.read("zarr.json") is not None else {}
    other = bool(existing) and existing.get("recipe_sha256") != recipe.sha256
    if other and not overwrite:
        difference = _difference(existing, recipe)
        raise CorpusMismatchError(
            f"{storage.url}: holds a corpus of another recipe ({difference}); "
            "choose another --out, or --overwrite to replace it"
        )
    if existing and not other:
        corpus = Corpus(storage)
        if _named(corpus):
            return Begun(corpus, False, ())
    job = prepare.new_job(recipe, root, shard_mb, dark_frames, neca_weights)
    if other:
        # Not before all that can be refused was checked: a mistyped root must not cost a corpus.
        remove(storage)
    images = Images(
        tuple(ref.name for ref in job.images),
        tuple(ref.scene for ref in job.images),
        prepare.splits_of(job.images),
        tuple(ref.shot.camera if isinstance(ref, PairRef) else recipe.camera for ref in job.images),
    )
    corpus = write(storage, job.developer, job.plan, images, _attributes(job))
    return Begun(corpus, other or not existing, job.source.skipped)


def write(
    storage: Storage,
    developer: AnyDeveloper,
    plan: Plan,
    images: Images,
    attributes: dict[str, Any],
) -> Corpus:
    """Write a corpus without shards, or find the same one there.

    Raises
    ------
    CorpusMismatchError
        If something else is there.
    """
    columns = image_columns(images, with_camera=developer.recipe.is_real)
    widths = {name: rows.shape[1] for name, rows in columns.items() if rows.ndim == 2}
    specs: list[ArraySpec] = [
        *schema.pixel_specs(developer, plan),
        *schema.metadata_specs(plan, developer.recipe.shading.kept_bytes).values(),
        *schema.name_specs(plan, widths),
    ]
    create(storage, specs, {MARK: attributes})
    corpus = Corpus(storage)
    if corpus.recipe.sha256 != developer.recipe.sha256 or corpus.plan.images != plan.images:
        raise CorpusMismatchError(
            f"{storage.url}: holds a corpus of another recipe; choose another --out"
        )
    for name, rows in columns.items():
        write_chunk(storage, read_spec(storage, f"images/{name}"), 0, rows)
    return Corpus(storage)


def image_columns(images: Images, *, with_camera: bool) -> dict[str, npt.NDArray[np.uint8]]:
    """Return what is known of the images before any is read, by the name of its array.

    Every part of a run writes it, the same bytes, so that it does not matter which one is first.
    """
    camera = {"camera": encode_text(images.cameras)} if with_camera else {}
    return {
        "name": encode_text(images.names),
        "scene": encode_text(images.scenes),
        "split": images.split,
        **camera,
    }


def _named(corpus: Corpus) -> bool:
    """Tell whether the images' names are there: a run that was killed early wrote none."""
    try:
        return bool(corpus.images.names)
    except DamagedCorpusError:
        return False


def _attributes(job: Job) -> dict[str, Any]:
    plan, entry = job.plan, sources.entry(job.recipe.source)
    camera, dark = job.camera, dark_of(job.developer)
    return {
        "schema": recipes.SCHEMA,
        "recipe": job.recipe.to_json(),
        "recipe_sha256": job.recipe.sha256,
        "plan": vars(plan),
        "sensor": job.developer.sensor.to_json(),
        "source": {"name": entry.name, "title": entry.title, "licence": entry.licence},
        "camera": {
            "name": job.recipe.camera,
            "title": camera.title if camera else _own_camera(job.recipe),
            "figures": camera.figures if camera else _figures(job.recipe),
            "licence": camera.licence if camera else _terms(job.recipe),
        },
        **picture.attributes(job.recipe),
        **_networks(job),
        **({"dark_frames": [vars(frame) for frame in dark.frames]} if dark else {}),
        "warnings": list(_warnings(job)),
        "versions": {
            "noisegen": noisegen.__version__,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
    }


def _networks(job: Job) -> dict[str, Any]:
    """Return what the corpus says of the networks that draw its noise; nothing without."""
    made = job.developer
    return neca.attributes(made) if isinstance(made, NecaDeveloper) else {}


def _own_camera(recipe: Recipe) -> str:
    if recipe.is_rgbir:
        return "RGB-IR camera of the Dark Vision Dataset"
    return "each pair's own" if recipe.is_real else "each file's own figures"


def _figures(recipe: Recipe) -> str:
    return "calibrated" if recipe.is_rgbir else "declared"


def _terms(recipe: Recipe) -> str:
    return "MIT (RFFNet)" if recipe.is_rgbir else "the files' own"


def _warnings(job: Job) -> tuple[str, ...]:
    """Return what the camera has to say about the extremes of the setting that was asked for."""
    if job.camera is None or job.recipe.on_picture:
        return ()
    recipe, dark = job.recipe, dark_of(job.developer)
    found: dict[str, None] = {}
    iso = None if recipe.iso == "as-shot" else recipe.iso
    if dark:
        taken = [dark.frames[number].iso for number in dark.usable]
        iso = (min(taken), max(taken))
    for end in (0, 1):
        setting = {
            name: None if value is None else ends(value)[end]
            for name, value in (("iso", iso), ("gain", recipe.gain))
        }
        rng = noisegen.random.generator(recipe.seed, noisegen.random.Stream.CAMERA)
        state = job.camera.draw(rng, model=job.developer.sensor.model, **setting)
        found |= dict.fromkeys(state.warnings)
    return tuple(found)


def _difference(existing: dict[str, Any], recipe: Recipe) -> str:
    old, new = recipes.json_data(existing["recipe"]), recipes.json_data(recipe.to_json())
    name = ""
    while True:
        keys = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
        key = next((k for k in keys if not k.endswith("_file")), keys[0] if keys else "schema")
        there, here, name = old.get(key), new.get(key), name + key
        if not (isinstance(there, dict) and isinstance(here, dict)):
            break
        old, new, name = there, here, f"{name}."
    there, here = (textwrap.shorten(repr(value), 200) for value in (there, here))
    return f"{name} is {there} there, {here} here"
