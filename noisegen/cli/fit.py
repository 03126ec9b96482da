"""``noisegen fit``: noise models of rendered pictures, fitted to noisy/clean pairs."""

from typing import TYPE_CHECKING, Any

import click

from noisegen.cli.options import PART

if TYPE_CHECKING:
    from noisegen.picture import Fit, Model

SHORT = {
    "awgn": "White noise of one strength a channel.",
    "heteroscedastic": "White noise whose strength follows the level.",
    "heteroscedastic-covariance": "The same with the grain and channel correlation of the pairs.",
}
"""What each model is, in the order of ``--help``."""

SUSPICIOUS = 0.5
"""Offset between noisy and clean, in standard deviations of the noise, that is worth a warning."""


class ScenesType(click.ParamType):  # type: ignore[type-arg]
    """All scenes, those of a split, or one of several parts."""

    name = "all|train|val|test|I/N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | tuple[int, int]:
        """Parse the text."""
        if isinstance(value, tuple) or value in ("all", "train", "val", "test"):
            return value  # type: ignore[no-any-return]
        if "/" not in value:
            self.fail(f"'{value}' is not all, train, val, test or I/N", param, ctx)
        return PART.convert(value, param, ctx)


@click.group(short_help="Fit noise of pictures to real pairs.")
def command() -> None:
    """Fit a noise model of rendered pictures to noisy/clean pairs.

    \b
    noisegen fit heteroscedastic-covariance --data pairs/cc --out cc.toml

    The file says what was fitted, in figures that can be read; docs/fit.md says what they mean.
    """


def _command(model: "Model", text: str) -> click.Command:
    @click.command(model, short_help=text, help=f"{text}\n\n{_HELP}")
    @click.option(
        "--data",
        required=True,
        metavar="PAIRS",
        help="Folder of noisy/clean pairs, or a corpus with sRGB pictures.",
    )
    @click.option(
        "--scenes",
        type=ScenesType(),
        metavar="all|train|val|test|I/N",
        default="all",
        show_default=True,
        help="Which scenes: a split (by the hash of the scene's name), or part I of N of them.",
    )
    @click.option("--licence", help="Terms of the figures.  [default: those of the pairs]")
    @click.option("--out", required=True, metavar="FILE.toml", help="File to write.")
    def run(data: str, scenes: Any, licence: str | None, out: str) -> None:
        from catalogs import noise_file
        from pipelines import fit
        from pipelines.pairs import open_pairs

        pairs = fit.choose(open_pairs(data), scenes)
        found = fit.fit_pairs(pairs, model)
        fitted_to = fit.provenance(pairs, found, scenes)
        noise_file.write(out, model, found.noise, fitted_to, licence or fit.licence(pairs))
        click.echo(f"{out}: {model}, fitted to {fitted_to}")
        _report(found)

    return run


_HELP = """The pairs may differ in ISO: the curve is that of the mean, and each picture's strength
relative to it is fitted too."""

for _model, _text in SHORT.items():
    command.add_command(_command(_model, _text))  # type: ignore[arg-type]


def _report(found: "Fit") -> None:
    """Print a fit in 8-bit units."""
    import numpy as np

    noise = found.noise
    # Of 17 levels every other one tells the curve.
    shown = slice(None, None, 2 if len(noise.level) > 9 else 1)
    click.echo("standard deviation (of 255)      R      G      B")
    for level, stds in list(zip(noise.level, zip(*noise.std, strict=True), strict=True))[shown]:
        what = "at every level" if len(noise.level) == 1 else f"at level {255 * level:3.0f}"
        click.echo(f"  {what:28}" + "".join(f"{255 * std:7.2f}" for std in stds))
    if noise.radius:
        size = 2 * noise.radius + 1
        click.echo(f"correlation, kernel {size} x {size}")
        for lag in (1, 2):
            both = (noise.correlation(0, lag) + noise.correlation(lag, 0)) / 2
            click.echo(f"  {f'at lag {lag}':28}" + "".join(f"{r:7.2f}" for r in np.diag(both)))
        (_, rg, rb), (_, _, gb), _ = noise.correlation(0, 0)
        click.echo(f"  R with G {rg:.2f}, G with B {gb:.2f}, R with B {rb:.2f}")
    if len(noise.strength) > 1:
        click.echo(f"strength of a picture: {noise.strength[0]:.2f} to {noise.strength[-1]:.2f}")
    offset = ", ".join(f"{c} {255 * o:+.2f}" for c, o in zip("RGB", found.offset, strict=True))
    click.echo(f"noisy minus clean in the mean: {offset} (not part of the model)")
    typical = np.mean(noise.std)
    if max(map(abs, found.offset)) > SUSPICIOUS * typical:
        click.echo("warning: the pairs differ by more than noise: is each clean half of its noisy?")
