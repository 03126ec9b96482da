"""The page and the table of an evaluation."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from denoisers.evaluation.looks import SIDE, Codes, Look, Looks
from denoisers.evaluation.result import Result
from denoisers.storage import make_folder, write_text
from noisegen.errors import InputError
from pipelines.reports import page

COLORMAP = "inferno"
"""Of errors."""

LISTED = 200
"""Pictures up to which the page has a row for each."""

FILES = ("results.json", "results.csv", "report.html")
"""What is written of figures."""


@dataclass(frozen=True)
class Column:
    """A column of a table: the key of its values, its title, and the decimals shown."""

    key: str
    title: str
    decimals: int

    def text(self, values: dict[str, float]) -> str:
        """Return a cell; a dash where there is no number."""
        value = values[self.key] if self.key != "gain" else values["psnr"] - values["noisy_psnr"]
        if math.isnan(value):
            return "–"
        sign = "+" if self.key == "gain" else ""
        return f"{value:{sign}.{self.decimals}f}"


def begin(out: Path, *, overwrite: bool) -> None:
    """Make the folder of the results.

    Raises
    ------
    InputError
        If results are there that are not to be replaced.
    StorageError
        If it cannot be made.
    """
    there = [out / name for name in FILES if (out / name).exists()]
    if there and not overwrite:
        raise InputError(f"{there[0]} is there already; give another --out, or --overwrite")
    make_folder(out)


def columns(result: Result) -> tuple[Column, ...]:
    """Return the columns of the table of a result."""
    noisy = (Column("noisy_psnr", "noisy PSNR", 2), Column("noisy_ssim", "noisy SSIM", 4))
    measured = tuple(Column(m.key, m.title, m.decimals) for m in result.protocol.measures)
    return (*noisy, *measured[:2], Column("gain", "gain", 2), *measured[2:])


def title(result: Result) -> str:
    """Return what was tested on what."""
    sigma = result.settings["sigma"]
    noise = "" if sigma is None else f", σ = {sigma:g}"
    return f"{result.model['card']['model']} on {result.protocol.name}{noise}"


def write(result: Result, shown: Looks, out: Path) -> tuple[Path, ...]:
    """Write the files of a result into a folder that is there, and return their paths.

    Raises
    ------
    StorageError
        If a file cannot be written.
    """
    texts = {"results.json": result.to_json()}
    if result.scores:
        texts |= {"results.csv": result.to_csv(), "report.html": report(result, shown)}
    for name, text in texts.items():
        write_text(out / name, text)
    return tuple(out / name for name in texts)


def report(result: Result, shown: Looks) -> str:
    """Return the page as HTML."""
    spread, worst = shown.all()
    white = _white([*spread, *worst])
    return page.render(
        "evaluate.html",
        package="denoisers.evaluation",
        result=result,
        heading=title(result),
        columns=columns(result),
        rows=[*result.groups, result.mean],
        scores=result.scores if len(result.scores) <= LISTED else (),
        looks=[
            (heading, [(_label(look), _views(look, white)) for look in those])
            for heading, those in (("Spread over the test", spread), ("Gained least", worst))
            if those
        ],
        scale=page.png(_coloured(np.tile(np.linspace(0, white, 240), (12, 1)), white)),
        white=white,
    )


def _label(look: Look) -> str:
    return f"{look.name}: {look.noisy_psnr:.2f} → {look.psnr:.2f} dB"


def _views(look: Look, white: float) -> list[page.View]:
    views = [_view(name, picture) for name, picture in look.crops]
    views.append(_view("error", _coloured(look.error, white)))
    if look.map is not None:
        whole = _coloured(look.map, white)
        left, top, right, bottom = look.box
        cv2.rectangle(whole, (left, top), (right, bottom), (255, 255, 255), 1)
        views.append(_view("error of the whole picture", whole))
    return views


def _view(name: str, picture: Codes) -> page.View:
    """Return a picture to be shown, small ones enlarged by a whole number."""
    view = page.view(name, picture)
    times = max(1, SIDE // max(view.width, view.height))
    return view._replace(width=view.width * times, height=view.height * times)


def _white(those: list[Look]) -> float:
    """Return the error that is shown white, in 8-bit levels: nearly all are below."""
    if not those:
        return 1.0
    top = float(np.quantile(np.concatenate([look.error.ravel() for look in those]), 0.995))
    return float(max(4, math.ceil(top)))


def _coloured(error: npt.NDArray[Any], white: float) -> Codes:
    """Return errors as (h, w, 3) uint8 colours."""
    values: npt.NDArray[Any] = mpl.colormaps[COLORMAP](np.clip(error / white, 0, 1), bytes=True)
    return np.ascontiguousarray(values[..., :3])
