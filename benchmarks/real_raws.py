"""What a network of mosaics does to raws of real cameras: noise of flat places, and colours.

    python -m benchmarks.real_raws RUN RAW ... [--estimated] [--look LOOK.png]

**Flat** places are blocks of 16x16, and of 32x32 pixels, whose means over 4x4 pixels vary about a
plane by no more than twice what noise explains. What it explains is drawn: the noise of K and S on
the mosaic averaged over 9x9 samples of a plane, developed as the frame is. Fine noise does not
decide which blocks these are, and no network has a part in it.

Their noise is the standard deviation of the developed picture about a plane, mean over the
channels, before and after: blotches count as grain does. A row has medians over the blocks, and
which part of the deviation before is that of the drawn noise: the rest is texture, or noise beyond
K and S, such as pixel-response non-uniformity. Texture that stays is counted as noise that stays in
"times less"; "left of it" counts what stays beyond that rest, in variance, as the part of the noise
of K and S that is left: the rest itself, if it stays whole, as none.

Colours are the linear means over blocks of 64x64 pixels, of those that are neither dark nor clipped
anywhere. By how much they move is told as a part of the colour (the length of the difference over
its own), and of single channels, whose relative move is large where a saturated colour has next to
nothing of one. All pixels are those of the picture by the network's ISP, not clipped.

``--estimated`` tells the network of the noise that is estimated on the frame's own flat places, in
place of what the file or the catalog states: it counts non-uniformity.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch

from denoisers.inference.raws import Frame, Noise, RawRestorer, developed, noise_of, oriented
from denoisers.inference.weights import open_weights
from denoisers.models.dualdn import Developing, Isp
from noisegen import raw
from noisegen.isp.transfer import decode
from noisegen.metrics import to_8bit
from noisegen.random import Stream, generator
from noisegen.raw import RawImage
from noisegen.sensor import estimate_noise

SIDES, MEANS, LARGE = (16, 32), 4, 64
WINDOW = 9
"""Samples of a plane, down and across, over whose mean noise is drawn."""

EXPLAINED = 2.0
"""Times the variance of means that noise explains: up to there a block is flat."""

LEVELS = (0.1, 0.9)
"""Of coded values: blocks that are darker or brighter do not count."""

CLIPPED = 0.98
"""Coded value from which a pixel counts as clipped."""

CROP, ENLARGED = 192, 2

Picture = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]


def main() -> None:
    """Denoise, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_raws", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("raws", nargs="+", type=Path)
    parser.add_argument("--estimated", action="store_true", help="noise as it looks")
    parser.add_argument("--look", type=Path, help="PNG of crops, noisy and denoised")
    asked = parser.parse_args()
    network, _ = open_weights(asked.model)
    if not isinstance(network, Developing):
        raise SystemExit(f"{asked.model} is no network of mosaics")
    restorer, rows, moves = RawRestorer(network), [], []
    print(
        "| raw | K | flat blocks | noise before | of it K and S | after | times less | left of it |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for path in asked.raws:
        image = raw.read(path)
        noise = as_it_looks(image) if asked.estimated else noise_of(image)
        frame = Frame.of(image, noise, 0.0)
        before, drawn = shown(frame, network.isp), drawn_noise(frame, noise, network.isp)
        after = frame.own(restorer(frame).picture)
        for side in SIDES:
            found = measure(before, after, drawn, side)
            print(
                f"| {path.stem} | {noise.shot:.2g} ({noise.origin}) | "
                f"{len(found.flat)} of {side}x{side} | {found}",
                flush=True,
            )
        moves.append((path.stem, *colours(before, after)))
        flat = flat_blocks(before, drawn, SIDES[0])
        rows.append(crops(before, after, flat, image.metadata.orientation))
    print("\n| raw | colours move: median | largest | of a channel: median | largest |")
    print("|---|---:|---:|---:|---:|")
    for name, whole, single in moves:
        cells = (f(100 * each) for each in (whole, single) for f in (np.median, np.max))
        print(f"| {name} | {' | '.join(f'{cell:.2f} %' for cell in cells)} |")
    if asked.look:
        width = max(row.shape[1] for row in rows)
        padded = [np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0))) for r in rows]
        cv2.imwrite(str(asked.look), np.vstack(padded)[..., ::-1])


def as_it_looks(image: RawImage) -> Noise:
    """Return the noise that is estimated on a frame's flat places, mean over its planes."""
    own = image.metadata
    found = estimate_noise(image.mosaic, own.black_level, own.white_level, own.cfa)
    if found is None:
        raise SystemExit(f"{own.path}: too few flat places to estimate its noise")
    return Noise(float(np.mean(found.shot)), float(np.mean(found.read)), "estimate")


def shown(frame: Frame, isp: Isp) -> Picture:
    """Return a frame's picture."""
    with torch.inference_mode():
        return frame.own(developed(frame.mosaic, frame.shot, isp))


def drawn_noise(frame: Frame, noise: Noise, isp: Isp) -> Picture:
    """Return the noise of a picture, drawn by K and S on the frame's own local means."""
    mosaic = frame.mosaic[0, 0].numpy()
    level = np.empty_like(mosaic)
    for y, x in np.ndindex(2, 2):
        level[y::2, x::2] = cv2.blur(mosaic[y::2, x::2], (WINDOW, WINDOW))
    rng = generator(0, Stream.BENCH)
    noisy = rng.poisson(level / noise.shot) * noise.shot
    noisy += np.sqrt(noise.read) * rng.standard_normal(level.shape)
    clean, exposed = (
        shown(replace(frame, mosaic=torch.from_numpy(m.astype(np.float32))[None, None]), isp)
        for m in (level, noisy.clip(0, 1))
    )
    return exposed - clean


