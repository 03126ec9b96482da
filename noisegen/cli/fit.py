"""``noisegen fit``: noise models of rendered pictures, fitted to noisy/clean pairs."""

from typing import TYPE_CHECKING, Any

import click

from noisegen.cli import fit_neca
from noisegen.cli.options import SCENES

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


@click.group(short_help="Fit noise of pictures to real pairs.")
def command() -> None:
    """Fit a noise model of rendered pictures to noisy/clean pairs.

    \b
    noisegen fit heteroscedastic-covariance --data pairs/cc --out cc.toml
    noisegen fit neca --data pairs/cc --camera d800 --out cameras/d800

    A file says what was fitted, in figures that can be read; docs/fit.md says what they mean. NeCA
    is learned, which takes far longer (docs/neca.md).
    """


def _command(model: "Model", text: str) -> click.Command:
    @click.command(model, short_help=text, help=f"{text}\n\n{_HELP}")
    @click.option(
        "--data",
        required=True,
        metavar="PAIRS",
        help="Folder of noisy/clean pairs, or a corpus with sRGB pictures.",
    )
    @SCENES
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
command.add_command(fit_neca.command)


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
