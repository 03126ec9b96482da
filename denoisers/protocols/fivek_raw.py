"""DualDn's synthetic test: 20 raws of FiveK, three levels of noise, three tones.

The clean mosaic is turned upright and cut as published, its noise drawn by NumPy's legacy generator
seeded anew for each picture. Networks get the whole of it, not one tile after the other, and
nothing is left out of what is compared. Where the published test turns a picture by 90 degrees
counter-clockwise it mirrors it too; here it does not.

References
----------
R. Li et al., "DualDn: Dual-domain Denoising via Differentiable ISP", ECCV 2024, and its code.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from catalogs.sources.base import ImageRef
from catalogs.sources.fivek import FiveK
from denoisers.inference.raws import (
    RED,
    Frame,
    Noise,
    Picture,
    developed,
    shot_of,
    upright,
)
from denoisers.models.dualdn import Isp
from denoisers.protocols.base import Asked, Case, Cases, Protocol
from noisegen.errors import InputError
from noisegen.isp.geometry import first_red, tiled_window
from noisegen.random import published_legacy_generator
from noisegen.raw import RawImage
from noisegen.sensor import formulas
from noisegen.sensor.sampling import dualdn_read

SHOTS = (2e-4, 2e-3, 2e-2)
ALPHAS = (0.2, 0.5, 0.8)
SEED = 100
PATCH, BORDER = 512, 16
"""Of the published tiles: a picture is cut to whole patches and a border."""


def open_raws(asked: Asked) -> Cases:
    """Find the raws that DualDn validates on."""
    source = FiveK(asked.root.url, "dualdn-val")
    refs = source.images()
    every = [(ref, K, alpha) for ref in refs for K in SHOTS for alpha in ALPHAS]
    names = tuple(f"{ref.scene}_K{K:g}_alpha{alpha:g}" for ref, K, alpha in every)
    groups = tuple(f"K = {K:g}, α = {alpha:g}" for _, K, alpha in every)
    return Cases(
        asked.root.url,
        names,
        _Noisy(source, tuple(every), Isp(asked.demosaic or "ahd", "rec709")),
        groups,
        source.skipped,
    )


@dataclass(frozen=True)
class _Noisy:
    source: FiveK
    every: tuple[tuple[ImageRef, float, float], ...]
    isp: Isp

    def __call__(self, number: int) -> Case:
        ref, K, alpha = self.every[number]
        image, clean = _clean(self.source, ref)
        rng = published_legacy_generator(SEED)
        S = dualdn_read(rng, K)
        counts = rng.poisson(clean / K).astype(np.float32)
        z = rng.standard_normal(clean.shape).astype(np.float32)
        noisy = formulas.published_clip(formulas.poisson_gaussian(counts, z, K, S))
        shot = shot_of(image.metadata, Noise(K, S, "given"), alpha)
        frame = Frame.at_red(noisy.astype(np.float32), RED, shot, self.isp)
        with torch.inference_mode():
            pictures = [
                developed(torch.from_numpy(mosaic)[None, None], shot, self.isp)[0].permute(1, 2, 0)
                for mosaic in (noisy.astype(np.float32), clean)
            ]
        rendered, target = (picture.clamp(0, 1).numpy() for picture in pictures)
        return Case(rendered, target, frame=frame)


@lru_cache(maxsize=1)
def _clean(source: FiveK, ref: ImageRef) -> tuple[RawImage, Picture]:
    """Return a raw file, and its mosaic upright, cut, with red at the corner."""
    found = source.read(ref)
    if found.raw is None:
        raise InputError(f"{ref.name} is no raw file; the test is of FiveK's DNGs")
    image = RawImage(found.pixels.astype(np.uint16, copy=False), found.raw)
    mosaic, phase = upright(image)
    mosaic = np.maximum(mosaic, 0)
    height, width = mosaic.shape
    if min(height, width) < PATCH + BORDER + 2:
        top, left = first_red(phase)
        height, width = (height - top) // 2 * 2, (width - left) // 2 * 2
    else:
        top, left, height, width = tiled_window(phase, (height, width), PATCH, BORDER)
    return image, np.ascontiguousarray(mosaic[top : top + height, left : left + width])


FIVEK_RAW = Protocol(
    name="fivek-raw",
    title="DualDn's 20 raws of FiveK, synthetic noise",
    source="DualDn (ECCV 2024), its code",
    layout="raw_photos/… as FiveK has it, or Raw/a0371-….dng",
    channels=3,
    open=open_raws,
    settings={"seed": SEED, "K": list(SHOTS), "alpha": list(ALPHAS), "isp": "gamma rec709"},
    mosaics=True,
)
