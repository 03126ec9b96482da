"""The arrays of a corpus: names, shapes, shards, dimensions and units."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from catalogs.sources import GUIDE_CHANNELS
from noisegen.cfa import PHASES
from noisegen.isp.bulk import LINEAR_OFFSET, LINEAR_SCALE
from noisegen.isp.tone import FAMILIES
from pipelines.parameters import PARAMETERS
from pipelines.picture import AnyDeveloper
from pipelines.plan import Plan
from pipelines.recipe import Recipe
from pipelines.source_noise import ORIGINS
from pipelines.store import ArraySpec

SPLITS = ("train", "val", "test")
"""Names of the splits; ``images/split`` holds a place in this tuple."""

SIZES = ("height", "width")
"""Names of the images' arrays that are in pixels."""

PROBLEM_BYTES = 240
"""Room for the line that says why an image could not be used."""


def pixel_specs(developer: AnyDeveloper, plan: Plan) -> tuple[ArraySpec, ...]:
    """Return the arrays of pixels that are stored."""
    recipe = developer.recipe
    if recipe.lazy:
        size, tile = developer.core + 2 * developer.halo, developer.tile
        shape = (size, size, *tile.tail)
        attrs = {
            "units": tile.units,
            "description": tile.description,
            "halo": developer.halo,
        }
        return (
            ArraySpec(
                tile.name,
                (plan.patches, *shape),
                tile.dtype,
                (1, *shape),
                ("patch", "tile_y", "tile_x", "color")[: 1 + len(shape)],
                (plan.patches_per_shard, *shape),
                attrs,
            ),
        )
    return tuple(_pixels(name, developer, plan) for name in array_names(developer))


def array_names(developer: AnyDeveloper) -> tuple[str, ...]:
    """Return the names of a sample's arrays, stored or computed."""
    recipe = developer.recipe
    raws = ("raw_clean", "raw_noisy") if recipe.stage == "both" else ()
    return ("clean", "noisy", *raws, *(("guide",) if recipe.guide else ()))


@lru_cache
def metadata_specs(plan: Plan, shading_bytes: int) -> dict[str, ArraySpec]:
    """Return the arrays that shards write beside their pixels, by name.

    ``shading_bytes`` are kept of each image's own shading; 0: there is no such array.
    """
    specs = (*_params(plan), *_image_facts(plan, shading_bytes), _manifest(plan))
    return {spec.name: spec for spec in specs}


def name_specs(plan: Plan, widths: Mapping[str, int]) -> tuple[ArraySpec, ...]:
    """Return the arrays of what is known of the images before any is read.

    ``widths`` are the bytes of each text that there is.
    """
    every = plan.images
    texts = {
        "name": "name in the source, UTF-8",
        "scene": "scene that it shows, UTF-8",
        "camera": "camera that took it, UTF-8; empty: not known",
    }
    return (
        *(_image_spec(plan, n, "uint8", widths[n], every, texts[n]) for n in widths),
        _image_spec(plan, "split", "uint8", 0, every, f"split of the scene: {', '.join(SPLITS)}"),
    )


def _manifest(plan: Plan) -> ArraySpec:
    return ArraySpec(
        "manifest",
        (plan.shards, 32),
        "uint8",
        (1, 32),
        ("shard", "digest_byte"),
        attrs={"description": "digest of a shard's samples; zero: not finished"},
        compressed=False,
    )


def bytes_per_patch(developer: AnyDeveloper) -> int:
    """Return the uncompressed bytes that a patch with all its draws takes in the store."""
    probe = Plan(1, 1, 1, developer.recipe.draws, 1)
    return sum(spec.chunk_bytes * spec.rows for spec in pixel_specs(developer, probe))


