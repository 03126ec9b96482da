"""Noise of a corpus as measured, beside the noise that its model predicts on the same content.

Of mosaics the prediction is the model's formula, where nothing is clipped. Of pictures it is the
model itself: fresh draws of it on the sample's own clean mosaic, developed like the sample, because
a formula would not know what clipping, demosaicing and the tone curve do.
Noise that was drawn on the picture is drawn on it afresh; that of real pairs has no model. In the
place of dark frames, which a corpus does not hold, stands normal noise of their variance; in the
place of the whole pictures that NeCA's level network looks at, the patches.
Where no mosaic is stored it is got back from the clean picture, which knows nothing of colours that
were clipped: in the deepest shadows of saturated colours the prediction is a little low. Nor does
it know the patch's surroundings (a reflection stands in) and, where the finish shrank it, its
finest detail.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from noisegen import cfa
from noisegen.errors import InputError
from noisegen.isp.bulk import LINEAR_OFFSET, LINEAR_SCALE, unprocess
from noisegen.sensor import Levels, models, pattern, variance
from pipelines import finishing, neca, shading
from pipelines.corpus import Corpus, Sample
from pipelines.develop import (
    Developer,
    Sensor,
    body_counter,
    body_parameters,
    isp_parameters,
    noise_parameters,
    recorded,
)
from pipelines.neca import NecaDeveloper
from pipelines.on_picture import RenderedDeveloper
from pipelines.picture import AnyDeveloper
from pipelines.tile import Window

BINS = 24
"""Levels that a curve is measured at."""

DRAWS = 4
"""Fresh draws of the model a sample."""

FIRST_FRESH_DRAW = 1 << 23
"""Numbers of the fresh draws: far above those of any corpus."""

CLEAR = 5
"""Standard deviations that a level must keep from the limits of the codes to be compared."""

MIN_PIXELS = 200
"""Bins with fewer pixels are left out."""


@dataclass(frozen=True)
class Curve:
    """Standard deviation against level, of one channel or plane.

    Attributes
    ----------
    name
        Channel ("R", "G", "B") or plane ("R", "G1", "B", "G2").
    pixels
        (bins,) number of pixels; NaN where there are too few.
    level, measured, model
        (bins,) mean clean level and standard deviations, in stored units; NaN in empty bins, and
        the model's of real pairs.
    """

    name: str
    pixels: npt.NDArray[np.float64]
    level: npt.NDArray[np.float64]
    measured: npt.NDArray[np.float64]
    model: npt.NDArray[np.float64]

    @property
    def ratio(self) -> float:
        """Measured over model variance, of all pixels; 1 when they agree, NaN without pixels."""
        model = np.nansum(self.pixels * self.model**2)
        return float(np.nansum(self.pixels * self.measured**2) / model) if model else float("nan")

    @property
    def title(self) -> str:
        """The channel, and :attr:`ratio` where there is a model."""
        return self.name + (f": variance × {self.ratio:.3f}" if self.has_model else "")

    @property
    def has_model(self) -> bool:
        """Whether a model predicts anything."""
        return bool(np.isfinite(self.model).any())

    def text(self) -> str:
        """Return what was found, as a line for people."""
        if self.has_model:
            return f"{self.name}: measured variance is {self.ratio:.3f} of the model's"
        every = np.nansum(self.pixels * self.measured**2) / max(np.nansum(self.pixels), 1)
        return f"{self.name}: standard deviation of the noise is {np.sqrt(every):.3g} stored levels"


@dataclass
class _Sums:
    count: npt.NDArray[np.float64]
    level: npt.NDArray[np.float64]
    measured: npt.NDArray[np.float64]
    model: npt.NDArray[np.float64]


def noise_curves(
    corpus: Corpus, samples: Sequence[int], neca_weights: str | None = None
) -> list[Curve]:
    """Measure the noise of some samples and predict it.

    Parameters
    ----------
    corpus
        The corpus.
    samples
        Numbers of valid samples.
    neca_weights
        Where the networks are that a corpus of NeCA's noise was made with; without them nothing is
        predicted of it, except where the camera's shipped ones made it.

    Returns
    -------
    list of Curve
        One a colour channel, or one a CFA plane where mosaics are stored.

    Raises
    ------
    NoisegenError
        If the networks are others, or of no use.
    """
    developer = _model(corpus, neca_weights)
    mosaic = corpus.recipe.stage == "raw"
    names = cfa.PLANES if mosaic else ("R", "G", "B")
    top = _top(corpus)
    sums = [_Sums(*(np.zeros(BINS) for _ in range(4))) for _ in names]
    for number in samples:
        sample = corpus[number]
        clean, noisy, draws = _compare(corpus, number, sample, developer)
        clipped = None if mosaic else np.iinfo(sample.arrays["clean"].dtype).max
        for channel, (values, residual, model) in enumerate(
            _channels(clipped, sample.row, clean, noisy, draws)
        ):
            zero = _zero(corpus, sample.row)
            _add(sums[channel], (values - zero) / (top - zero), values, residual, model)
    return [_curve(name, total) for name, total in zip(names, sums, strict=True)]


def expected(corpus: Corpus, number: int, sample: Sample) -> npt.NDArray[Any]:
    """Return what the noisy picture would be without noise: the darkened clean one in low light."""
    if isinstance(corpus.developer, RenderedDeveloper):
        return sample.arrays["clean"]
    row, tile, window = _tile(corpus, number, sample)
    quiet = row.copy()
    for name in ("shot", "read", "row", "bias", "source_shot", "source_read"):
        quiet[name] = 0
    developer = replace(_afresh(corpus), sensor=Sensor("heteroscedastic", "adc", ()))
    return developer.sample(quiet, tile, window)["noisy"]


def _afresh(corpus: Corpus) -> AnyDeveloper:
    """Return what draws a corpus's noise anew: normal noise of their variance for dark frames."""
    made = corpus.developer
    if not isinstance(made, Developer) or not corpus.recipe.dark_frames:
        return made
    recipe = corpus.recipe.model_copy(update={"dark_frames": {}})
    return replace(made, recipe=recipe, sensor=recorded(made.sensor, corpus.recipe))


