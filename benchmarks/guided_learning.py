"""A network with a guide against the same one without: guides that tell the truth, and that lie.

    DARK="--noise dvd --bits 16 --set dvd.sigma=2-8"
    noisegen synthesize --source rgbnir --root TRAIN $DARK --per-image 250 --out scenes.zarr
    noisegen synthesize --guide nir $DARK --count 1000 --out leaves.zarr
    noisegen synthesize --source rgbnir --root TEST --noise dvd --bits 16 --patch 256 \\
        --set dvd.sigma=8 --set dvd.green=5 --set dvd.mean_of=frame --per-image 8 --out test.zarr
    noisegen train rffnet --data scenes.zarr --data leaves.zarr:0.5 \\
        --set guides.wrong=0.2 --out runs/guided
    noisegen train rffnet --data scenes.zarr --data leaves.zarr:0.5 \\
        --set guides.given=none --out runs/alone
    python -m benchmarks.guided_learning test.zarr runs/guided runs/alone [--look LOOK.png]

Pictures are dark: PSNR is given of them as they are, and of noisy, restored and clean over the
clean one's largest value, as SSIM is. Means over the samples; gains are over the network alone.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from catalogs.sources.roots import Root
from denoisers.evaluation.evaluate import floats
from denoisers.evaluation.guides import MOVED, Given, given
from denoisers.inference.restorer import Restorer
from denoisers.inference.weights import open_weights
from denoisers.protocols.base import Asked, Cases, Floats, Picture
from denoisers.protocols.paired import CORPUS
from noisegen.metrics import psnr, ssim, to_8bit

SHOWN, ENLARGED = 4, 2
"""Pictures that are looked at, and how much larger they are."""

NOISY, ALONE = "noisy", "the same network without a guide"

TOLD: dict[str, Given] = {
    "with the guide": "own",
    "trained with guides, given a black one": "none",
    f"guide moved by {MOVED} pixels": "moved",
    "guide of another scene": "other",
}
"""What is given to the network that was trained with guides."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.guided_learning",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("corpus", help="corpus with guides, of scenes not trained on")
    parser.add_argument("guided", help="run or weights of a network trained with guides")
    parser.add_argument("alone", help="run or weights of the same one, trained with black guides")
    parser.add_argument("--look", type=Path, help="PNG of some pictures side by side")
    asked = parser.parse_args()
    cases = CORPUS.open(Asked(Root(asked.corpus)))
    networks = {"guided": network(asked.guided), "alone": network(asked.alone)}
    scores: dict[str, list[tuple[float, float, float]]] = {}
    seen = []
    for number in range(len(cases)):
        clean, guide, made = restored(cases, number, networks)
        for name, picture in made.items():
            scores.setdefault(name, []).append(scored(picture, clean))
        if number in np.linspace(0, len(cases) - 1, SHOWN).astype(int):
            seen.append(row(clean, guide, made))
    print(table({name: np.mean(found, 0) for name, found in scores.items()}))
    if asked.look:
        cv2.imwrite(str(asked.look), np.concatenate(seen)[..., ::-1])


def network(path: str) -> Restorer:
    """Return a network with a guide of near infrared, run whole."""
    model, _ = open_weights(path)
    return Restorer(model, guide_channels=1, tile=0)


def restored(
    cases: Cases, number: int, networks: dict[str, Restorer]
) -> tuple[Floats, Picture, dict[str, Floats]]:
    """Return the clean picture of a sample, its guide, and what each way makes of the noisy one."""
    case = cases.load(number)
    assert case.clean is not None  # a corpus has it
    assert case.guide is not None  # and with guides these
    made = {NOISY: floats(case.noisy)}
    made[ALONE] = networks["alone"](case.noisy, given(cases, number, case, "none"))
    for name, how in TOLD.items():
        made[name] = networks["guided"](case.noisy, given(cases, number, case, how))
    return floats(case.clean), case.guide, made


def scored(picture: Floats, clean: Floats) -> tuple[float, float, float]:
    """Return PSNR as it is, and PSNR and SSIM over the clean picture's largest value."""
    top = clean.max()
    return psnr(picture, clean), psnr(picture / top, clean / top), ssim(picture / top, clean / top)


def table(means: dict[str, npt.NDArray[np.float64]]) -> str:
    """Return a row for each way."""
    rows = ["| | PSNR (dB) | over the maximum | SSIM | gain (dB) |", "|---|---|---|---|---|"]
    for name, (plain, over, similar) in means.items():
        gain = plain - means[ALONE][0]
        rows.append(f"| {name} | {plain:.2f} | {over:.2f} | {similar:.3f} | {gain:+.2f} |")
    return "\n".join(rows)


def row(clean: Floats, guide: Picture, made: dict[str, Floats]) -> npt.NDArray[np.uint8]:
    """Return a sample's pictures side by side, as bright as the clean one allows, and its guide."""
    near = np.repeat(floats(guide), 3, -1)
    parts = [*(to_8bit(p) for p in _bright(clean, made)), to_8bit(near)]
    return np.concatenate(parts, 1).repeat(ENLARGED, 0).repeat(ENLARGED, 1)


def _bright(clean: Floats, made: dict[str, Floats]) -> Iterator[Floats]:
    """Yield the noisy, each restored and the clean picture over the clean one's highest percent."""
    top = np.float32(np.percentile(clean, 99))
    for picture in (*made.values(), clean):
        yield picture / top


if __name__ == "__main__":
    main()
