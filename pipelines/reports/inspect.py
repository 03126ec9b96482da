"""The page of ``noisegen inspect``: a corpus's samples, their noise, and what was drawn."""

from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from noisegen import cfa
from noisegen.isp.bulk import LINEAR_OFFSET, LINEAR_SCALE
from pipelines.corpus import Corpus
from pipelines.measure import Curve, expected, is_reference, noise_curves
from pipelines.parameters import PARAMETERS, Parameter
from pipelines.realism.measures import BLOCK, REACH, Array, Measures, measure
from pipelines.realism.noise import NoiseField, noise_field
from pipelines.reports import page
from pipelines.reports.realism import draw_correlation
from pipelines.sheet import MEASURED, SHOWN, spread, views

BOOKKEEPING = frozenset({"valid", "image", "index", "draw", "key", "y", "x"})
"""Parameters that say which sample it is, not how it was made."""

COMPONENTS = {
    "plane": cfa.PLANES,
    "color": ("R", "G", "B"),
    "camera_color": ("R", "G", "B"),
    "xyz": ("X", "Y", "Z"),
    "radial": ("k1", "k2", "k3"),
    "axis": ("y", "x"),
}
"""Names along the dimensions of recorded parameters."""

HISTOGRAM_BINS = 30
"""Bins of a parameter's histogram."""


def inspect_page(corpus: Corpus, neca_weights: str | None = None) -> tuple[str, list[Curve]]:
    """Return the page as HTML, and the curves of noise against the model's that are on it.

    Parameters
    ----------
    corpus
        A corpus with at least one sample.
    neca_weights
        As in :func:`~pipelines.measure.noise_curves`.

    Raises
    ------
    DamagedCorpusError
        If no sample is there yet.
    NoisegenError
        If the networks are others, or of no use.
    """
    numbers = spread(corpus, MEASURED)
    curves = noise_curves(corpus, numbers, neca_weights)
    names = tuple(curve.name for curve in curves)
    side = corpus.recipe.patch // (2 if corpus.recipe.stage == "raw" else 1)
    block = min(BLOCK, 1 << (side.bit_length() - 1))
    noise = measure((noise_of(corpus, number) for number in numbers), block)
    known = bool(np.isfinite(noise.channels).all())
    html = page.render(
        "inspect.html",
        corpus=corpus,
        valid=len(corpus.valid),
        measured=len(numbers),
        mosaic=corpus.recipe.stage == "raw",
        samples=[_sample(corpus, number) for number in spread(corpus, SHOWN)],
        curves=curves,
        curve_figure=_curve_figure(corpus, curves),
        names=names,
        lags=_lags(noise) if known else None,
        correlation=noise.channels,
        covariance=_covariance(noise),
        map_figure=_map_figure(noise, names) if known else None,
        spectrum_figure=_spectrum_figure(noise, names, block) if known else None,
        histogram_figure=_histogram_figure(corpus),
        constants=_constants(corpus),
        source_noise=source_noise(corpus),
        source_figure=_source_figure(corpus),
        recipe=corpus.recipe.to_toml(),
    )
    return html, curves


def noise_of(corpus: Corpus, number: int) -> NoiseField:
    """Return a sample's noise; that of a mosaic plane by plane (R, G1, B, G2), at half the size."""
    sample = corpus[number]
    row, noisy = sample.row, sample.arrays["noisy"]
    same = is_reference(corpus, row)
    clean = sample.arrays["clean"] if same else expected(corpus, number, sample)
    if corpus.recipe.stage == "linear":
        return noise_field(
            clean, noisy, LINEAR_OFFSET, LINEAR_OFFSET + LINEAR_SCALE, limits=(0, (1 << 16) - 1)
        )
    if corpus.recipe.stage == "raw":
        phase, white = cfa.PHASES[int(row["cfa"])], float(row["white"])
        least = row["black"] if corpus.sensor.clips_at == "black" else 0
        return noise_field(
            _planes(clean, phase),
            _planes(noisy, phase),
            row["black"],
            white,
            limits=(least, white),
        )
    return noise_field(clean, noisy)


