"""``noisegen cameras``: the cameras there are, and everything that is known of one."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from catalogs.camera import Camera

PLAIN_WIDTH = 160
"""Columns of output that goes to a file or a pipe, where there is no terminal to ask."""


@click.command("cameras", short_help="List the cameras, show one, or plot its noise.")
@click.argument("name", required=False)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False),
    metavar="FILE.png",
    help="Draw the camera's noise curves into a picture.",
)
def command(name: str | None, plot: str | None) -> None:
    """List the cameras, or show all about one: its NAME or the path of a TOML file.

    Cameras name the sensor whose noise a corpus gets (--camera). The figures are "declared" by a
    phone's firmware, "calibrated", "estimated" from few frames, or a "prior" that belongs to no
    camera.
    """
    from rich.console import Console

    from catalogs import cameras
    from noisegen.errors import InputError

    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PLAIN_WIDTH)
    if name is None:
        if plot is not None:
            raise InputError("--plot draws one camera; name it: noisegen cameras NAME --plot FILE")
        _list(console, [cameras.load(n) for n in cameras.names()])
        return
    camera = cameras.load(name)
    _show(console, camera)
    if plot is not None:
        _plot(camera, plot)
        console.print(f"noise curves in {plot}", soft_wrap=True)


def _list(console: "Console", known: "list[Camera]") -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("name", no_wrap=True, style="bold")
    table.add_column("title")
    table.add_column("noise", no_wrap=True)
    table.add_column("ISO / gain K", no_wrap=True)
    table.add_column("figures", no_wrap=True)
    table.add_column("licence of the figures")
    for camera in known:
        table.add_row(
            camera.name,
            camera.title,
            camera.noise.kind,
            _setting(camera),
            camera.figures,
            camera.licence,
        )
    console.print(table)
    console.print(
        "as-shot: the noise that a raw file's own NoiseProfile states; PATH.toml: a camera of "
        "yours (docs/cameras.md)"
    )


def _show(console: "Console", camera: "Camera") -> None:
    from rich.table import Table
    from rich.text import Text

    from catalogs.camera_plot import settings

    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    for key, value in _facts(camera):
        facts.add_row(key, Text(value))
    console.print(facts)
    full = camera.levels.span[1]
    noise = Table.grid(padding=(0, 2))
    heads = ("ISO" if camera.iso_range else "K [DN/e-]", "shot", "read", "K [DN/e-]", "read [DN]")
    for _ in heads:
        noise.add_column(justify="right")
    noise.add_row(*heads, style="bold")
    for setting in settings(camera):
        asked = {"iso": setting} if camera.iso_range else {"gain": setting}
        state = camera.typical(model="heteroscedastic", **asked)
        shot, read = state.parameters.shot[1], state.parameters.read[1]
        noise.add_row(
            f"{setting:.5g}",
            f"{shot:.4g}",
            f"{read:.4g}",
            f"{state.gain:.4g}",
            f"{read**0.5 * full:.3g}",
        )
    console.print()
    console.print(
        "Noise of plane G1: variance = shot x + read, x from 0 (black) to 1 (white)", style="bold"
    )
    console.print(noise)


def _facts(camera: "Camera") -> list[tuple[str, str]]:
    levels = camera.levels
    blacks = sorted(set(levels.black))
    black = f"{blacks[0]:g}" if len(blacks) == 1 else ", ".join(f"{b:g}" for b in levels.black)
    clips = "black" if levels.clips_at == "black" else "0"
    stand_in = " (stand-ins: not published)"
    facts = [
        ("name", camera.name),
        ("title", camera.title),
        ("files", f"{camera.make} {', '.join(camera.models)}" if camera.models else ""),
        ("figures", camera.figures),
        ("licence", camera.licence),
        ("noise", f"{camera.noise.kind}; used as {camera.default_model} unless --noise is given"),
        ("range", _setting(camera)),
        ("gain modes", ", ".join(f"from ISO {b:g}" for b in camera.breakpoints)),
        ("analogue to", f"ISO {camera.max_analog_iso:g}" if camera.max_analog_iso else ""),
        ("read includes", ", ".join(camera.read_includes) or "neither quantisation nor row noise"),
        (
            "levels",
            f"black {black}, white {levels.white:g}, {camera.bits} bits, clips at {clips}"
            + stand_in * ("levels" in camera.assumed),
        ),
        ("CFA", camera.cfa + (" (assumed)" if "cfa" in camera.assumed else "")),
        ("colour", _colour(camera)),
        ("body", _body(camera)),
        ("note", camera.note),
    ]
    for source in camera.sources:
        parts = (source.paper, source.repository, source.path)
        facts.append(("source", f"{source.figures}: " + "; ".join(p for p in parts if p)))
    return [(key, value) for key, value in facts if value]


def _colour(camera: "Camera") -> str:
    if camera.color_matrices:
        known = [
            f"{m.tag or 'matrix'} for illuminant {m.illuminant}" for m in camera.color_matrices
        ]
        text = "; ".join(known)
    else:
        text = "no published matrix: Google's mixture of four cameras"
    count = len(camera.neutrals)
    return text + (f"; {count} recorded neutral{'s' * (count > 1)}" if count else "")


def _body(camera: "Camera") -> str:
    from noisegen.sensor.body import FIGURES, BodyFigures

    nothing = vars(BodyFigures())
    stated = [(k, v) for k, v in vars(camera.body).items() if v != nothing[k]]
    texts = (f"{name} {value:g} {FIGURES[name].unit}" for name, value in stated)
    return ", ".join(text.removesuffix(" 1") for text in texts)


def _setting(camera: "Camera") -> str:
    parts = []
    for name, ends, unit in (
        ("ISO", camera.iso_range, ""),
        ("K", camera.gain_range, " DN/e-"),
    ):
        if ends:
            low, high = (f"{end:.4g}" if end < 1e4 else f"{end:.0f}" for end in ends)
            parts.append(f"{name} {low if low == high else f'{low}..{high}'}{unit}")
    return ", ".join(parts)


def _plot(camera: "Camera", file: str) -> None:
    from catalogs.camera_plot import plot
    from noisegen.errors import InputError, StorageError

    try:
        plot(camera, file)
    except ValueError as error:
        raise InputError(f"{file}: {error}; name a .png file") from None
    except OSError as error:
        raise StorageError(
            f"{file}: the picture cannot be written ({error.strerror}); choose another place"
        ) from None
