"""The contact sheet: samples at 1:1, and their noise against the model's."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from noisegen import cfa
from noisegen.errors import DamagedCorpusError, StorageError
from noisegen.isp.bulk import LINEAR_OFFSET, LINEAR_SCALE, render
from noisegen.isp.transfer import encode
from pipelines.corpus import Corpus, Sample
from pipelines.develop import isp_parameters
from pipelines.measure import Curve, expected, noise_curves

SHOWN = 8
"""Samples shown."""

WIDTH = 1000
"""Pixels that the sheet may be wide; samples stand side by side while they fit."""

MEASURED = 48
"""Samples whose noise is measured."""

AMPLIFICATION = 4
"""The difference is shown this many times larger, about mid-grey."""

_GAP = 8
_LINE = 20
_PLOT_HEIGHT = 420
_COLORS = {"R": "#c62828", "G": "#2e7d32", "G1": "#2e7d32", "G2": "#9ccc65", "B": "#1565c0"}

Picture = npt.NDArray[np.uint8]


def contact_sheet(corpus: Corpus, out: str | Path, neca_weights: str | None = None) -> list[Curve]:
    """Draw a contact sheet to a PNG file and return the curves on it.

    Parameters
    ----------
    corpus
        A corpus with at least one sample.
    out
        The file.
    neca_weights
        As in :func:`~pipelines.measure.noise_curves`.

    Raises
    ------
    DamagedCorpusError
        If no sample is there yet.
    StorageError
        If the file cannot be written.
    NoisegenError
        If the networks are others, or of no use.
    """
    curves = noise_curves(corpus, spread(corpus, MEASURED), neca_weights)
    cells = [_cell(views(corpus, number)) for number in spread(corpus, SHOWN)]
    grid = _grid(cells)
    plot = _plot(corpus, curves, max(grid.shape[1], 760))
    width = max(grid.shape[1], plot.shape[1])
    sheet = np.concatenate([_pad(grid, width), _pad(plot, width)])
    ok, data = cv2.imencode(".png", sheet[..., ::-1])
    try:
        Path(out).write_bytes(data.tobytes() if ok else b"")
    except OSError as error:
        raise StorageError(f"{out}: cannot write: {error.strerror}; choose another --out") from None
    return curves


def spread(corpus: Corpus, most: int) -> list[int]:
    """Return the numbers of so many samples, evenly spread.

    Raises
    ------
    DamagedCorpusError
        If no sample is there yet.
    """
    valid = corpus.valid
    if not len(valid):
        raise DamagedCorpusError(f"{corpus.storage.url}: no sample is there yet, nothing to show")
    at = np.linspace(0, len(valid) - 1, min(most, len(valid))).astype(int)
    return [int(number) for number in valid[at]]


@dataclass(frozen=True)
class Views:
    """What a sample looks like: 8-bit sRGB pictures of one size, under their titles."""

    label: str
    pictures: tuple[tuple[str, Picture], ...]


def views(corpus: Corpus, number: int) -> Views:
    """Return a sample's clean and noisy picture and their difference."""
    sample = corpus[number]
    row = sample.row
    dark = not corpus.recipe.is_real and float(row["exposure_ratio"]) != 1
    clean = expected(corpus, number, sample) if dark else sample.arrays["clean"]
    shown, noisy = (_visible(corpus, sample, array) for array in (clean, sample.arrays["noisy"]))
    difference = (noisy.astype(np.int16) - shown) * AMPLIFICATION + 128
    if corpus.recipe.on_picture:
        strength = f", strength {row['strength']:.2f}"
    elif np.isfinite(row["iso"]):
        strength = f", ISO {row['iso']:.0f}"
    else:
        strength = "" if corpus.recipe.is_real else f", K {row['gain']:.3g} DN/e-"
    ratio = f", 1/{row['exposure_ratio']:.0f} light" if dark else ""
    label = f"{number}: {corpus.images.names[int(row['image'])]}{strength}{ratio}"
    titles = ("clean / ratio" if dark else "clean", "noisy", f"difference x {AMPLIFICATION}")
    pictures = (shown, noisy, np.clip(difference, 0, 255).astype(np.uint8))
    return Views(label, tuple(zip(titles, pictures, strict=True)))


def _cell(sample: Views) -> Picture:
    """Draw one sample: its pictures side by side under their titles."""
    patch = sample.pictures[0][1].shape[0]
    step = patch + _GAP
    cell = np.full((2 * _LINE + step, max(len(sample.pictures) * step, 300), 3), 255, np.uint8)
    _write(cell, sample.label, 0, _LINE - 6)
    for column, (title, picture) in enumerate(sample.pictures):
        _write(cell, title, column * step, 2 * _LINE - 6)
        cell[2 * _LINE : 2 * _LINE + patch, column * step : column * step + patch] = picture
    return cell


def _visible(corpus: Corpus, sample: Sample, array: npt.NDArray[Any]) -> Picture:
    """Return a stored array as an 8-bit sRGB picture."""
    recipe, row = corpus.recipe, sample.row
    if recipe.stage == "raw":
        parameters = isp_parameters(row, "malvar", "srgb")
        phase = cfa.PHASES[int(row["cfa"])]
        return render(array, phase, row["black"], float(row["white"]), parameters)
    if recipe.stage == "linear":
        x = np.clip((array.astype(np.float64) - LINEAR_OFFSET) / LINEAR_SCALE, 0, 1)
        return np.round(encode(x, "srgb") * 255).astype(np.uint8)
    return array if array.dtype == np.uint8 else np.round(array / 257).astype(np.uint8)


def _grid(cells: list[Picture]) -> Picture:
    across = max(1, WIDTH // cells[0].shape[1])
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % across)
    lines = [np.concatenate(cells[i : i + across], 1) for i in range(0, len(cells), across)]
    return np.pad(np.concatenate(lines), ((_GAP, 0), (_GAP, 0), (0, 0)), constant_values=255)


def _write(sheet: Picture, text: str, x: int, y: int) -> None:
    cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (40, 40, 40), 1, cv2.LINE_AA)


def _plot(corpus: Corpus, curves: list[Curve], width: int) -> Picture:
    unit = "DN" if corpus.recipe.stage == "raw" else "stored levels"
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(width / 100, _PLOT_HEIGHT / 100), dpi=100, layout="constrained")
        axes = figure.add_subplot()
        for curve in curves:
            color = _COLORS[curve.name]
            there = np.isfinite(curve.level)
            level, model, measured = (v[there] for v in (curve.level, curve.model, curve.measured))
            if curve.has_model:
                axes.plot(level, model, color=color, lw=1.2, label=f"{curve.name}, model")
            label = f"{curve.name}, measured"
            label += f": variance x {curve.ratio:.3f}" if curve.has_model else ""
            axes.plot(level, measured, "o", color=color, ms=3.5, label=label)
        axes.set_xlabel(f"level of the noiseless picture ({unit})")
        axes.set_ylabel(f"standard deviation ({unit})")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, ncols=2)
        axes.set_title(
            f"camera {corpus.recipe.camera}, noise {corpus.recipe.noise}, stage "
            f"{corpus.recipe.stage}: noise measured in {min(MEASURED, len(corpus.valid))} samples",
            loc="left",
        )
        picture = io.BytesIO()
        FigureCanvasAgg(figure).print_png(picture)  # type: ignore[no-untyped-call]
    data = np.frombuffer(picture.getvalue(), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]


def _pad(picture: Picture, width: int) -> Picture:
    missing = width - picture.shape[1]
    return np.pad(picture, ((0, 0), (0, missing), (0, 0)), constant_values=255)