def source_noise(corpus: Corpus) -> Array:
    """Return the clean picture's own noise over the noise that was put on, a sample.

    Both are variances at the patch's mean level, of the mean of the planes, at the source's light;
    samples of which it is not recorded are left out.
    """
    rows = corpus.table[corpus.valid]
    level = rows["mean"][:, None].astype(np.float64)
    # The input's noise in units of the clean signal, which had so many times more light.
    ratio = rows["exposure_ratio"][:, None]
    own = rows["source_shot"] * level + rows["source_read"]
    put = (rows["shot"] * level / ratio + rows["read"]) * ratio**2
    share = own.mean(1) / put.mean(1)
    return np.asarray(share[np.isfinite(share)], np.float64)


def _planes(mosaic: npt.NDArray[Any], phase: cfa.Phase) -> npt.NDArray[Any]:
    """Return the planes R, G1, B, G2 of an (H, W) mosaic as (H/2, W/2, 4)."""
    places = {int(plane): place for place, plane in np.ndenumerate(cfa.planes(phase))}
    return np.stack([mosaic[places[c][0] :: 2, places[c][1] :: 2] for c in range(4)], -1)


def _sample(corpus: Corpus, number: int) -> tuple[str, list[page.View]]:
    """Return what a sample is called and looks like."""
    shown = views(corpus, number)
    return shown.label, [page.view(title, picture) for title, picture in shown.pictures]


def _lags(noise: Measures) -> Array:
    """Return correlations down and across at lags 1 and 2, a channel."""
    return np.concatenate([noise.lags(1), noise.lags(2)], axis=1)


def _covariance(noise: Measures) -> Array:
    """Return the channels' covariance at one pixel, in squared 8-bit levels.

    It is the correlation of standard noise times the channels' standard deviations over all levels.
    """
    std = np.sqrt(noise.square_sum.sum(1) / noise.share.sum(1))
    return np.asarray(noise.channels * std[:, None] * std, np.float64)


def _curve_figure(corpus: Corpus, curves: list[Curve]) -> Markup:
    unit = "DN" if corpus.recipe.stage == "raw" else "stored levels"

    def on(figure: Figure) -> None:
        for axes, curve in zip(figure.subplots(1, len(curves), sharey=True), curves, strict=True):
            there = np.isfinite(curve.level)
            color = page.CHANNEL_COLORS[curve.name]
            if curve.has_model:
                predicted = curve.model[there]
                axes.plot(curve.level[there], predicted, color=page.INK, lw=1, label="model")
            axes.plot(
                curve.level[there],
                curve.measured[there],
                "o",
                color=color,
                ms=3.5,
                label="measured",
            )
            axes.set_title(curve.title)
            axes.set_xlabel(f"level ({unit})")
            axes.legend()
        figure.axes[0].set_ylim(bottom=0)
        figure.axes[0].set_ylabel(f"standard deviation ({unit})")

    return page.figure("curves", 760, 240, on, "Standard deviation of the noise against the level")


def _map_figure(noise: Measures, names: tuple[str, ...]) -> Markup:
    def on(figure: Figure) -> None:
        axes = figure.subplots(1, len(names))
        for c, (one, name) in enumerate(zip(axes, names, strict=True)):
            values = noise.correlation[c, c].copy()
            values[REACH, REACH] = np.nan
            mesh = draw_correlation(one, values)
            one.set_title(name)
        figure.colorbar(mesh, ax=axes, shrink=0.8, aspect=30, label="correlation")

    return page.figure("maps", 90 + 165 * len(names), 200, on, "Correlation at small lags")


