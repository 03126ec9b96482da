"""The fused ISP on a 12 MP mosaic, one core, against OpenCV's demosaicer and the torch pipeline.

Run ``python -m benchmarks.isp [OUT.json]``. Bars: ``malvar to sRGB, 8 bit`` 0.6 of OpenCV bilinear
demosaicing, which does nothing else; ``ahd against torch`` 10. The other lines have no bar.
"""

import cv2
import numpy as np
import torch

from benchmarks import frames, harness
from noisegen.isp import pipeline
from noisegen.isp.bulk import render, unprocess
from noisegen.isp.parameters import DEMOSAICS, HALO, IspParameters
from noisegen.isp.shading import GainMaps, Radial, Shading

HEIGHT, WIDTH = frames.HEIGHT, frames.WIDTH
BLACK, WHITE = 512, 16383
LEVELS = ((BLACK,) * 4, WHITE)
MATRIX = ((0.7161, 0.2475, 0.0364), (0.2759, 0.9854, -0.2613), (0.0253, -0.2454, 1.2201))
PATCH = 128


def main() -> None:
    """Measure and print."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    frame = frames.photograph(noisy=True)
    small = np.ascontiguousarray(frame[:1024, :1024])
    wide = np.empty((HEIGHT, WIDTH, 3), np.uint16)
    narrow = np.empty((HEIGHT, WIDTH, 3), np.uint8)

    def opencv() -> object:
        return cv2.cvtColor(frame, cv2.COLOR_BayerRG2RGB, dst=wide)

    def ours(demosaic: str, mosaic: np.ndarray = frame, **options: object) -> object:
        return render(mosaic, "RGGB", *LEVELS, parameters(demosaic), **options)

    def by_torch(demosaic: str) -> object:
        normal = (small.astype(np.float32) - BLACK).clip(1e-8) / (WHITE - BLACK)
        with torch.no_grad():
            mosaic = torch.from_numpy(normal)[None, None]
            return pipeline.render(mosaic, "RGGB", parameters(demosaic))

    halo = HALO["malvar"]
    side = PATCH + 2 * halo
    rows, columns = HEIGHT // side, WIDTH // side
    crops = [
        np.ascontiguousarray(frame[y * side : (y + 1) * side, x * side : (x + 1) * side])
        for y in range(rows)
        for x in range(columns)
    ]
    pictures = np.empty((len(crops), PATCH, PATCH, 3), np.uint8)
    radial = Shading(Radial((0.4, 0.2, 0.1))).at((HEIGHT, WIDTH))
    grid = 1 + np.hypot(*np.mgrid[-1:1:13j, -1:1:17j])
    maps = Shading(maps=GainMaps(np.stack([grid] * 4), spacing=(1 / 12, 1 / 16))).at(
        (HEIGHT, WIDTH)
    )

    def patches() -> None:
        for crop, picture in zip(crops, pictures, strict=True):
            ours("malvar", crop, cut=(halo, halo, PATCH, PATCH), out=picture)

    lines = {
        f"{demosaic} to sRGB, 8 bit": (
            opencv, lambda d=demosaic: ours(d, out=narrow), frame.size,
        )
        for demosaic in DEMOSAICS
    }  # fmt: skip
    lines |= {
        "malvar to sRGB, 16 bit": (opencv, lambda: ours("malvar", bits=16, out=wide), frame.size),
        "malvar to sRGB, 8 bit, radial shading": (
            opencv, lambda: ours("malvar", shading=radial, out=narrow), frame.size,
        ),
        "malvar to sRGB, 8 bit, gain maps": (
            opencv, lambda: ours("malvar", shading=maps, out=narrow), frame.size,
        ),
        "malvar to linear": (opencv, lambda: ours("malvar", stage="linear", out=wide), frame.size),
        "malvar to sRGB, 8 bit, patches of 128": (opencv, patches, len(crops) * PATCH**2),
        "unprocess, 8 bit": (
            opencv,
            lambda: unprocess(narrow, "RGGB", *LEVELS, parameters("malvar")),
            frame.size,
        ),
        "malvar against torch": (
            lambda: by_torch("malvar"), lambda: ours("malvar", small), small.size,
        ),
        "ahd against torch": (lambda: by_torch("ahd"), lambda: ours("ahd", small), small.size),
    }  # fmt: skip
    results: dict[str, object] = {}
    for line, (baseline, subject, pixels) in lines.items():
        measured = harness.ratio(baseline, subject, rounds=5 if "torch" in line else 9)
        measured["megapixels_per_second"] = pixels / 1e6 / measured["subject_seconds"]
        results[line] = measured
    results["share of values one level off"] = off_by_one(small)
    harness.report("isp", results)


def parameters(demosaic: str) -> IspParameters:
    """Return a daylight white balance, a phone's matrix and half the tone curve."""
    return IspParameters((2.1, 1.0, 1.5), MATRIX, demosaic=demosaic, alpha=0.5)


def off_by_one(mosaic: np.ndarray) -> dict[str, float]:
    """Return the share of values that differ from the float64 torch pipeline's, by case."""
    normal = torch.from_numpy((mosaic - float(BLACK)).clip(1e-8) / (WHITE - BLACK))[None, None]
    shares = {}
    for demosaic in DEMOSAICS:
        exact = pipeline.render(normal, "RGGB", parameters(demosaic))[0].permute(1, 2, 0).numpy()
        for bits in (8, 16):
            greatest = 2**bits - 1
            expected = np.floor(np.clip(exact * greatest + 0.5, 0, greatest))
            got = render(mosaic, "RGGB", *LEVELS, parameters(demosaic), bits=bits)
            shares[f"{demosaic}, {bits} bit"] = float((got != expected).mean())
            far = float((np.abs(got - expected) > 1).mean())
            shares[f"{demosaic}, {bits} bit, more than one level"] = far
    return shares


if __name__ == "__main__":
    main()
