"""Fit the finish of preset camera-jpeg to half of the scenes of CC, test it on the other half.

Run ``python -m benchmarks.camera_jpeg FOLDER [OUT.json]``; the folder holds CC's pairs
``X_real.png`` and ``X_mean.png`` (S. Nam et al., "A Holistic Approach to Cross-Channel Image Noise
Modeling and its Application to Image Denoising", CVPR 2016). It is not one of the benches that
``python -m benchmarks`` runs: its result is the preset.

The mean of a pair is unprocessed, exposed at the gain that makes the finished noise as strong as
the real one, and rendered. In every scene of one half (first, third, ...) the strengths of the
finish are found whose noise comes nearest to that of ``real - mean``. Recipes that draw from their
ranges over these scenes, without the outermost of each, are then tried on the scenes of the other
half, in the draws of their own whose noise is as strong as the real one, against the bounds
``lag 1`` 0.08 and ``green-blue`` 0.15 of the means over the scenes. Then the halves change places.
The preset draws from the ranges over all scenes.
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

import pipelines
from benchmarks import harness
from benchmarks.matching import nearest, strength
from noisegen.isp.finish import finish
from noisegen.isp.parameters import FinishParameters
from noisegen.isp.rendered_noise import luma_curve, rendered_noise
from noisegen.jpeg import YCBCR
from pipelines import presets
from pipelines.develop import isp_parameters
from pipelines.pairs import Pairs, Picture, open_pairs
from pipelines.realism.measures import REACH, of_field
from pipelines.realism.noise import noise_field
from pipelines.recipe import Recipe

CHAIN = {key: value for key, value in presets.read("camera-jpeg").items() if key != "finish"}
"""What the preset does before the finish."""

GAINS = (2.3, 3.3, 4.7, 6.6, 9.4, 13.3, 18.8, 26.5)
"""Gains that the finish is fitted at, each half a stop above the last."""

BOUNDS = {"lag 1": 0.08, "green-blue": 0.15}
STRENGTHS = ("luma", "chroma", "sharpen")
STRONGEST = ((0.0, 6.0), (0.0, 6.0), (0.0, 0.5))
"""Bounds of luma, chroma and sharpening: very strong smoothing can be undone by sharpening, and the
measures hardly tell."""

CROP = 320
EVALUATIONS = 80
ROUNDS = 3
"""Times that the gain is chosen for the strengths found, and these are found for that gain."""

CANDIDATES, DRAWS = 16, 4
"""Draws of a tested scene, and those of them that are as strong as the real noise."""

Floats = npt.NDArray[np.float64]


def measures(clean: Picture, noisy: Picture) -> dict[str, float]:
    """Return correlations of the noise of a pair, and its chroma over its luma.

    They are those of ``noisegen realism``: of noise that was standardised level by level. Lags are
    means over rows and columns, ``lag 1`` over R, G, B, ``chroma ...`` over Cb and Cr.
    """
    found = of_field(noise_field(clean, noisy))
    std = np.sqrt(found.square_sum.sum(axis=1))
    covariance = found.covariance * np.outer(std, std)[..., None, None]
    ycbcr = np.einsum("ik,klyx,jl->ijyx", YCBCR, covariance, YCBCR)[range(3), range(3)]
    power = ycbcr[:, REACH, REACH]
    lags = (ycbcr[:, REACH:, REACH] + ycbcr[:, REACH, REACH:]) / 2 / power[:, None]
    return {
        "lag 1": float(found.lags(1).mean()),
        "green-blue": float(found.channels[1, 2]),
        "red-green": float(found.channels[0, 1]),
        **{f"luma lag {lag}": float(lags[0, lag]) for lag in (1, 2)},
        **{f"chroma lag {lag}": float(lags[1:, lag].mean()) for lag in range(1, 5)},
        "chroma / luma": float(np.sqrt(power[1:].mean() / power[0])),
    }


def main() -> None:
    """Fit, test and print."""
    pairs = open_pairs(sys.argv.pop(1))
    halves = [pairs.take(range(first, len(pairs), 2)) for first in (0, 1)]
    results: dict[str, object] = {}
    every = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (fitted, tested) in enumerate(permutations(halves), 1):
            own = Path(folder) / str(number)
            found = _fit(fitted, own)
            every += found
            results[f"fitted to half {number}"] = {
                "scenes": {e.name: x for e, x in zip(fitted.entries, found, strict=True)},
                **_test(tested, _ranges(found), own),
            }
    results["ranges over all scenes"] = _ranges(every)
    harness.report("camera_jpeg", results)


def _test(tested: Pairs, ranges: dict[str, tuple[float, float]], folder: Path) -> dict[str, object]:
    """Draw strengths from ranges and compare the noise with the real one."""
    real = _mean([measures(p.clean, p.noisy) for p in tested])
    recipes: dict[str, dict[str, object]] = {
        "rendering alone": {"bits": 8},
        "fitted": {"preset": "camera-jpeg", "finish": {**ranges, "target": "finished"}},
    }
    means = {name: _mean(_try(tested, folder / name, recipe)) for name, recipe in recipes.items()}
    return {
        "ranges": ranges,
        "scenes tested on": [entry.name for entry in tested.entries],
        "means over the tested scenes": {"real": real} | means,
        "within bounds": {
            name: abs(means["fitted"][name] - real[name]) <= bound for name, bound in BOUNDS.items()
        },
    }


def _fit(pairs: Pairs, folder: Path) -> list[dict[str, float]]:
    """Return the strengths whose noise is nearest to each pair's, and how near."""
    corpora = {
        gain: _corpus(pairs, folder / str(gain), {"bits": 16, "gain": gain}) for gain in GAINS
    }
    names = list(corpora[GAINS[0]].images.names)
    found = []
    for pair in pairs:
        real = measures(pair.clean, pair.noisy)
        level = strength(pair.clean[:CROP, :CROP], pair.noisy[:CROP, :CROP])
        trials = {
            gain: _Trial(one, one[names.index(f"{pair.name}.png")]) for gain, one in corpora.items()
        }
        strengths, before = np.array([2.0, 2.0, 0.2]), 0.0
        for _ in range(ROUNDS):
            gain = min(trials, key=lambda g: abs(strength(*trials[g](strengths)) - level))
            if gain == before:
                break
            best = minimize(
                _distance,
                strengths,
                (trials[gain], real),
                method="Nelder-Mead",
                bounds=STRONGEST,
                options={"maxfev": EVALUATIONS},
            )
            strengths, before = best.x, gain
        by_name = zip(STRENGTHS, strengths.tolist(), strict=True)
        found.append({name: round(x, 2) for name, x in by_name})
        found[-1] |= {"gain": before, "squared distance": round(float(best.fun), 4)}
    return found