def _spectrum_figure(noise: Measures, names: tuple[str, ...], block: int) -> Markup:
    panels = (("rows", noise.rows), ("columns", noise.columns), ("all directions", noise.radial))

    def on(figure: Figure) -> None:
        for axes, (title, spectra) in zip(
            figure.subplots(1, len(panels), sharey=True), panels, strict=True
        ):
            for power, name in zip(spectra, names, strict=True):
                axes.plot(
                    noise.frequencies,
                    10 * np.log10(power),
                    color=page.CHANNEL_COLORS[name],
                    lw=1.2,
                    label=name,
                )
            axes.set_title(title)
            axes.set_xlabel("cycles a pixel")
        figure.axes[0].set_ylabel("dB")
        figure.axes[0].legend()

    return page.figure("spectra", 760, 240, on, f"Spectra of means in blocks of {block} pixels")


def _varying(corpus: Corpus) -> list[tuple[Parameter, Array]]:
    """Return the recorded parameters that vary, with their finite values (samples, components)."""
    rows = corpus.table[corpus.valid]
    out = []
    for parameter in PARAMETERS:
        values = rows[parameter.name].reshape(len(rows), -1).astype(np.float64)
        if parameter.name not in BOOKKEEPING and _spread(values):
            out.append((parameter, values))
    return out


def _spread(values: Array) -> bool:
    finite = values[np.isfinite(values).all(1)]
    return bool(len(finite) and (finite != finite[0]).any())


def _constants(corpus: Corpus) -> list[tuple[str, str]]:
    """Return the recorded parameters that are known and the same in all samples, as texts."""
    first = corpus.table[corpus.valid[0]]
    varying = {parameter.name for parameter, _ in _varying(corpus)}
    out = []
    for parameter in PARAMETERS:
        values = np.ravel(first[parameter.name]).astype(np.float64)
        if parameter.name in BOOKKEEPING | varying or np.isnan(values).all():
            continue
        unit = "" if parameter.units == "1" else f" {parameter.units}"
        out.append((parameter.name, ", ".join(f"{v:.5g}" for v in values) + unit))
    return out


def _histogram_figure(corpus: Corpus) -> Markup | None:
    varying = _varying(corpus)
    if not varying:
        return None
    across = 4
    down = -(-len(varying) // across)

    def on(figure: Figure) -> None:
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for one, (parameter, values) in zip(axes, varying, strict=False):
            _histogram(one, parameter, values)
        for one in axes[len(varying) :]:
            one.set_visible(False)

    return page.figure("histograms", 760, 130 * down, on, "Histograms of the recorded parameters")


def _histogram(axes: Any, parameter: Parameter, values: Array) -> None:
    finite = values[np.isfinite(values).all(1)]
    edges: Any = HISTOGRAM_BINS
    if finite.min() > 0 and finite.max() > 20 * finite.min():  # what was drawn log-uniformly
        edges = np.geomspace(finite.min(), finite.max(), HISTOGRAM_BINS + 1)
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    names = COMPONENTS[parameter.dims[-1]] if parameter.dims else None
    for c, column in enumerate(finite.T):
        named = names[c % len(names)] if names else None
        color = page.CHANNEL_COLORS.get(named or "", page.COLORS[1])
        axes.hist(column, bins=edges, histtype="step", color=color, lw=1.2)
    axes.set_title(parameter.name)
    axes.set_yticks([])
    axes.tick_params(labelsize=7)
    if parameter.units != "1":
        axes.set_xlabel(parameter.units, fontsize=7)


def _source_figure(corpus: Corpus) -> Markup | None:
    share = source_noise(corpus)
    share = share[share > 0]
    if not len(share):
        return None

    def on(figure: Figure) -> None:
        axes = figure.subplots()
        low, high = share.min(), share.max()
        edges = np.geomspace(low * 0.99, high * 1.01, HISTOGRAM_BINS).tolist()
        axes.hist(share, bins=edges, histtype="step", color=page.COLORS[1], lw=1.5)
        axes.axvline(corpus.recipe.source_noise.max_share, color=page.INK, lw=1, ls=":")
        axes.set_xscale("log")
        axes.set_xlabel("variance of the clean picture's own noise over that put on")

    return page.figure("source", 380, 200, on, "Source noise over target noise")
