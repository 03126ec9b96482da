"""The page of ``noisegen realism``: one table, and what stands behind its numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from pipelines.realism.comparison import Comparison, Look, Measured
from pipelines.realism.distances import kld_by_level, overlap
from pipelines.realism.measures import REACH, Array
from pipelines.realism.table import ALIKE, short_names, table
from pipelines.reports import page

CHANNELS = ("R", "G", "B")

SHOWN_STD = 25
"""The difference is amplified until its standard deviation is about this."""


def realism_page(found: Comparison) -> str:
    """Return the page as HTML."""
    sets = (found.real, *found.synthetic)
    names = short_names([one.where for one in sets])
    colors = [page.INK, *(page.COLORS[i % len(page.COLORS)] for i in range(len(found.synthetic)))]
    drawing = _Drawing(found, names, colors)
    gain = _amplification(found.real)
    return page.render(
        "realism.html",
        sets=list(
            zip(sets, names, [c.replace(page.INK, "currentColor") for c in colors], strict=True)
        ),
        rows=table(found),
        alike=ALIKE,
        figures=drawing.figures(),
        gain=gain,
        looks=[
            (name, [(look.name, _views(look, gain)) for look in one.looks])
            for one, name in zip(sets, names, strict=True)
        ],
    )


@dataclass(frozen=True)
class _Drawing:
    found: Comparison
    names: list[str]
    colors: list[str]

    def figures(self) -> list[tuple[str, Markup, str]]:
        """Return title, figure and explanation of each."""
        spectra = ("all directions", "row means", "column means")
        return [
            (
                "Strength against level",
                self._panels("strength", CHANNELS, self._strength, "Noise against level"),
                "Standard deviation of the noise against the clean level, both in 8-bit levels.",
            ),
            (
                "Divergence at each level",
                self._panels("kld", CHANNELS, self._kld, "Divergence against level"),
                "Kullback-Leibler divergence of the noise's histogram from the real one's.",
            ),
            (
                "Correlation along a row and down a column",
                self._panels("lags", CHANNELS, self._lags, "Correlation against lag"),
                "Correlation of standard noise against the lag in pixels, mean of both directions.",
            ),
            (
                "Correlation in space",
                self._maps(),
                "Correlation at lags from −5 to 5 pixels, mean of the channels; lag 0 is blank.",
            ),
            (
                "Spectra",
                self._panels("spectra", spectra, self._spectra, "Power spectra"),
                "Power over that of white noise. Rows stronger than columns, or less, are banding.",
            ),
        ]

    def _sets(self) -> list[tuple[Measured, str, str, float]]:
        sets = (self.found.real, *self.found.synthetic)
        widths = [1.8, *(1.2 for _ in self.found.synthetic)]
        return list(zip(sets, self.names, self.colors, widths, strict=True))

    def _panels(
        self, name: str, titles: tuple[str, ...], draw: Callable[[Any, int], None], label: str
    ) -> Markup:
        """Draw three panels with one scale, of which `draw` fills one in."""

        def on(figure: Figure) -> None:
            axes = figure.subplots(1, len(titles), sharey=True)
            for at, (title, one) in enumerate(zip(titles, axes, strict=True)):
                one.set_title(title)
                draw(one, at)
            if axes[0].dataLim.ymin >= 0:
                axes[0].set_ylim(bottom=0)
            handles, labels = axes[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower left", ncols=4)

        return page.figure(name, 760, 260, on, label)

    def _strength(self, axes: Any, channel: int) -> None:
        for one, name, color, width in self._sets():
            m = one.measures
            there = m.pixels[channel] >= 200
            std = np.sqrt(m.variance[channel, there])
            axes.plot(m.level[channel, there], std, color=color, lw=width, label=name)
        axes.set_xlabel("clean level")

    def _kld(self, axes: Any, channel: int) -> None:
        real = self.found.real.measures
        for one, name, color, width in self._sets()[1:]:
            there = overlap(real, one.measures)[channel] > 0
            values = kld_by_level(real, one.measures)[channel, there]
            axes.plot(real.level[channel, there], values, color=color, lw=width, label=name)
        axes.axhline(self.found.zero["kld"].mean, color=page.INK, lw=1, ls=":", label="real halves")
        axes.set_xlabel("clean level")

    def _lags(self, axes: Any, channel: int) -> None:
        for one, name, color, width in self._sets():
            values = [one.measures.lags(lag)[channel].mean() for lag in range(REACH + 1)]
            axes.plot(range(REACH + 1), values, "o-", color=color, lw=width, ms=3, label=name)
        axes.set_xlabel("lag")

    def _spectra(self, axes: Any, which: int) -> None:
        for one, name, color, width in self._sets():
            m = one.measures
            power = (m.radial, m.rows, m.columns)[which].mean(0)
            axes.plot(m.frequencies, 10 * np.log10(power), color=color, lw=width, label=name)
        axes.set_xlabel("cycles a pixel")
        if which == 0:
            axes.set_ylabel("dB")

    def _maps(self) -> Markup:
        maps = [_correlation_map(one) for one, *_ in self._sets()]

        def on(figure: Figure) -> None:
            across = min(len(maps), 4)
            down = -(-len(maps) // across)
            axes = figure.subplots(down, across, squeeze=False).ravel()
            for one, values, name in zip(axes, maps, self.names, strict=False):
                mesh = draw_correlation(one, values)
                one.set_title(name)
            for one in axes[len(maps) :]:
                one.set_visible(False)
            figure.colorbar(mesh, ax=axes, shrink=0.8, aspect=30, label="correlation")

        across = min(len(maps), 4)
        height = 210 * -(-len(maps) // across)
        return page.figure("maps", 90 + 170 * across, height, on, "Correlation at small lags")


def draw_correlation(axes: Any, values: Array) -> Any:
    """Draw an (11, 11) map of correlations and return what a colour bar is made of."""
    lags = np.arange(-REACH, REACH + 1)
    mesh = axes.pcolormesh(
        lags, lags, values, cmap="RdBu_r", vmin=-0.8, vmax=0.8, ec="face", lw=0.4
    )
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set_xticks((-REACH, 0, REACH))
    axes.set_yticks((-REACH, 0, REACH))
    return mesh


def _correlation_map(one: Measured) -> Array:
    values = np.einsum("ccyx->yx", one.measures.correlation) / len(CHANNELS)
    values[REACH, REACH] = np.nan
    return np.asarray(values, np.float64)


def _amplification(real: Measured) -> int:
    m = real.measures
    std = float(np.sqrt(m.square_sum.sum() / m.share.sum()))
    return int(np.clip(round(SHOWN_STD / max(std, 1e-3)), 1, 16))


def _views(look: Look, gain: int) -> list[page.View]:
    difference = (look.noisy.astype(np.int16) - look.clean) * gain + 128
    shown = np.clip(difference, 0, 255).astype(np.uint8)
    named = (("clean", look.clean), ("noisy", look.noisy), (f"difference × {gain}", shown))
    return [page.view(title, picture) for title, picture in named]
