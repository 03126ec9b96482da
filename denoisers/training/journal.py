"""What a run leaves to be read: log.jsonl, curves.png, and TensorBoard's file where it is there."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from denoisers.storage import write_text, write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EVERY = 10
"""Iterations of one line of the log."""

Line = dict[str, Any]


class Journal:
    """The log of a run.

    Parameters
    ----------
    folder
        Of the run.
    iteration
        Lines of later iterations, which a killed run wrote after its last checkpoint, are removed.
    """

    def __init__(self, folder: Path, iteration: int) -> None:
        self._path = folder / "log.jsonl"
        self._curves = folder / "curves.png"
        self.lines = [line for line in read(self._path) if line["iteration"] <= iteration]
        write_text(self._path, "".join(_text(line) for line in self.lines))
        self._file = self._path.open("a")
        self._board = _tensorboard(folder, iteration)

    def add(self, line: Line) -> None:
        """Write a line: ``iteration`` and what was measured there."""
        self.lines.append(line)
        self._file.write(_text(line))
        self._file.flush()
        if self._board is not None:
            for name, value in line.items():
                if name != "iteration":
                    self._board.add_scalar(name, value, line["iteration"])

    def draw(self, title: str) -> None:
        """Draw the curves so far."""
        write_whole(self._curves, lambda partial: draw(self.lines, title, partial))

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def read(path: Path) -> list[Line]:
    """Return the lines of a log; a last one that was cut off is left out."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


def draw(lines: list[Line], title: str, path: Path) -> None:
    """Write the figure as a PNG."""
    figure(lines, title).savefig(path, dpi=120)


def figure(lines: list[Line], title: str) -> "Figure":
    """Return loss, learning rate and PSNR over iterations, with the noisy pictures' PSNR."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure((7, 6), layout="constrained")
    FigureCanvasAgg(drawn)
    above, below = drawn.subplots(2, 1, sharex=True)
    trained = [line for line in lines if "loss" in line]
    scored = [line for line in lines if "psnr" in line]
    above.plot(_column(trained, "iteration"), _column(trained, "loss"), lw=0.8)
    above.set(ylabel="loss", title=title)
    if any(loss > 0 for loss in _column(trained, "loss")):
        above.set_yscale("log")
    rate = above.twinx()
    rate.plot(_column(trained, "iteration"), _column(trained, "lr"), "C1:", lw=1)
    rate.set_ylabel("learning rate (dotted)")
    below.plot(_column(scored, "iteration"), _column(scored, "psnr"), "o-", ms=3, label="restored")
    below.set(xlabel="iteration", ylabel="PSNR of held-out pictures (dB)")
    if scored:
        noisy = scored[-1]["noisy_psnr"]  # the same pictures every time
        below.axhline(noisy, color="C7", ls="--", lw=1, label=f"noisy, {noisy:.2f} dB")
        below.legend(loc="center right")
    return drawn


def _column(lines: list[Line], name: str) -> list[float]:
    return [line[name] for line in lines]


def _text(line: Line) -> str:
    return json.dumps(line) + "\n"


def _tensorboard(folder: Path, iteration: int) -> Any:
    """Return a writer of TensorBoard's files, or None where it is not installed."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(folder / "tensorboard", purge_step=iteration + 1)
