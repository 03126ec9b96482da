"""What a network of mosaics does to raws of real cameras: noise of flat places, and colours.

    python -m benchmarks.real_raws RUN RAW ... [--look LOOK.png]

Flat places are blocks of 32x32 pixels whose means over 8x8 pixels vary least, a tenth of all: fine
noise does not decide which they are. Their noise is the standard deviation of the developed picture
about a plane, before and after; a row has the medians over the blocks. Colours are the linear means
over blocks of 64x64 pixels: by how much they move, median and largest of those that are neither
dark nor clipped anywhere. All pixels are those of the picture by the network's ISP, not clipped.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from denoisers.inference.raws import Frame, RawRestorer, developed, noise_of, oriented
from denoisers.inference.weights import open_weights
from denoisers.models.dualdn import Developing
from noisegen import raw
from noisegen.isp.transfer import decode
from noisegen.metrics import to_8bit

SIDE, MEANS, LARGE = 32, 8, 64
SHARE = 0.1
LEVELS = (0.1, 0.9)
"""Of coded values: blocks that are darker or brighter do not count."""

CLIPPED = 0.98
"""Coded value from which a pixel counts as clipped."""

CROP, ENLARGED = 192, 2

Picture = npt.NDArray[np.float32]


def main() -> None:
    """Denoise, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_raws", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("raws", nargs="+", type=Path)
    parser.add_argument("--look", type=Path, help="PNG of crops, noisy and denoised")
    asked = parser.parse_args()
    network, _ = open_weights(asked.model)
    if not isinstance(network, Developing):
        raise SystemExit(f"{asked.model} is no network of mosaics")
    restorer, rows = RawRestorer(network), []
    print("| raw | K | noise before | after | times less | colours: median | largest |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for path in asked.raws:
        image = raw.read(path)
        noise = noise_of(image)
        frame = Frame.of(image, noise, 0.0)
        with torch.inference_mode():
            before = frame.own(developed(frame.mosaic, frame.shot, network.isp))
        after = frame.own(restorer(frame).picture)
        flat = flat_blocks(before)
        first, second = (flat_noise(p, flat) for p in (before, after))
        moved = colours(before, after)
        print(
            f"| {path.stem} | {noise.shot:.2g} ({noise.origin}) | {np.median(first):.4f} | "
            f"{np.median(second):.4f} | {np.median(first / second):.1f} | "
            f"{100 * np.median(moved):.2f} % | {100 * np.max(moved):.2f} % |",
            flush=True,
        )
        rows.append(crops(before, after, flat, image.metadata.orientation))
    if asked.look:
        width = max(row.shape[1] for row in rows)
        padded = [np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0))) for r in rows]
        cv2.imwrite(str(asked.look), np.vstack(padded)[..., ::-1])


def blocks(picture: Picture, side: int) -> Picture:
    """Return (n, side, side, 3) blocks."""
    height, width = (length // side for length in picture.shape[:2])
    cut = picture[: height * side, : width * side].reshape(height, side, width, side, 3)
    return cut.swapaxes(1, 2).reshape(-1, side, side, 3)


def flat_blocks(picture: Picture) -> npt.NDArray[np.intp]:
    """Return the numbers of the flattest blocks."""
    each = blocks(picture, SIDE)
    parts = SIDE // MEANS
    means = each.reshape(-1, parts, MEANS, parts, MEANS, 3).mean((2, 4))
    spread = means.std((1, 2)).mean(1)
    level = each.mean((1, 2))
    fine = (level.mean(1) > LEVELS[0]) & (level.max(1) < LEVELS[1])
    order = np.argsort(np.where(fine, spread, np.inf))
    return order[: max(1, int(SHARE * fine.sum()))]


def flat_noise(picture: Picture, flat: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """Return the standard deviation about a plane of each block, mean over the channels."""
    y, x = np.mgrid[:SIDE, :SIDE].reshape(2, -1) - (SIDE - 1) / 2
    plane = np.stack([np.ones(SIDE**2), y, x], 1)
    values = blocks(picture, SIDE)[flat].reshape(len(flat), -1, 3).astype(np.float64)
    away = values - plane @ (np.linalg.pinv(plane) @ values)
    found: npt.NDArray[np.float64] = np.sqrt((away**2).sum(1) / (SIDE**2 - 3)).mean(1)
    return found


def colours(before: Picture, after: Picture) -> npt.NDArray[np.float64]:
    """Return by which part of it each linear mean moves, blocks and channels."""
    first, second = (
        decode(blocks(p, LARGE).astype(np.float64), "rec709").mean((1, 2)) for p in (before, after)
    )
    low, high = decode(np.array(LEVELS), "rec709")
    whole = (blocks(before, LARGE) < CLIPPED).all((1, 2))
    fine = (first > low) & (first < high) & whole
    found: npt.NDArray[np.float64] = np.abs(second[fine] / first[fine] - 1)
    return found


def crops(
    before: Picture, after: Picture, flat: npt.NDArray[np.intp], orientation: int
) -> npt.NDArray[np.uint8]:
    """Return the middle and the place of the flattest block, before and after."""
    height, width = before.shape[:2]
    y, x = divmod(int(flat[0]), width // SIDE)
    places = [
        (height // 2 - CROP // 2, width // 2 - CROP // 2),
        (y * SIDE - CROP // 2, x * SIDE - CROP // 2),
    ]
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
