"""The samples of a shard, as a pure function of the recipe, the source's images and the shard.

Same arguments give the same bytes, in any order, in any process. Nothing here knows of stores,
workers or progress.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from catalogs import cameras
from catalogs.camera import UNIFORMS, Camera
from catalogs.camera_noise import log_uniform
from catalogs.sources import SourceImage
from noisegen import cfa, random
from noisegen.errors import InputError, RecipeError, UnreadableFileError
from noisegen.isp import color
from noisegen.isp.shading import Shading
from noisegen.sensor.body import TERMS
from pipelines import (
    finishing,
    guides,
    ingest,
    parameters,
    rendered,
    rgbir,
    selecting,
    source_noise,
)
from pipelines.develop import Developer, isp_parameters
from pipelines.frame import Frame, MosaicFrame, frame, perceptual_hash
from pipelines.job import Batch, ImageFacts, Job, missing, split
from pipelines.neca import NecaDeveloper
from pipelines.picture import PictureDeveloper, dark_of
from pipelines.plan import Piece
from pipelines.recipe import Recipe
from pipelines.rendered import RenderedFrame
from pipelines.tables import Range, ends
from pipelines.tile import places

_UNTOLD = "no NoiseProfile, no figures in the catalog, too few flat places to estimate it from"


def batches(job: Job, shard: int) -> Iterator[ImageFacts | Batch]:
    """Yield the facts of each image of a shard, each followed by its patches in order."""
    make = _piece
    if job.recipe.is_real or job.recipe.is_rgbir:
        make = ingest.pieces if job.recipe.is_real else rgbir.pieces
    for piece in job.plan.pieces(shard):
        yield from make(job, piece)


def of_image(job: Job, own: Shading | None) -> Job:
    """Return the job of one image whose file records a shading of its own, if one is taken."""
    if own is None or not isinstance(job.developer, Developer):
        return job
    return replace(job, developer=replace(job.developer, own_shading=lambda _: own))


def _piece(job: Job, piece: Piece) -> Iterator[ImageFacts | Batch]:
    try:
        image = job.source.read(job.images[piece.image])
        if image.kind == "rgbir":
            raise InputError(
                f"{job.images[piece.image].name} is an RGB-IR mosaic, of a camera of its own; "
                "use --noise dvd"
            )
        camera = job.camera or _as_shot(image, job.images[piece.image].name)
        make = rendered.frame if job.recipe.on_picture else frame
        _check_lens(job, image, piece.image)
        picture = make(image, camera, job.recipe, piece.image)
        _check_size(picture, job, piece.image, image.pixels.shape)
        iso = _own_iso(image, camera, job, piece.image)
        rows = _rows(job, piece, picture, _tones(job.recipe, image.kind, piece))
        warnings = (*_stretched(camera, job, piece.image, iso), *_unfit(job, piece, rows))
        rejected = _expose_all(job, piece, picture, rows, camera, iso)
        warnings += _untold(job, piece, picture)
        guide = guides.whole(image, job.recipe, picture, job.images[piece.image].name)
    except (UnreadableFileError, InputError) as error:
        yield ImageFacts(
            piece.image, problem=str(error), user_mistake=isinstance(error, InputError)
        )
        yield Batch(missing(job, piece), None, {})
        return
    yield ImageFacts(
        piece.image,
        picture.height,
        picture.width,
        image.sha256,
        perceptual_hash(picture.thumbnail()).tobytes(),
        warnings=warnings,
        kind=image.kind,
        rejected=rejected,
        shading=picture.lens.own.to_bytes() if picture.lens.own else b"",
    )
    job = of_image(job, picture.lens.own)
    if isinstance(job.developer, NecaDeveloper) and isinstance(picture, RenderedFrame):
        job = replace(job, developer=job.developer.of_picture(picture, rows))
    _draw_finish(job, rows)
    for run in parameters.alike(rows[:, 0], "valid"):
        some = rows[run]
        if not some[0, 0]["valid"]:
            yield Batch(
                missing(job, Piece(piece.image, piece.first + run.start, len(some))), None, {}
            )
            continue
        for part in split(job.developer, len(some)):
            yield _batch(job, picture, guide, some[part])


def _batch(
    job: Job, picture: Frame, guide: guides.Picture | None, rows: npt.NDArray[np.void]
) -> Batch:
    """Cut the patches of some rows, measure and develop them."""
    developer, recipe = job.developer, job.recipe
    core, halo = developer.core, developer.halo
    first = rows[:, 0]
    where = places(first["y"], first["x"], core, halo, picture.height, picture.width)
    tiles, found = picture.measured(where, first["tone"], core, halo)
    for name, values in zip(("mean", "texture", "clipped"), found, strict=True):
        rows[name] = values[:, None]
    if recipe.lazy:
        return Batch(rows, tiles, {})
    sizes = np.full((len(rows), 2), (picture.height, picture.width))
    arrays = dict(developer.batch(rows, tiles, sizes))
    if guide is not None:
        arrays["guide"] = guides.patches(guide, rows, recipe.patch)
    return Batch(rows, tiles, arrays)


def _rows(
    job: Job, piece: Piece, picture: Frame, tones: npt.NDArray[np.float64]
) -> npt.NDArray[np.void]:
    """Return the (patches, draws) rows of a piece: what is known before noise is drawn."""
    recipe, count = job.recipe, piece.patches
    known = _known(job, piece.image, picture)
    rows = parameters.table(known * (count * recipe.draws)).reshape(count, recipe.draws)
    numbers = np.arange(piece.first, piece.first + count)
    rows["index"] = numbers[:, None]
    rows["key"] = piece.image * job.plan.per_image + numbers[:, None]
    rows["draw"] = np.arange(recipe.draws)
    if recipe.select.is_on:
        edge = job.developer.core
        corners, kept = selecting.stratified(recipe, picture, piece, edge, tones)
        rows["valid"] = kept[:, None]
    else:
        corners = selecting.uniform(recipe, picture, piece, job.developer.core)
    rows["y"], rows["x"] = corners[:, :1], corners[:, 1:]
    rows["tone"] = tones[:, None]
    picture.record(rows)
    return rows


def _expose(job: Job, rows: npt.NDArray[np.void], camera: Camera, iso: float | None) -> None:
    """Draw the camera's setting and noise, and the light, of each patch."""
    recipe, model = job.recipe, job.developer.sensor.model
    iso_asked, dark = iso if recipe.iso == "as-shot" else recipe.iso, dark_of(job.developer)
    image, first = (int(rows[0, 0][name]) for name in ("image", "index"))
    numbers = range(first, first + len(rows))
    uniforms = random.uniforms(
        recipe.seed, random.Stream.CAMERA, image, items=numbers, each=UNIFORMS
    ).tolist()
    camera.check(model=model, iso=iso_asked, gain=recipe.gain)
    isos: Sequence[float | Range | None] = [iso_asked] * len(rows)
    if dark and recipe.iso != "as-shot":
        isos = dark.draw_isos(recipe.seed, image, numbers)
    elif camera.is_settled(iso=iso_asked, gain=recipe.gain):
        uniforms, isos = uniforms[:1], isos[:1]  # what the first row draws is that of all rows
    drawn = []
    for u, asked in zip(uniforms, isos, strict=True):
        state = camera.at(u, model=model, iso=asked, gain=recipe.gain)
        noise = state.parameters
        drawn.append(
            (
                *(state.iso, state.gain, noise.shot, noise.read, noise.bias, noise.row),
                *(np.nan if v is None else v for v in (noise.tukey_lambda, noise.tukey_scale)),
            )
        )
    names = ("iso", "gain", "shot", "read", "bias", "row", "tukey_lambda", "tukey_scale")
    for name, values in zip(names, zip(*drawn, strict=True), strict=True):
        rows[name] = np.array(values)[:, None]
    rows["exposure_ratio"] = _exposure_ratios(recipe, image, numbers)[:, None]
    rows["exposure_time"] = _exposure_times(job, image, numbers)[:, None]
    _switch_off(job, rows)
    if dark:
        dark.draw(recipe.seed, rows, job.developer.core, job.developer.halo)