class Measured(NamedTuple):
    """Noise of flat blocks.

    Attributes
    ----------
    flat
        Their numbers.
    before, drawn, after
        The standard deviation about a plane of each, mean over the channels.
    """

    flat: npt.NDArray[np.intp]
    before: Values
    drawn: Values
    after: Values

    @property
    def left(self) -> float:
        """Part of the drawn noise's deviation that is left, if all else that there was stays."""
        rest = self.before**2 - self.drawn**2
        share = np.median(self.after**2 - rest) / np.median(self.drawn**2)
        return float(np.sqrt(max(0.0, share)))

    def __str__(self) -> str:
        """Return the cells of a row."""
        if not len(self.flat):
            return " | | | | |"
        parts = (self.before, self.drawn / self.before, self.after, self.before / self.after)
        before, explained, after, less = (float(np.median(part)) for part in parts)
        part, left = 100 * explained, 100 * self.left
        return f"{before:.4f} | {part:.0f} % | {after:.4f} | {less:.1f} | {left:.0f} % |"


def measure(before: Picture, after: Picture, drawn: Picture, side: int) -> Measured:
    """Return the noise of the flat blocks of ``side`` pixels."""
    flat = flat_blocks(before, drawn, side)
    each = (deviation(blocks(p, side)[flat]).mean(1) for p in (before, drawn, after))
    return Measured(flat, *each)


def blocks(picture: Picture, side: int) -> Picture:
    """Return (n, side, side, 3) blocks."""
    height, width = (length // side for length in picture.shape[:2])
    cut = picture[: height * side, : width * side].reshape(height, side, width, side, 3)
    return cut.swapaxes(1, 2).reshape(-1, side, side, 3)


def flat_blocks(picture: Picture, drawn: Picture, side: int) -> npt.NDArray[np.intp]:
    """Return the numbers of the blocks that noise explains, the flattest first."""
    ours, noise = blocks(picture, side), blocks(drawn, side)
    fine = deviation(noise).mean(1) ** 2
    # How much of the noise is left in means is a matter of the ISP, not of the block.
    share = np.median(coarse(noise) / np.maximum(fine, 1e-12))
    times = coarse(ours) / np.maximum(share * fine, 1e-12)
    level = ours.mean((1, 2))
    times[(level.mean(1) <= LEVELS[0]) | (level.max(1) >= LEVELS[1])] = np.inf
    order = np.argsort(times)
    return order[: np.count_nonzero(times <= EXPLAINED)]


def coarse(each: Picture) -> Values:
    """Return the variance of the means of each block about a plane, mean over the channels."""
    parts = each.shape[1] // MEANS
    means = each.reshape(-1, parts, MEANS, parts, MEANS, 3).mean((2, 4))
    found: Values = (deviation(means) ** 2).mean(1)
    return found


def deviation(each: Picture) -> Values:
    """Return the standard deviation about a plane, blocks and channels."""
    side = each.shape[1]
    y, x = np.mgrid[:side, :side].reshape(2, -1) - (side - 1) / 2
    plane = np.stack([np.ones(side**2), y, x], 1)
    values = each.reshape(len(each), side**2, 3).astype(np.float64)
    away = values - plane @ (np.linalg.pinv(plane) @ values)
    found: Values = np.sqrt((away**2).sum(1) / (side**2 - 3))
    return found


def colours(before: Picture, after: Picture) -> tuple[Values, Values]:
    """Return by which part linear means move: of each block's colour, and of single channels."""
    first, second = (
        decode(blocks(p, LARGE).astype(np.float64), "rec709").mean((1, 2)) for p in (before, after)
    )
    low, high = decode(np.array(LEVELS), "rec709")
    within = (first > low) & (first < high)
    whole = blocks(before, LARGE).max((1, 2, 3)) < CLIPPED
    fine = whole & (first.mean(1) > low) & (first.max(1) < high)
    away = second - first
    length = np.linalg.norm(away, axis=1)[fine] / np.linalg.norm(first, axis=1)[fine]
    within &= whole[:, None]
    return length, np.abs(away[within] / first[within])


def crops(
    before: Picture, after: Picture, flat: npt.NDArray[np.intp], orientation: int
) -> npt.NDArray[np.uint8]:
    """Return the middle and the place of the flattest block, before and after."""
    height, width = before.shape[:2]
    side = SIDES[0]
    places = [(height // 2 - CROP // 2, width // 2 - CROP // 2)]
    if len(flat):
        y, x = divmod(int(flat[0]), width // side)
        places.append((y * side - CROP // 2, x * side - CROP // 2))
    found = []
    for top, left in places:
        top, left = max(0, min(top, height - CROP)), max(0, min(left, width - CROP))
        for picture in (before, after):
            part = to_8bit(picture[top : top + CROP, left : left + CROP].clip(0, 1))
            part = oriented(part, orientation)
            found.append(np.kron(part, np.ones((ENLARGED, ENLARGED, 1), np.uint8)))
    return np.hstack(found).astype(np.uint8)


if __name__ == "__main__":
    main()
