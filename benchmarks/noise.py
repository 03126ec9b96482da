"""Sensor noise on a 12 MP frame, uint16 in and out, one core, against NumPy.

Run ``python -m benchmarks.noise [OUT.json]``. Bars: ``heteroscedastic`` 7, ``poisson-gaussian`` 20.
The other lines have no bar; they show what planes that differ, dark frames, ELD's terms
and a camera's body cost.
"""

import numpy as np

from benchmarks import frames, harness
from noisegen.random import body_counter, counter
from noisegen.sensor import BodyParameters, Levels, NoiseParameters, add_noise, get

BLACK, WHITE, GAIN, READ = 512, 16383, 4.0, 10.0  # DN, DN per electron: about ISO 1600
LEVELS = Levels((BLACK,) * 4, WHITE)
ALIKE = NoiseParameters(
    shot=(GAIN / (WHITE - BLACK),) * 4,
    read=((READ / (WHITE - BLACK)) ** 2,) * 4,
    row=1 / (WHITE - BLACK),
    tukey_lambda=-0.1,
    tukey_scale=5 / (WHITE - BLACK),
)
UNLIKE = NoiseParameters(
    shot=tuple(GAIN * f / (WHITE - BLACK) for f in (1, 1.01, 1.02, 1.03)), read=ALIKE.read
)

LIGHT = BodyParameters(prnu=0.01)
EVERYTHING = BodyParameters(
    prnu=0.01,
    green_imbalance=0.01,
    dsnu=1e-4,
    dark_shading=1e-4,
    column_fpn=1e-4,
    column=1e-4,
    black_level_error=1e-4,
    hot_pixels=1e-4,
    hot_charge=0.01,
    dead_pixels=1e-5,
    dual_gain_level=0.3,
    dual_gain_ratio=3.0,
)


def main() -> None:
    """Measure and print."""
    frame = frames.photograph(noisy=False)
    out = np.empty_like(frame)
    dark = (BLACK + (frame - BLACK) // 100).astype(np.uint16)
    rng = np.random.Generator(np.random.SFC64(1))

    def normals() -> object:
        return rng.standard_normal(frame.size, dtype=np.float32)

    def poisson_gaussian(mosaic: np.ndarray) -> object:
        electrons = rng.poisson((mosaic.astype(np.float32) - BLACK) / GAIN)
        noisy = electrons * np.float32(GAIN) + READ * rng.standard_normal(
            mosaic.shape, dtype=np.float32
        )
        return np.clip(np.rint(noisy + BLACK), 0, WHITE).astype(np.uint16)

    def ours(
        name: str, parameters: NoiseParameters, mosaic: np.ndarray, body: BodyParameters | None
    ) -> object:
        arguments = (mosaic, LEVELS, get(name), parameters, LEVELS, "RGGB", counter(1, 1))
        return add_noise(*arguments, out=out, body=body, body_counter=body_counter(1, 1, 1))

    lines = {
        "heteroscedastic": (normals, "heteroscedastic", ALIKE, frame),
        "heteroscedastic, planes differ": (normals, "heteroscedastic", UNLIKE, frame),
        "poisson-gaussian": (
            lambda: poisson_gaussian(frame), "poisson-gaussian", ALIKE, frame,
        ),
        "poisson-gaussian, planes differ": (
            lambda: poisson_gaussian(frame), "poisson-gaussian", UNLIKE, frame,
        ),
        "poisson-gaussian, 100 times darker": (
            lambda: poisson_gaussian(dark), "poisson-gaussian", ALIKE, dark,
        ),
        "eld": (lambda: poisson_gaussian(frame), "eld", ALIKE, frame),
        "heteroscedastic, PRNU": (normals, "heteroscedastic", ALIKE, frame, LIGHT),
        "poisson-gaussian, whole body": (
            lambda: poisson_gaussian(frame), "poisson-gaussian", ALIKE, frame, EVERYTHING,
        ),
    }  # fmt: skip
    results: dict[str, object] = {}
    for line, (baseline, name, parameters, mosaic, *body) in lines.items():
        of = body[0] if body else None
        measured = harness.ratio(
            baseline, lambda n=name, p=parameters, m=mosaic, b=of: ours(n, p, m, b), rounds=7
        )
        measured["megapixels_per_second"] = frame.size / 1e6 / measured["subject_seconds"]
        results[line] = measured
    results["share_below_16_electrons"] = float((frame < BLACK + 16 * GAIN).mean())
    harness.report("noise", results)


if __name__ == "__main__":
    main()