def _expose_all(
    job: Job,
    piece: Piece,
    picture: Frame,
    rows: npt.NDArray[np.void],
    camera: Camera,
    iso: float | None,
) -> int:
    """Draw the noise of a piece's patches, and do what the picture's own noise asks for.

    What is said of an image looks at all of its patches, so that shards that share it say the same.

    Returns
    -------
    int
        Patches of the whole image that are left out because it is too noisy for them.
    """
    if isinstance(job.developer, PictureDeveloper | NecaDeveloper):
        job.developer.draw(rows)
        return 0
    _expose(job, rows, camera, iso)
    recipe, sensor = job.recipe, job.developer.sensor
    policy = recipe.source_noise.policy
    if policy not in source_noise.ESTIMATED or not isinstance(picture, MosaicFrame):
        return 0
    name = job.images[piece.image].name
    if not picture.own_noise.is_known:
        if policy == "reject":
            return 0
        raise InputError(
            f"{name}: top-up needs to know its own noise: {_UNTOLD}; use --source-noise reject"
        )
    every, own = rows, slice(None)
    whole = job.plan.patches_of_image(piece.image)
    if whole != piece.patches:
        every = parameters.empty(whole * recipe.draws).reshape(whole, recipe.draws)
        every["image"], every["index"] = piece.image, np.arange(whole)[:, None]
        for field in ("cfa", "black", "white"):
            every[field] = rows[field][0, 0]
        _expose(job, every, camera, iso)
        own = slice(piece.first, piece.first + piece.patches)
    if policy == "top-up":
        try:
            noise, lowest = picture.clean_noise, picture.lowest
            source_noise.check_top_up(noise, lowest, every[:, 0], picture.levels, sensor)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        return 0
    # Draws differ where each has a dark frame of its own.
    flat = every.reshape(-1)
    strong = source_noise.too_strong(picture.own_noise, flat, picture.levels, sensor, recipe)
    out = np.asarray(strong.reshape(every.shape).any(axis=1))
    rows["valid"][out[own]] = 0
    return int(out.sum())