def _pixels(name: str, developer: AnyDeveloper, plan: Plan) -> ArraySpec:
    recipe, patch = developer.recipe, developer.recipe.patch
    if name == "guide":
        return _guide(recipe, plan)
    mosaic = recipe.stage == "raw" or name.startswith("raw_")
    what = "noisy" if name.endswith("noisy") else "clean"
    if mosaic:
        attrs: dict[str, str | float] = {"units": "DN", "description": f"{what} sensor mosaic"}
    elif recipe.stage == "linear":
        # scale_factor and add_offset are the CF names: xarray gives back signed linear values.
        attrs = {
            "units": "1",
            "description": f"{what} picture, linear light with sRGB primaries",
            "scale_factor": 1 / LINEAR_SCALE,
            "add_offset": -LINEAR_OFFSET / LINEAR_SCALE,
        }
    else:
        attrs = {"units": "1", "description": f"{what} picture, {recipe.gamma} encoding"}
        attrs["maximum"] = (1 << recipe.depth) - 1
    dtype = "uint8" if not mosaic and recipe.stage != "linear" and recipe.depth == 8 else "uint16"
    tail = (patch, patch) if mosaic else (patch, patch, 3)
    dims = ("sample", "y", "x") if mosaic else ("sample", "y", "x", "color")
    return ArraySpec(
        name,
        (plan.samples, *tail),
        dtype,
        (1, *tail),
        dims,
        (plan.rows_per_shard, *tail),
        attrs,
    )


def _guide(recipe: Recipe, plan: Plan) -> ArraySpec:
    assert recipe.guide is not None
    tail = (recipe.patch, recipe.patch, GUIDE_CHANNELS[recipe.guide])
    return ArraySpec(
        "guide",
        (plan.samples, *tail),
        "uint8" if recipe.depth == 8 else "uint16",
        (1, *tail),
        ("sample", "y", "x", "guide_channel"),
        (plan.rows_per_shard, *tail),
        {
            "units": "1",
            "description": f"guide ({recipe.guide}), {recipe.gamma} encoding",
            "maximum": (1 << recipe.depth) - 1,
        },
    )


def _params(plan: Plan) -> tuple[ArraySpec, ...]:
    specs = []
    for parameter in PARAMETERS:
        attrs = {"units": parameter.units, "description": parameter.description}
        if parameter.name == "cfa":
            attrs["flag_meanings"] = " ".join(PHASES)
        if parameter.name == "source_origin":
            attrs["flag_meanings"] = " ".join(ORIGINS)
        if parameter.name == "source_tone":
            attrs["flag_meanings"] = " ".join(("none", *FAMILIES))
        specs.append(
            ArraySpec(
                f"params/{parameter.name}",
                (plan.samples, *parameter.shape),
                parameter.dtype,
                (plan.rows_per_shard, *parameter.shape),
                ("sample", *parameter.dims),
                attrs=attrs,
                fill_value=math.nan if parameter.dtype.startswith("float") else 0,
                compressed=False,
            )
        )
    return tuple(specs)


def _image_facts(plan: Plan, shading_bytes: int) -> tuple[ArraySpec, ...]:
    own = plan.images_per_shard
    text = "lens shading that its file records (noisegen.isp.shading.Shading.to_bytes)"
    shading = _image_spec(plan, "shading", "uint8", shading_bytes, own, text)
    return (
        _image_spec(plan, "height", "uint32", 0, own, "height of the frame; 0: not usable"),
        _image_spec(plan, "width", "uint32", 0, own, "width of the frame"),
        _image_spec(plan, "sha256", "uint8", 32, own, "SHA-256 of the file"),
        _image_spec(plan, "perceptual_hash", "uint8", 8, own, "difference hash (dHash)"),
        _image_spec(plan, "rejected", "uint32", 0, own, "patches left out: its own noise"),
        _image_spec(plan, "problem", "uint8", PROBLEM_BYTES, own, "why it is not usable, UTF-8"),
        *((replace(shading, compressed=True),) if shading_bytes else ()),
    )


def _image_spec(
    plan: Plan, name: str, dtype: str, width: int, rows: int, description: str
) -> ArraySpec:
    tail, dims = ((width,), (f"{name}_byte",)) if width else ((), ())
    return ArraySpec(
        f"images/{name}",
        (plan.images, *tail),
        dtype,
        (rows, *tail),
        ("image", *dims),
        attrs={"units": "pixel" if name in SIZES else "1", "description": description},
        compressed=False,
    )
