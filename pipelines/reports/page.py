"""A page: a template filled in, with pictures as data URIs and figures as SVG."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import jinja2
import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from noisegen import __version__
from noisegen.errors import StorageError

INK = "#123456"
"""Colour of text and axes in a figure; on the page it is the page's own, light or dark."""

COLORS = ("#d55e00", "#2f8fd0", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours of what is compared: told apart by the colour-blind, on light and dark pages."""

CHANNEL_COLORS = {"R": "#e04a3f", "G": "#3f9e4a", "G1": "#3f9e4a", "G2": "#9ccc65", "B": "#3f7fd8"}

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.facecolor": "none",
    "legend.frameon": False,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color",
         "ytick.color", "grid.color"),
        INK,
    ),
    "grid.alpha": 0.2,
    "axes.grid": True,
}  # fmt: skip


OWN = "pipelines.reports"
"""The package whose templates others extend."""


def render(template: str, *, package: str = OWN, **values: Any) -> str:
    """Fill a template in.

    Parameters
    ----------
    template
        Its name.
    package
        Where it lies, in ``templates``; it may extend those of this package.
    values
        What it shows.
    """
    packages = dict.fromkeys((package, OWN))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(version=__version__, **values)


def write(out: str | Path, text: str) -> None:
    """Write a page, or a file beside it.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    try:
        Path(out).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{out}: cannot write: {error.strerror}; choose another path") from None


def png(picture: npt.NDArray[np.uint8]) -> str:
    """Return an (H, W, 3) R, G, B picture as the data URI of a PNG."""
    _, data = cv2.imencode(".png", picture[..., ::-1])
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode("ascii")


class View(NamedTuple):
    """A picture of a page, shown pixel for pixel: see ``views.html``."""

    title: str
    uri: str
    width: int
    height: int


def view(title: str, picture: npt.NDArray[np.uint8]) -> View:
    """Return an (H, W, 3) R, G, B picture to be shown."""
    height, width, _ = picture.shape
    return View(title, png(picture), width, height)


def figure(
    name: str, width: float, height: float, draw: Callable[[Figure], None], label: str
) -> Markup:
    """Return a figure as an SVG element in the page's colours.

    Parameters
    ----------
    name
        Its name, different from the others' on the page.
    width, height
        Size in hundredths of a pixel of the page, as it is meant to be seen.
    draw
        Draws into the empty figure.
    label
        What it shows, for those who do not see it.
    """
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        empty = Figure(figsize=(width / 72, height / 72), dpi=72, layout="constrained")
        empty.patch.set_alpha(0)
        draw(empty)
        text = io.StringIO()
        canvas = FigureCanvasSVG(empty)
        canvas.print_svg(text, metadata={"Date": None})  # type: ignore[no-untyped-call]
    svg = text.getvalue()
    # The element alone: HTML knows no XML prologue. matplotlib has escaped all texts in it.
    element = svg[svg.index("<svg") + len("<svg") :].replace(INK, "currentColor")
    return Markup(f'<svg role="img" aria-label="{escape(label)}"{element}')