def _draw_finish(job: Job, rows: npt.NDArray[np.void]) -> None:
    """Draw what follows the tone curve; all draws of a patch share it."""
    recipe = job.recipe
    rows["nr_luma"] = rows["nr_chroma"] = rows["sharpen"] = 0
    rows["resize"] = 1
    if recipe.finish.is_on:
        for patch in rows:
            isp = isp_parameters(patch[0], recipe.demosaic, recipe.gamma)
            drawn = finishing.draw(patch[0], recipe, isp)
            for name, value in drawn.items():
                patch[name] = value


def _switch_off(job: Job, rows: npt.NDArray[np.void]) -> None:
    """Take the terms away that the recipe does without."""
    for term in job.recipe.without:
        if term in TERMS:
            continue  # the sensor's body does without it
        if term == "row" and "row" in job.developer.sensor.read_includes:
            rows["read"] = np.maximum(rows["read"] - rows["row"][..., None] ** 2, 0)
        rows[term] = 0
        if term == "read":
            rows["tukey_scale"] *= 0  # NaN stays: there is no such term


def _known(job: Job, image: int, picture: Frame) -> bytes:
    """Return the bytes of the row of what all patches of an image share."""
    row: np.void = parameters.empty(1)[0]
    row["valid"], row["image"] = 1, image
    row["cfa"] = cfa.PHASES.index(picture.phase)
    row["black"], row["white"] = picture.levels.black, picture.levels.white
    own = picture.clean_noise
    row["source_shot"], row["source_read"] = own.shot, own.read
    row["source_origin"] = source_noise.ORIGINS.index(own.origin)
    row["shading"], row["shading_centre"] = picture.lens.k, picture.lens.centre
    row["body"] = _body(job.recipe, image)
    row["wb"], row["cam_to_xyz"] = picture.white_balance, picture.cam_to_xyz
    row["ccm"] = color.multiply(color.xyz_to_srgb("D65"), picture.cam_to_xyz)
    return row.tobytes()


def _unfit(job: Job, piece: Piece, rows: npt.NDArray[np.void]) -> tuple[str, ...]:
    """Return a line on the patches that are left empty: no place keeps to the rules."""
    empty = int((rows[:, 0]["valid"] == 0).sum())
    if not empty:
        return ()
    line = (
        f"{job.images[piece.image].name}: {empty} of {piece.patches} patches are left empty: no "
        "place keeps to select.min_mean and select.max_clipped; raise select.candidates"
    )
    return (line,)


def _untold(job: Job, piece: Piece, picture: Frame) -> tuple[str, ...]:
    """Return a line on a raw file whose noise nothing tells, where that matters."""
    policy = job.recipe.source_noise.policy
    if not isinstance(picture, MosaicFrame) or policy != "reject" or picture.own_noise.is_known:
        return ()
    name = job.images[piece.image].name
    return (f"{name}: used as it is; its own noise is not known: {_UNTOLD}",)


def _body(recipe: Recipe, image: int) -> int:
    """Draw the body that an image is taken with."""
    return int(random.generator(recipe.seed, random.Stream.BODY, image).integers(recipe.bodies))


