"""A camera's noise as a picture: noise against signal, and read noise against the setting."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from catalogs.camera import Camera
from catalogs.camera_noise import G1, Range, Table
from noisegen.sensor import models, variance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROUNDING = math.sqrt(1 / 12)
"""Standard deviation in DN of rounding to whole codes."""

CURVES = 6
"""Most curves in one plot."""


def plot(camera: Camera, file: str | Path) -> None:
    """Draw a camera's noise curves into a picture file.

    Left, the standard deviation of a stored code against the signal (plane G1, both in DN) at
    several ISOs or gains; right, the read noise against the setting with the calibrated points.
    Regressions and priors are drawn at their median, with a band of one standard deviation right.

    Parameters
    ----------
    camera
        The camera.
    file
        Picture to write; the suffix gives the format. It is replaced if it is there.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the suffix names no picture format.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    axis = camera.iso_range or camera.gain_range or (math.nan, math.nan)
    figure = Figure(figsize=(11, 4.8) if axis[1] > axis[0] else (6.2, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{camera.name}: {camera.title}", fontsize=11)
    left, *others = figure.subplots(1, 2 if axis[1] > axis[0] else 1, squeeze=False)[0]
    _curves(left, camera)
    for right in others:
        _read(right, camera, axis)
    for axes in (left, *others):
        axes.grid(which="major", color="0.85", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)


def settings(camera: Camera) -> tuple[float, ...]:
    """Return a few ISOs (or gains, for a camera without ISO) that span the camera's range."""
    if isinstance(camera.noise, Table):
        known = [p.iso or p.shot[G1] for p in camera.noise.points]
        if camera.iso_range is None:
            # A table's shot gains grow with K, so its ends are the gains' ends.
            low, high = camera.gain_range or (1.0, 1.0)
            known = [k * low / known[0] for k in known] if low < high else [low]
        picks = np.linspace(0, len(known) - 1, min(CURVES, len(known))).round().astype(int)
        return tuple(float(known[i]) for i in picks)
    low, high = camera.iso_range or camera.gain_range or (1.0, 1.0)
    return tuple(float(v) for v in np.geomspace(low, high, CURVES))


def _variance(camera: Camera, setting: float, x: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the variance in DN² of a stored code of plane G1 at signal ``x`` (normalised)."""
    # The model with the most terms that the camera has Gaussian figures for.
    name = "eld-gaussian" if "row" in camera.noise.has else "heteroscedastic"
    if camera.iso_range is None:
        state = camera.typical(model=name, gain=setting)
    else:
        state = camera.typical(model=name, iso=setting)
    return variance(x, models.get(name), state.parameters, camera.levels)[..., G1]


def _curves(axes: "Axes", camera: Camera) -> None:
    from matplotlib import colormaps

    full = camera.levels.span[G1]
    signal = np.geomspace(0.5, full, 200)
    chosen = settings(camera)
    colors = colormaps["viridis"](np.linspace(0, 0.88, len(chosen)))
    for setting, color in zip(chosen, colors, strict=True):
        std = np.sqrt(_variance(camera, setting, signal / full))
        axes.loglog(signal, std, color=color, linewidth=1.6)
        name = f"ISO {setting:.0f}" if camera.iso_range else f"K = {setting:.3g} DN/e⁻"
        axes.annotate(
            name,
            (signal[-1], std[-1]),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=color,
        )
    _mark_quantisation(axes, signal[0])
    axes.set_xlabel("signal above black [DN]")
    axes.set_ylabel("standard deviation of a stored code [DN]")
    axes.set_title(f"Noise against signal (white at {full:.0f} DN)", fontsize=10)


def _read(axes: "Axes", camera: Camera, ends: Range) -> None:
    noise = camera.noise
    grid = np.geomspace(*ends, 200)
    for line in _split(grid, camera.breakpoints if isinstance(noise, Table) else ()):
        dark = np.sqrt([_variance(camera, float(s), 0) for s in line])
        axes.loglog(line, dark, color="#31688e", linewidth=1.6)
        sigma = _scatter(camera)
        if sigma:
            low, high = dark * math.exp(-sigma), dark * math.exp(sigma)
            axes.fill_between(
                line, low, high, color="#31688e", alpha=0.18, linewidth=0, label="1 σ of the draws"
            )
    if isinstance(noise, Table):
        known = [p.iso or p.shot[G1] for p in noise.points]
        scale = 1.0 if camera.iso_range else ends[0] / known[0]
        places = [min(k * scale, ends[1]) for k in known]
        published = np.sqrt([_variance(camera, p, 0) for p in places])
        axes.loglog(places, published, "o", color="#31688e", markersize=5, label="published")
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=8, frameon=False, loc="upper left")
    _mark_quantisation(axes, ends[0])
    if camera.iso_range:
        axes.set_xticks(settings(camera), [f"{s:.0f}" for s in settings(camera)])
        axes.minorticks_off()
    axes.set_xlabel("ISO" if camera.iso_range else "system gain K [DN/e⁻]")
    axes.set_ylabel("standard deviation in the dark [DN]")
    axes.set_title("Noise in the dark: read, row and quantisation", fontsize=10)


def _mark_quantisation(axes: "Axes", x: float) -> None:
    axes.axhline(ROUNDING, color="0.5", linestyle=":", linewidth=1)
    axes.annotate(
        "rounding to whole codes",
        (x, ROUNDING),
        xytext=(0, 3),
        textcoords="offset points",
        fontsize=8,
        color="0.4",
    )


def _scatter(camera: Camera) -> float:
    """Return the standard deviation of the natural logarithm of the read noise's deviation."""
    noise = camera.noise
    if noise.kind == "regression":
        return noise.gaussian_read.sigma
    return noise.read.sigma / 2 if noise.kind == "prior" else 0.0


def _split(
    grid: npt.NDArray[np.float64], breakpoints: tuple[float, ...]
) -> list[npt.NDArray[np.float64]]:
    """Cut a grid at the breakpoints, so that no line is drawn across a gain mode's step."""
    cuts = [int(np.searchsorted(grid, b)) for b in breakpoints]
    return [part for part in np.split(grid, cuts) if len(part)]
