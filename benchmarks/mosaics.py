"""A training sample of mosaics, from a 12-megapixel DNG to a noisy and a clean picture.

The baseline does as the code published with DualDn: each sample decodes its whole file, normalises
and turns the whole frame in floating point, cuts a patch, draws its noise with NumPy, and develops
both mosaics by the ISP as its equations stand. The subject reads a corpus that was made of the file
once, and draws and develops as training does, but that it develops the noisy mosaic too, as the
published code does for every sample. CPU seconds a sample, one thread. Bars: 50 times with patches
of 256, 15 times with 512. Run ``python -m benchmarks.mosaics [OUT.json]``.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import pipelines
from benchmarks.harness import ratio, report
from benchmarks.isp_torch import plain
from denoisers.data import Loader, Mixture, open_mosaics
from denoisers.models.dualdn import INPUTS, Isp, Shot
from denoisers.training import recipe
from denoisers.training.mosaics import prepared
from noisegen import raw
from noisegen.cfa import plane_map
from noisegen.isp.color import camera_to_xyz
from noisegen.raw import write_dng
from noisegen.sensor.sampling import dualdn_prior

HEIGHT, WIDTH = 3000, 4000
BLACK, WHITE = 512.0, 16383
MATRIX = [[0.9, -0.2, -0.1], [-0.4, 1.2, 0.2], [-0.1, 0.2, 0.7]]
NEUTRAL = (0.5, 1.0, 0.6)
SAMPLES = {256: 16, 512: 4}
"""Of a batch of the subject, by the patch."""


def frame(path: Path) -> None:
    """Write the DNG: smooth light with shot noise, 14 bits, lossless JPEG."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] / WIDTH
    level = 2000 + 6000 * rows + 3000 * np.sin(20 * columns) ** 2
    mosaic = np.rint(level + 4 * np.sqrt(level) * rng.standard_normal(level.shape, np.float32))
    write_dng(
        path,
        mosaic.clip(0, WHITE).astype(np.uint16),
        cfa="RGGB",
        black_level=BLACK,
        white_level=WHITE,
        bits=14,
        as_shot_neutral=NEUTRAL,
        color_matrix=MATRIX,
        compression="lossless-jpeg",
    )


def published(path: Path, patch: int) -> Callable[[], object]:
    """Return what makes one sample as published."""
    rng = np.random.default_rng(1)
    cam_to_xyz = torch.tensor(camera_to_xyz(MATRIX), dtype=torch.float32)[None]
    gains = torch.tensor([[1 / NEUTRAL[i] for i in (0, 1, 2, 1)]])

    def sample() -> object:
        image = raw.read(path)
        planes = plane_map("RGGB", image.mosaic.shape)
        black = np.full(4, BLACK, np.float32)[planes]
        x = np.maximum(image.mosaic.astype(np.float32) - black, 1e-8) / (WHITE - black)
        mode = int(rng.integers(8))
        x, planes = (np.rot90(a, mode // 2) for a in (x, planes))
        if mode % 2:
            x, planes = np.flipud(x), np.flipud(planes)
        while True:
            top, left = (int(rng.integers(n - patch + 1)) for n in x.shape)
            if planes[top, left] == 0:
                break
        clean = x[top : top + patch, left : left + patch]
        cfa = planes[top : top + patch, left : left + patch]
        K, S = dualdn_prior(rng)
        noisy = rng.poisson(clean / K).astype(np.float32) * K
        noisy = (noisy + rng.standard_normal(clean.shape) * np.sqrt(S)).clip(0, 1)
        pair = np.stack((clean, noisy.astype(np.float32)))[:, None]
        alpha = torch.full((2,), float(rng.uniform()))
        return plain(
            torch.from_numpy(pair),
            torch.from_numpy(cfa.astype(np.int64)).expand(2, 1, patch, patch),
            gains.expand(2, 4),
            cam_to_xyz.expand(2, 3, 3),
            alpha,
            "ahd",
            "rec709",
        )

    return sample


def ours(corpus: str, patch: int) -> Callable[[], object]:
    """Return what makes a batch of samples from the corpus."""
    size = SAMPLES[patch]
    own = recipe.parse({"model": "dualdn", "iterations": 1, "batch": size, "renoise": True})
    data = Mixture([open_mosaics(corpus, noisy=False)], (1,))
    loader = Loader(data, patch=patch, batch=size, seed=0)
    isp, numbers = Isp(), iter(range(1 << 30))

    def batch() -> object:
        tensors = prepared(loader.batch(next(numbers)), own, torch.device("cpu"))
        shot = Shot(*(tensors[name] for name in INPUTS[1:]))
        with torch.no_grad():
            return [isp.develop(tensors[name], shot) for name in ("raw_clean", "raw_noisy")]

    return batch


def measure() -> dict[str, object]:
    """Return each figure by its name."""
    torch.set_num_threads(1)
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "raws").mkdir()
        path = folder / "raws" / "a.dng"
        frame(path)
        for patch, size in SAMPLES.items():
            corpus = str(folder / f"{patch}.zarr")
            made = pipelines.Recipe(
                source="folder", camera="dualdn", stage="raw", patch=patch + 2, count=48,
                per_image=48, source_noise={"policy": "ignore"},
            )  # fmt: skip
            pipelines.synthesize(made, corpus, root=str(folder / "raws"))
            found = ratio(published(path, patch), ours(corpus, patch), rounds=5)
            found["subject_seconds"] /= size
            for key in ("ratio", "ratio_lower_quartile", "ratio_upper_quartile"):
                found[key] *= size
            results[f"patches of {patch}x{patch}"] = found
    return results


if __name__ == "__main__":
    report("mosaics", measure())
