"""How far made noise is from the real noise of pairs that are held out."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from denoisers.neca.jpeg import through_jpeg
from denoisers.neca.losses import global_level
from denoisers.neca.nets import Nets
from denoisers.training.objective import to_float
from denoisers.training.validation import Middles
from noisegen import metrics
from noisegen.neca.card import Jpeg
from noisegen.neca.networks import MOST_STAGES
from noisegen.random import Stream, torch_generator
from pipelines.realism import distances
from pipelines.realism.measures import Measures, of_field
from pipelines.realism.noise import noise_field

MULTIPLE = 1 << (MOST_STAGES - 1)
"""Height and width that every correlation network takes are multiples of this."""


class Scores(NamedTuple):
    """Of the held-out pictures.

    Attributes
    ----------
    kld, kld_smoothed, akld
        Means over the pictures of the published divergences of noise: NeCA's, Noise Flow's, and
        DANet's, in nats.
    covariance
        Distance of the noises' covariances in space and between channels, as in
        ``noisegen realism``.
    psnr, noisy_psnr
        Of the denoiser on real noise, and of real noise, in dB; NaN without a denoiser.
    """

    kld: float
    kld_smoothed: float
    akld: float
    covariance: float
    psnr: float
    noisy_psnr: float

    @property
    def distance(self) -> float:
        """What the best weights have the least of: the laws of values, and of neighbours."""
        return self.kld_smoothed + self.covariance


class Shown(NamedTuple):
    """8-bit pictures (H, W, 3) of one validated pair, with real and with made noise."""

    real: npt.NDArray[np.uint8]
    made: npt.NDArray[np.uint8]
    clean: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class HeldOut:
    """Pairs that nothing is learned from.

    Attributes
    ----------
    middles
        Their middles.
    seed
        Of the noise that is made for them, the same every time.
    measured_gain
        P is given the measured strength of the real noise, not what E reads.
    jpeg
        What the noisy pictures were in, and made noise goes through.
    """

    middles: Middles
    seed: int
    measured_gain: bool = False
    jpeg: Jpeg | None = None

    def scores(
        self,
        nets: Nets,
        device: torch.device,
        shown: Callable[[int, Shown], None] = lambda number, pictures: None,
    ) -> Scores:
        """Return how far the networks' noise is from the real one.

        Parameters
        ----------
        nets
            Put into evaluation mode, and left so.
        device
            Where they are.
        shown
            Gets each picture's number and the picture.
        """
        for net in nets.named.values():
            net.eval()
        rows, made = [], []
        for number in range(len(self.middles)):
            codes = self._pair(number)
            clean, noisy = (to_float(half[None], device) for half in codes)
            rng = torch_generator(self.seed, Stream.NECA_HELD_OUT, number, device=device)
            white = torch.randn(clean.shape, generator=rng, device=device)
            with torch.inference_mode():
                given = global_level(noisy - clean) if self.measured_gain else None
                synthetic = clean + nets.make(clean, noisy, white, given).correlated
                if self.jpeg is not None:
                    quality = self.jpeg.middle
                    synthetic = through_jpeg(synthetic.clamp(0, 1), quality, self.jpeg.subsampling)
                restored = noisy if nets.denoiser is None else nets.denoiser(noisy)
            x, y, out, r = (
                t[0].permute(1, 2, 0).cpu().double().numpy()
                for t in (clean, noisy, synthetic, restored)
            )
            top = np.iinfo(codes.clean.dtype).max
            quantised = np.rint(np.clip(out, 0, 1) * top)
            made.append(of_field(noise_field(codes.clean, quantised.astype(codes.clean.dtype))))
            y8, out8, x8, r8 = (metrics.to_8bit(picture) for picture in (y, out, x, r))
            shown(number, Shown(y8, out8, x8))
            psnrs = [metrics.psnr(picture, x8) for picture in (r8, y8)]
            rows.append(
                (
                    metrics.kld(y - x, quantised / top - x),
                    metrics.kld(y - x, quantised / top - x, "noise-flow"),
                    metrics.akld(x, y, out),
                    *(psnrs if nets.denoiser is not None else (np.nan, np.nan)),
                )
            )
        kld, smoothed, akld, psnr, noisy_psnr = np.mean(rows, axis=0).tolist()
        return Scores(kld, smoothed, akld, self._covariance(reduce(add, made)), psnr, noisy_psnr)

    def _covariance(self, made: Measures) -> float:
        # The first networks make noise that rounding takes away whole: it has no covariance.
        with np.errstate(invalid="ignore"):
            found = distances.covariance(self._real, made)
        return found if np.isfinite(found) else 1.0

    def _pair(self, number: int) -> "_Codes":
        pictures = self.middles[number]
        height, width = (length // MULTIPLE * MULTIPLE for length in pictures["clean"].shape[:2])
        return _Codes(*(pictures[name][:height, :width] for name in ("clean", "noisy")))

    @cached_property
    def _real(self) -> Measures:
        every = (self._pair(number) for number in range(len(self.middles)))
        return reduce(add, (of_field(noise_field(*one)) for one in every))


class _Codes(NamedTuple):
    clean: npt.NDArray[Any]
    noisy: npt.NDArray[Any]
