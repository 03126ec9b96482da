"""A network that makes dark pictures bright against what needs no training, on pairs not seen.

    noisegen synthesize --source folder --root TRAIN --exposure-ratio 20-100 --out a.zarr
    noisegen synthesize --source folder --root TEST --exposure-ratio 20-100 --out b.zarr
    noisegen train r2rnet --data a.zarr --out runs/r2rnet
    python -m benchmarks.lowlight b.zarr --training a.zarr runs/r2rnet [--look LOOK.png]

Nothing but the networks sees the normal pictures of the second corpus. What they are compared with:
each channel's histogram equalised; that of the luma alone; and the gamma that brings the mean of
each picture to the mean of all normal pictures of the first corpus. A grey picture of that mean
shows how much is won by brightness alone. PSNR and SSIM of 8-bit codes,
means over the pictures.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from denoisers.inference.restorer import Restorer
from denoisers.inference.weights import open_weights
from noisegen.metrics import psnr, ssim, to_8bit
from pipelines.pairs import Pair, Pairs, Picture, open_pairs

SHOWN, ENLARGED = 6, 2
"""Pictures that are looked at, and how much larger they are."""

Way = Callable[[Picture], Picture]
"""From a dark picture, (H, W, 3) uint8, to a bright one."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lowlight", description=__doc__)
    parser.add_argument("pairs", help="corpus or folder of dark and normal pictures, not seen")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="runs or files of weights")
    parser.add_argument("--training", required=True, help="corpus that they were trained on")
    parser.add_argument("--count", type=int, help="of the pairs, spread evenly; none: all")
    parser.add_argument("--look", type=Path, help="PNG of some pictures side by side")
    asked = parser.parse_args()
    pairs, mean = open_pairs(asked.pairs), training_mean(asked.training)
    if asked.count is not None:
        pairs = pairs.take(spread(pairs, asked.count))
    ways: dict[str, Way] = {
        "as it is": lambda dark: dark,
        "histogram, each channel": equalised,
        "histogram of the luma": equalised_luma,
        f"gamma to a mean of {mean:.3f}": lambda dark: to_mean(dark, mean),
        "nothing but grey of that mean": lambda dark: np.full_like(dark, round(255 * mean)),
        **{Path(run).name: network(run) for run in asked.runs},
    }
    print(table(pairs, ways))
    if asked.look:
        cv2.imwrite(str(asked.look), look(pairs, ways)[..., ::-1])


def spread(pairs: Pairs, count: int) -> list[int]:
    """Return the numbers of some pairs, spread evenly."""
    return sorted({int(n) for n in np.linspace(0, len(pairs) - 1, count)})


def training_mean(path: str) -> float:
    """Return the mean of the normal pictures of a corpus's training scenes, in [0, 1]."""
    training = open_pairs(path).of_split("train")
    return float(np.mean([pair.clean.mean() for pair in training])) / 255


def equalised(dark: Picture) -> Picture:
    """Return a picture with the histogram of each channel made even."""
    return np.stack([cv2.equalizeHist(np.ascontiguousarray(dark[..., c])) for c in range(3)], -1)


def equalised_luma(dark: Picture) -> Picture:
    """Return a picture with the histogram of its luma made even, its colour differences kept."""
    luma = cv2.cvtColor(dark, cv2.COLOR_RGB2YCrCb)
    luma[..., 0] = cv2.equalizeHist(np.ascontiguousarray(luma[..., 0]))
    return cv2.cvtColor(luma, cv2.COLOR_YCrCb2RGB)


def to_mean(dark: Picture, mean: float) -> Picture:
    """Return a picture to the power that gives it a mean; black stays black."""
    x = dark / 255
    low, high = -6.0, 2.0  # of the exponent's logarithm
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if (x ** np.exp(middle)).mean() > mean else (low, middle)
    return to_8bit(x ** np.exp(low))


def network(run: str) -> Way:
    """Return what a trained network does, run whole."""
    model, _ = open_weights(run)
    restorer = Restorer(model, tile=0)
    return lambda dark: to_8bit(restorer(dark))


def table(pairs: Pairs, ways: dict[str, Way]) -> str:
    """Return a row for each way."""
    rows = ["| | PSNR (dB) | SSIM |", "|---|---|---|"]
    for name, way in ways.items():
        scores = np.mean([_scores(way, pair) for pair in pairs], 0)
        rows.append(f"| {name} | {scores[0]:.2f} | {scores[1]:.3f} |")
    return "\n".join(rows)


def _scores(way: Way, pair: Pair) -> tuple[float, float]:
    made = way(pair.noisy)
    return psnr(made, pair.clean), ssim(made, pair.clean)


def look(pairs: Pairs, ways: dict[str, Way]) -> npt.NDArray[np.uint8]:
    """Return some pictures, one below the other: by each way, and the normal one last."""
    rows = []
    for number in spread(pairs, SHOWN):
        pair = pairs[number]
        made = np.concatenate([*(way(pair.noisy) for way in ways.values()), pair.clean], 1)
        rows.append(made.repeat(ENLARGED, 0).repeat(ENLARGED, 1))
    return np.concatenate(rows, 0)


if __name__ == "__main__":
    main()