def _exposure_times(job: Job, image: int, numbers: range) -> npt.NDArray[np.float64]:
    """Draw the exposure time of each patch, NaN where nothing depends on it."""
    if "hot_pixels" not in job.developer.sensor.body.on:
        return np.full(len(numbers), np.nan)
    between = ends(job.recipe.body.exposure_time)
    return _log_uniform(job.recipe.seed, random.Stream.BODY, (image, 0), numbers, between)


def _exposure_ratios(recipe: Recipe, image: int, numbers: range) -> npt.NDArray[np.float64]:
    """Draw how many times less light the input of each patch gets."""
    between = (1.0, 1.0) if recipe.exposure_ratio is None else ends(recipe.exposure_ratio)
    return _log_uniform(recipe.seed, random.Stream.EXPOSURE, (image,), numbers, between)


def _log_uniform(
    seed: int, stream: random.Stream, key: tuple[int, ...], numbers: range, between: Range
) -> npt.NDArray[np.float64]:
    """Draw a number a patch, its logarithm uniform."""
    if between[0] == between[1]:
        return np.full(len(numbers), between[0])
    uniforms = random.uniforms(seed, stream, *key, items=numbers, each=1)[:, 0].tolist()
    return np.array([log_uniform(u, between) for u in uniforms])


def _tones(recipe: Recipe, kind: str, piece: Piece) -> npt.NDArray[np.float64]:
    """Draw α: one a patch, or one an image where a picture's own encoding is undone with it."""
    low, high = ends(recipe.tone)
    if low == high:
        return np.full(piece.patches, low)
    one_an_image = kind == "srgb"
    numbers = range(1) if one_an_image else range(piece.first, piece.first + piece.patches)
    u = random.uniforms(recipe.seed, random.Stream.TONE, piece.image, items=numbers, each=1)[:, 0]
    drawn = low + (high - low) * u
    return np.repeat(drawn, piece.patches) if one_an_image else drawn


def _as_shot(image: SourceImage, name: str) -> Camera:
    if image.raw is None:
        raise RecipeError(
            f"camera 'as-shot' takes the noise profile of raw files, and {name} is a picture; "
            "name a camera (noisegen cameras)"
        )
    return cameras.as_shot(image.raw)


def _own_iso(image: SourceImage, camera: Camera, job: Job, number: int) -> float | None:
    """Return the file's ISO; refuse one that is needed and missing, or beyond the camera."""
    iso = image.raw.iso if image.raw else None
    if job.recipe.iso != "as-shot":
        return iso
    if not iso:
        raise InputError(
            f"{job.images[number].name} does not say its ISO, which --iso as-shot needs; name one"
        )
    try:
        camera.check(iso=iso)
    except InputError as error:
        raise InputError(f"{job.images[number].name}: {error}") from None
    if dark := dark_of(job.developer):
        dark.at(float(iso))
    return float(iso)


def _stretched(camera: Camera, job: Job, number: int, iso: float | None) -> tuple[str, ...]:
    """Return what the camera has to say about following this file's ISO."""
    if job.recipe.iso != "as-shot":
        return ()
    rng = random.generator(job.recipe.seed, random.Stream.CAMERA, number, 0)
    state = camera.draw(rng, model=job.developer.sensor.model, iso=iso)
    return tuple(f"{job.images[number].name}: {line}" for line in state.warnings)


def _check_lens(job: Job, image: SourceImage, number: int) -> None:
    if job.recipe.shading.mode == "file" and image.raw is None:
        raise InputError(
            f"{job.images[number].name} is a picture, which records no lens shading; give "
            "shading.k1 and the like, or take it out of the folder"
        )


def _check_size(picture: Frame, job: Job, number: int, shape: tuple[int, ...]) -> None:
    patch, edge = job.recipe.patch, job.developer.core
    least = min(picture.height, picture.width)
    found = f"{job.images[number].name} is {picture.height} x {picture.width} pixels"
    averaged = (picture.height, picture.width) != shape[:2]
    if averaged:
        found += f" (averaged, of {shape[0]} x {shape[1]})"
    if least < edge > patch:
        raise InputError(
            f"{found}; a patch of {patch} that is shrunk covers {edge}; use a smaller --patch or "
            "finish.resize"
        )
    if least < patch:
        fits = least // 2 * 2
        remedy = f"use --patch {fits} or less" if fits >= 8 else "take it out of the folder"
        if averaged:
            mosaic = isinstance(picture, MosaicFrame)
            remedy += ", or " + ("not bin2" if mosaic else "a smaller source_noise.shrink")
        raise InputError(f"{found}, smaller than the patch of {patch}; {remedy}")