def _model(corpus: Corpus, neca_weights: str | None) -> AnyDeveloper | None:
    """Return what draws as :func:`_afresh`, with NeCA's networks; None where nothing does."""
    made = corpus.developer
    if isinstance(made, NecaDeveloper):
        return neca.at_hand(made, neca_weights)
    if neca_weights is not None:
        raise InputError(
            f"--neca-weights: the noise of {corpus.storage.url} is not NeCA's; leave them out"
        )
    # RGB-IR mosaics tell, which a corpus has not.
    return None if corpus.recipe.is_rgbir else _afresh(corpus)


def _predicted(corpus: Corpus, row: np.void, quiet: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the root mean square of the noise and bias that the formula gives each pixel.

    The body's fixed pattern is known, and counts as what it does to each pixel. NaN where the noise
    reaches a limit of the codes, of which the formula knows nothing, and in stuck pixels.
    """
    phase, white = cfa.PHASES[int(row["cfa"])], float(row["white"])
    black = cfa.by_position(row["black"], phase)
    tiles = [length // 2 for length in quiet.shape]
    zero = np.tile(black, tiles)
    planes = np.tile(cfa.planes(phase), tiles)
    ratio = float(row["exposure_ratio"]) if corpus.recipe.amplify else 1.0
    x = (quiet - zero) / (white - zero) / ratio
    levels = Levels(tuple(row["black"].tolist()), white, corpus.sensor.clips_at)
    model = models.get(recorded(corpus.sensor, corpus.recipe).model)
    body = body_parameters(row, corpus.sensor, levels)
    counter = body_counter(corpus.recipe, int(row["body"]))
    place = {"y": int(row["y"]), "x": int(row["x"])}
    fixed = pattern((quiet.shape[0], quiet.shape[1]), body, counter, levels, phase, **place)
    lit = x * fixed.light + fixed.charge / (white - zero)
    every = variance(lit, model, noise_parameters(row, corpus.sensor), levels, body.temporal)
    if corpus.recipe.source_noise.policy == "top-up":
        every = every - _present(row, lit, levels)
    own = np.take_along_axis(every, planes[..., None].astype(np.intp), -1)[..., 0]
    bias = row["bias"][planes] * (white - zero) if model.bias else 0.0
    shift = (lit - x) * (white - zero) + fixed.offset + bias
    std = ratio * np.sqrt(own + shift**2)
    low = zero if corpus.sensor.clips_at == "black" else 0.0
    inside = (quiet - CLEAR * std > low) & (quiet + CLEAR * std < white)
    return np.where(inside & (fixed.stuck == 0), std, np.nan)


def _present(row: np.void, x: npt.NDArray[np.float64], levels: Levels) -> npt.NDArray[np.float64]:
    """Return the variance of the clean mosaic's own noise in the noisy one, before amplifying, DN².

    ``x`` is the exposed signal, any shape; the four planes come last.
    """
    ratio = float(row["exposure_ratio"])
    shot, read = np.nan_to_num(row["source_shot"]), np.nan_to_num(row["source_read"])
    light = np.maximum(x, 0)[..., None]
    return np.asarray((shot * light / ratio + read / ratio**2) * np.square(levels.span))


def _compare(
    corpus: Corpus, number: int, sample: Sample, model: AnyDeveloper | None
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], list[npt.NDArray[Any]]]:
    """Return the noiseless and the noisy picture, and what the model says of their difference.

    That is the root of its mean square for a mosaic, fresh draws of it for a picture, and nothing
    for a real pair.
    """
    if corpus.recipe.is_real:
        clean, noisy = (sample.arrays[name].astype(np.float64) for name in ("clean", "noisy"))
        return clean, noisy, [np.full(clean.shape, np.nan)]  # no model tells
    row, tile, window = _tile(corpus, number, sample)
    quiet = expected(corpus, number, sample).astype(np.float64)
    draws = []
    if corpus.recipe.stage == "raw":
        draws.append(_predicted(corpus, row, quiet))
    elif model is None:
        draws.append(np.full(quiet.shape, np.nan))
    else:
        fresh = row.copy()
        if isinstance(model, NecaDeveloper):
            fresh["y"] = fresh["x"] = 0
            model = model.of_whole(tile, float(row["strength"]))
        for draw in range(DRAWS):
            fresh["draw"] = FIRST_FRESH_DRAW + draw
            draws.append(model.sample(fresh, tile, window)["noisy"] - quiet)
    clean = sample.arrays["clean"].astype(np.float64) if is_reference(corpus, row) else quiet
    return clean, sample.arrays["noisy"].astype(np.float64), draws


def is_reference(corpus: Corpus, row: np.void) -> bool:
    """Tell whether a stored clean picture went the way of the noisy one: in its light and finish.

    Where it did not, noise is what differs from :func:`expected`.
    """
    finish = corpus.recipe.finish
    if corpus.recipe.is_real:
        return True
    return float(row["exposure_ratio"]) == 1 and not (finish.is_on and finish.target == "render")


def _tile(corpus: Corpus, number: int, sample: Sample) -> tuple[np.void, npt.NDArray[Any], Window]:
    """Return a sample's clean mosaic, its surroundings stored or reflected, at its true place.

    Where noise is drawn on the picture, return the clean picture.
    """
    recipe, row = corpus.recipe, sample.row
    if isinstance(corpus.developer, RenderedDeveloper):
        return row, sample.arrays["clean"], corpus.window(row)
    if recipe.lazy:
        tile = corpus.reader(corpus.developer.tile.name)[number // corpus.plan.draws]
        return row, tile, corpus.window(row)
    window = corpus.window(row)
    name = {"raw": "clean", "both": "raw_clean"}.get(recipe.stage)
    if not name and recipe.finish.shrinks:
        picture = _enlarged(sample.arrays["clean"], row, window)
        return row, _unprocessed(corpus.developer, row, picture, window), window
    clean = sample.arrays[name or "clean"]
    bare = replace(window, halo=0)
    mosaic = clean if name else _unprocessed(corpus.developer, row, clean, bare)
    alone = Window(0, 0, recipe.patch, window.halo, recipe.patch, recipe.patch)
    return row, alone.cut(mosaic), window


def _enlarged(
    picture: npt.NDArray[np.uint8 | np.uint16], row: np.void, window: Window
) -> npt.NDArray[Any]:
    """Return a shrunk picture at the size of its tile, continued by reflection."""
    step = float(row["resize"])
    first = finishing.window(window.y, window.x, len(picture), step)
    edge = np.arange(window.patch + 2 * window.halo) - window.halo + 0.5
    y, x = ((at + edge) / step - 0.5 for at in (window.y, window.x))
    grid = np.meshgrid((x - first.left).astype(np.float32), (y - first.top).astype(np.float32))
    return np.asarray(cv2.remap(picture, *grid, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101))


def _unprocessed(
    developer: Developer, row: np.void, picture: npt.NDArray[Any], window: Window
) -> npt.NDArray[np.uint16]:
    """Return the mosaic of a picture of a window, its surroundings included."""
    recipe = developer.recipe
    linear = recipe.stage == "linear"
    if linear:
        values = (picture.astype(np.float32) - LINEAR_OFFSET) / LINEAR_SCALE
        picture = np.clip(values, 0, 1).astype(np.float32)
    parameters = isp_parameters(row, recipe.demosaic, recipe.gamma)
    phase = cfa.PHASES[int(row["cfa"])]
    white = float(row["white"])
    return unprocess(
        picture,
        phase,
        row["black"],
        white,
        parameters,
        encoded=not linear,
        shading=shading.of_row(
            row,
            recipe.shading,
            developer.own_shading,
            (window.height, window.width),
            window.halo,
        ),
    )


def _channels(
    top: int | None,
    row: np.void,
    clean: npt.NDArray[Any],
    noisy: npt.NDArray[Any],
    draws: list[npt.NDArray[Any]],
) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]]:
    """Return (level, squared residual, squared model residual) of each channel or plane.

    ``top`` is the largest value of a picture, None for a mosaic.
    """
    squared = np.mean([d * d for d in draws], axis=0)
    residual = (noisy - clean) ** 2
    if top is not None:
        # A clipped value does not say which colour it was: its noise cannot be predicted.
        whole = (clean > 0) & (clean < top)
        parts = [(clean[..., c], residual[..., c], squared[..., c]) for c in range(3)]
        return [
            (a[keep], b[keep], m[keep])
            for (a, b, m), keep in zip(parts, np.moveaxis(whole, 2, 0), strict=True)
        ]
    out = {}
    for (y, x), plane in np.ndenumerate(cfa.planes(cfa.PHASES[int(row["cfa"])])):
        part = (slice(y, None, 2), slice(x, None, 2))
        known = np.isfinite(squared[part])
        out[int(plane)] = (clean[part][known], residual[part][known], squared[part][known])
    return [out[plane] for plane in range(4)]


def _add(
    sums: _Sums,
    place: npt.NDArray[Any],
    level: npt.NDArray[Any],
    residual: npt.NDArray[Any],
    model: npt.NDArray[Any],
) -> None:
    # Bins of equal width in the square root resolve the shadows, where noise changes fastest.
    at = np.minimum(np.sqrt(np.clip(place, 0, 1)) * BINS, BINS - 1).astype(np.intp).ravel()
    sums.count += np.bincount(at, minlength=BINS)
    for total, values in ((sums.level, level), (sums.measured, residual), (sums.model, model)):
        total += np.bincount(at, values.ravel(), BINS)


def _curve(name: str, sums: _Sums) -> Curve:
    count = np.where(sums.count >= MIN_PIXELS, sums.count, np.nan)
    return Curve(
        name,
        count,
        sums.level / count,
        np.sqrt(sums.measured / count),
        np.sqrt(sums.model / count),
    )


def _zero(corpus: Corpus, row: np.void) -> float:
    """Return the stored value of no light."""
    if corpus.recipe.stage == "raw":
        return float(row["black"].min())
    return LINEAR_OFFSET if corpus.recipe.stage == "linear" else 0.0


def _top(corpus: Corpus) -> float:
    """Return the largest level of a stored value."""
    if corpus.recipe.stage == "raw":
        return float(np.nanmax(corpus.table["white"]))
    if corpus.recipe.stage == "linear":
        return LINEAR_OFFSET + LINEAR_SCALE
    return float((1 << corpus.recipe.depth) - 1)
