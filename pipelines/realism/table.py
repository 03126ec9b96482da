"""The numbers of a comparison as a table: for the terminal, for a page, and as Markdown."""

from dataclasses import dataclass

import numpy as np

from pipelines.realism.comparison import AREAS, Comparison

ALIKE = 2
"""A distance is like that of two halves of the real set within this many standard deviations."""


@dataclass(frozen=True)
class Row:
    """How one measure is shown.

    Attributes
    ----------
    name
        Its name in the results.
    title, unit
        What it is called, and its unit; empty for pure numbers.
    digits
        Digits after the point.
    """

    name: str
    title: str
    unit: str
    digits: int

    @property
    def label(self) -> str:
        """Title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


ROWS = (
    Row("lag1", "correlation at lag 1", "", 2),
    Row("lag2", "correlation at lag 2", "", 2),
    Row("red_green", "correlation of red and green", "", 2),
    Row("green_blue", "correlation of green and blue", "", 2),
    Row("red_blue", "correlation of red and blue", "", 2),
    Row("kurtosis", "excess kurtosis", "", 2),
    Row("variance", "variance against level", "dB", 2),
    Row("kld", "KLD of the noise at each level", "nats", 3),
    Row("kld_neca", "KLD of all noise, NeCA's", "nats", 3),
    Row("kld_naflow", "KLD of all noise, NAFlow's", "nats", 3),
    Row("kld_noiseflow", "KLD of all noise, Noise Flow's", "nats", 3),
    Row("kld_srgbflow", "KLD of all noise, sRGB Noise Flow's", "nats", 3),
    Row("akld", "AKLD of local variances at each level", "nats", 3),
    Row("wasserstein", "Wasserstein distance of all noise", "levels", 2),
    Row("covariance", "covariance in space and between channels", "", 2),
    Row("radial", "spectrum, all directions", "dB", 2),
    Row("rows", "spectrum of row means", "dB", 2),
    Row("columns", "spectrum of column means", "dB", 2),
    Row("auc", "AUC of a classifier", "", 3),
    Row("auc_strength", "AUC by strength alone", "", 3),
    Row("auc_grain", "AUC by grain alone", "", 3),
    Row("auc_tails", "AUC by skewness and kurtosis alone", "", 3),
    Row("auc_banding", "AUC by means of rows and columns alone", "", 3),
    Row("auc_colour", "AUC by related channels alone", "", 3),
    Row("auc_structure", "AUC by slopes and the 8x8 grid alone", "", 3),
)


@dataclass(frozen=True)
class Cell:
    """One number of the table.

    Attributes
    ----------
    text
        The number.
    difference
        How far it is from the real set's; empty where the number is a distance itself.
    alike
        Whether halves of the real set lie as far apart.
    """

    text: str
    difference: str = ""
    alike: bool = False


def table(found: Comparison) -> list[tuple[Row, list[Cell]]]:
    """Return the rows of the table: the real set, its halves, and each synthetic set."""
    out = []
    for row in ROWS:
        zero = found.zero[row.name]
        real = found.real.values.get(row.name)
        cells = [
            Cell("" if real is None else _number(real, row)),
            Cell(f"{_number(zero.mean, row)} ± {_number(zero.std, row)}"),
        ]
        for one, distances in zip(found.synthetic, found.distances, strict=True):
            distance = distances[row.name]
            # Areas of few scenes scatter so widely that two standard deviations would allow any.
            limit = 0.5 + zero.std if row.name in AREAS else zero.mean + ALIKE * zero.std
            alike = abs(distance) <= limit
            if real is None:
                cells.append(Cell(_number(distance, row), "", alike))
            else:
                sign = "+" if distance >= 0 else "−"
                difference = f"{sign}{_number(abs(distance), row)}"
                cells.append(Cell(_number(one.values[row.name], row), difference, alike))
        out.append((row, cells))
    return out


def short_names(paths: list[str]) -> list[str]:
    """Return the shortest endings of paths that tell them apart."""
    parts = [path.rstrip("/").split("/") for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(p[-length:]) for p in parts]
        if len(set(names)) == len(set(paths)):
            return names
    return paths


def markdown(found: Comparison, names: list[str]) -> str:
    """Return the table as Markdown, a set a column; `names` are those of all sets.

    Numbers that are alike, as in :class:`Cell`, are bold.
    """
    header = [names[0], "its halves", *names[1:]]
    lines = ["| | " + " | ".join(header) + " |", "|---|" + "---:|" * len(header)]
    for row, cells in table(found):
        texts = [f"**{c.text}**" if c.alike else c.text for c in cells]
        lines.append(f"| {row.label} | " + " | ".join(texts) + " |")
    return "\n".join(lines) + "\n"


def _number(value: float, row: Row) -> str:
    if not np.isfinite(value):
        return "—"
    rounded = round(value, row.digits) + 0.0  # no minus before a zero
    return f"{rounded:.{row.digits}f}".replace("-", "−")