@dataclass(frozen=True)
class _Trial:
    """Finishes a sample of a corpus without a finish."""

    corpus: pipelines.Corpus
    sample: pipelines.Sample

    def __call__(self, strengths: Floats) -> tuple[Picture, Picture]:
        """Return the clean and the noisy picture, finished."""
        luma, chroma, sharpen = strengths.tolist()
        row, recipe = self.sample.row, self.corpus.recipe
        isp = isp_parameters(row, recipe.demosaic, recipe.gamma)
        level = rendered_noise(row["shot"], row["read"], isp)
        parameters = FinishParameters(
            luma=luma * level.luma,
            chroma=chroma * level.chroma,
            sharpen=sharpen,
            sharpen_radius=1.0,
            quality=98,
            subsampling="4:2:2",
            noise=luma_curve(row["shot"], row["read"], isp),
        )
        clean, noisy = (
            finish(np.ascontiguousarray(self.sample.arrays[name][:CROP, :CROP]), parameters)
            for name in ("clean", "noisy")
        )
        return clean, noisy


def _distance(strengths: Floats, trial: _Trial, real: dict[str, float]) -> float:
    """Return the squared distance of a finished sample's measures from the real ones."""
    ours = measures(*trial(strengths))
    return sum((ours[name] - real[name]) ** 2 for name in real)


def _try(pairs: Pairs, folder: Path, changes: dict[str, object]) -> list[dict[str, float]]:
    """Return the measures of draws of a recipe that are as strong as each pair's noise."""
    corpus = _corpus(pairs, folder, {"per_image": CANDIDATES, **changes})
    places = {f"{entry.name}.png": number for number, entry in enumerate(pairs.entries)}
    samples = (corpus[number].arrays for number in nearest(pairs, corpus, places, DRAWS))
    return [measures(arrays["clean"], arrays["noisy"]) for arrays in samples]


def _corpus(pairs: Pairs, folder: Path, changes: dict[str, object]) -> pipelines.Corpus:
    """Make a corpus of samples, as large as they get, of each clean picture."""
    (folder / "clean").mkdir(parents=True)
    edge = min(min(pair.clean.shape[:2]) for pair in pairs) // 2 * 2
    for pair in pairs:
        cv2.imwrite(str(folder / "clean" / f"{pair.name}.png"), pair.clean[..., ::-1])
    options = {**CHAIN, "source": "folder", "patch": edge, "per_image": 1}
    recipe = Recipe(**{**options, **changes})
    pipelines.synthesize(recipe, str(folder / "corpus.zarr"), root=str(folder / "clean"))
    return pipelines.open(folder / "corpus.zarr")


def _ranges(found: Sequence[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Return the ranges of the strengths without the least and the greatest of each."""
    every = {name: sorted(one[name] for one in found)[1:-1] for name in STRENGTHS}
    return {name: (round(of[0], 1), round(of[-1], 1)) for name, of in every.items()}


def _mean(every: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(float(np.mean([m[name] for m in every])), 3) for name in every[0]}


if __name__ == "__main__":
    main()
