"""Fit the finish of preset camera-jpeg to half of the scenes of CC, and test it on the other half.

Run ``python -m benchmarks.camera_jpeg FOLDER [OUT.json]``; the folder holds CC's pairs
``X_real.png`` and ``X_mean.png`` (S. Nam et al., "A Holistic Approach to Cross-Channel Image Noise
Modeling and its Application to Image Denoising", CVPR 2016). It is not one of the benches that
``python -m benchmarks`` runs: its result is the preset.

The mean of a pair is unprocessed, exposed by a full-frame camera at its higher gains and rendered.
In every scene of the first half (first, third, ...) the strengths of the finish are found whose
noise comes nearest to that of ``real - mean``; their ranges over the scenes, rounded, are what the
preset draws from. The preset as it stands is then tried on the scenes of the second half, in draws
of its own, against the bounds ``lag 1`` 0.08 and ``green-blue`` 0.15 of the means over the scenes.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

import pipelines
from benchmarks import harness
from noisegen.isp.finish import finish
from noisegen.isp.parameters import FinishParameters
from noisegen.isp.rendered_noise import YCBCR, luma_curve, rendered_noise
from pipelines.develop import isp_parameters
from pipelines.pairs import Pairs, Picture, open_pairs
from pipelines.realism.measures import REACH, of_field
from pipelines.realism.noise import noise_field
from pipelines.recipe import Recipe

CAMERA = {"camera": "NikonD850", "gain": (14.0, 26.0)}
"""A full-frame camera at about ISO 3200 to 6400, as CC's are."""

BOUNDS = {"lag 1": 0.08, "green-blue": 0.15}
STRONGEST = ((0.0, 6.0), (0.0, 6.0), (0.0, 0.5))
"""Bounds of luma, chroma and sharpening: very strong smoothing can be undone by sharpening, and the
measures hardly tell."""

CROP = 320
EVALUATIONS = 80
DRAWS = 4

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
    fitted, tested = (pairs.take(range(first, len(pairs), 2)) for first in (0, 1))
    real = [measures(p.clean, p.noisy) for p in tested]
    with tempfile.TemporaryDirectory() as folder:
        found = _fit(fitted, Path(folder))
        trials = {
            "rendering alone": _try(tested, Path(folder) / "plain", {"bits": 8}),
            "camera-jpeg": _try(tested, Path(folder) / "preset", {"preset": "camera-jpeg"}),
        }
    means = {"real": _mean(real)} | {name: _mean(trial) for name, trial in trials.items()}
    results: dict[str, object] = {
        "scenes fitted to": {e.name: x for e, x in zip(fitted.entries, found, strict=True)},
        "scenes tested on": [entry.name for entry in tested.entries],
        "means over the tested scenes": means,
        "within bounds": {
            name: abs(means["camera-jpeg"][name] - means["real"][name]) <= bound
            for name, bound in BOUNDS.items()
        },
    }
    harness.report("camera_jpeg", results)


def _fit(pairs: Pairs, folder: Path) -> list[dict[str, float]]:
    """Return the strengths whose noise is nearest to each pair's, and how near."""
    corpus = _corpus(pairs, folder / "fitted", {"bits": 16})
    names = list(corpus.images.names)
    found = []
    for pair in pairs:
        real = measures(pair.clean, pair.noisy)
        sample = corpus[names.index(f"{pair.name}.png")]
        start = [2.0, 2.0, 0.2]
        best = minimize(
            _distance,
            start,
            (corpus, sample, real),
            method="Nelder-Mead",
            bounds=STRONGEST,
            options={"maxfev": EVALUATIONS},
        )
        strengths = zip(("luma", "chroma", "sharpen"), best.x, strict=True)
        found.append({name: round(float(x), 2) for name, x in strengths})
        found[-1]["squared distance"] = round(float(best.fun), 4)
    return found


def _distance(
    strengths: Floats, corpus: pipelines.Corpus, sample: pipelines.Sample, real: dict[str, float]
) -> float:
    """Return the squared distance of a finished sample's measures from the real ones."""
    luma, chroma, sharpen = strengths.tolist()
    row = sample.row
    isp = isp_parameters(row, corpus.recipe.demosaic, corpus.recipe.gamma)
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
        finish(np.ascontiguousarray(sample.arrays[name][:CROP, :CROP]), parameters)
        for name in ("clean", "noisy")
    )
    ours = measures(clean, noisy)
    return sum((ours[name] - real[name]) ** 2 for name in real)


def _try(pairs: Pairs, folder: Path, changes: dict[str, object]) -> list[dict[str, float]]:
    """Return the measures of every draw of a recipe on some pairs' clean pictures."""
    found = []
    for seed in range(DRAWS):
        corpus = _corpus(pairs, folder / str(seed), {"seed": seed, **changes})
        for number in corpus.valid:
            arrays = corpus[int(number)].arrays
            found.append(measures(arrays["clean"], arrays["noisy"]))
    return found


def _corpus(pairs: Pairs, folder: Path, changes: dict[str, object]) -> pipelines.Corpus:
    """Make a corpus of one sample, as large as it gets, of each clean picture."""
    (folder / "clean").mkdir(parents=True)
    edge = min(min(pair.clean.shape[:2]) for pair in pairs) // 2 * 2
    for pair in pairs:
        cv2.imwrite(str(folder / "clean" / f"{pair.name}.png"), pair.clean[..., ::-1])
    options = {"source": "folder", "patch": edge, "per_image": 1, "tone": (0.0, 1.0), **CAMERA}
    if "preset" in changes:
        options["finish"] = {"target": "finished"}
    recipe = Recipe(**{**options, **changes})
    pipelines.synthesize(recipe, str(folder / "corpus.zarr"), root=str(folder / "clean"))
    return pipelines.open(folder / "corpus.zarr")


def _mean(every: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(float(np.mean([m[name] for m in every])), 3) for name in every[0]}


if __name__ == "__main__":
    main()
