"""Statistics of the noise of a set of pairs: sums that grow pair by pair and add up.

What depends on the noise's strength is kept level by level (:attr:`Measures.variance`, the
histograms); all else is measured on standard noise (:mod:`pipelines.realism.noise`), so that two
sets of other scenes, or of other strength, can be compared. Every pair counts alike, whatever its
size.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property, reduce
from itertools import combinations_with_replacement
from operator import add
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import fft

from noisegen.metrics import LEAST_VARIANCE, local_variance
from pipelines.realism.noise import NoiseField

LEVELS = 32
"""Bins of the level, from 0 to 255, of equal width."""

VALUES = 257
"""Bins of a noise histogram, of one 8-bit level, from −128 to 128; the outermost take the rest."""

POOLED = 511
"""Bins of the histogram of all noise, of one 8-bit level, from −255 to 255."""

STRENGTHS = 464
"""Bins of the logarithm of the local variance, in white squared, from 1e-10 to above 1."""

STRENGTH_WIDTH = 0.05
"""Their width."""

REACH = 5
"""Lags of the autocovariance: from −5 to 5 pixels, 11x11 in all."""

BLOCK = 64
"""Height and width of the blocks whose periodograms are averaged, in pixels."""

MIN_KNOWN = 0.75
"""Share of a block's pixels whose standard noise must be known."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measures:
    """Sums over pairs, of C channels; ``+`` adds two sets.

    Attributes
    ----------
    pixels
        (C, LEVELS) number of pixels.
    share, level_sum, noise_sum, square_sum
        (C, LEVELS) sums over pairs of: the share of the pair's pixels, and the means over all its
        pixels of level, noise and squared centred noise of those in the bin, in units of 1/255.
    histogram
        (C, LEVELS, VALUES) as `share`, by noise too.
    pooled
        (POOLED,) sum over pairs of the share of the pair's values, of all channels, by noise.
    strengths
        (C, LEVELS, STRENGTHS) as `share`, by local variance too.
    products, known
        (C, C, 11, 11) sums over pairs of the means over all pixels x of z_c(x) z_c'(x + d), z the
        standard noise, and of the share of the pixels where both are known. Lag d = (dy, dx) is at
        [..., REACH + dy, REACH + dx].
    power, blocks
        (C, B, B) and (C,) sums over pairs of the periodograms of standard noise in blocks of BxB
        over the number of blocks, frequencies as in ``numpy.fft.fft2``; and of the share of the
        blocks that have one. White noise has the expectation 1 at each frequency.
    fourth
        (C,) sums over pairs of the mean of z⁴.
    """

    pixels: Array
    share: Array
    level_sum: Array
    noise_sum: Array
    square_sum: Array
    histogram: Array
    pooled: Array
    strengths: Array
    products: Array
    known: Array
    power: Array
    blocks: Array
    fourth: Array

    def __add__(self, other: Self) -> Self:
        return type(self)(
            *(getattr(self, f.name) + getattr(other, f.name) for f in fields(Measures))
        )

    @property
    def level(self) -> Array:
        """(C, LEVELS) mean level of each bin, NaN where it is empty."""
        return _ratio(self.level_sum, self.share)

    @property
    def variance(self) -> Array:
        """(C, LEVELS) variance of centred noise at each level, NaN where there is none."""
        return _ratio(self.square_sum, self.share)

    @property
    def mean(self) -> Array:
        """(C, LEVELS) mean of the noise at each level, NaN where there is none."""
        return _ratio(self.noise_sum, self.share)

    @cached_property
    def covariance(self) -> Array:
        """(C, C, 11, 11) covariance of standard noise: channel, other channel, lag (dy, dx)."""
        return _ratio(self.products, self.known)

    @cached_property
    def correlation(self) -> Array:
        """(C, C, 11, 11) :attr:`covariance` over the channels' standard deviations."""
        std = np.sqrt(_own(self.covariance[..., REACH, REACH]))
        return np.asarray(self.covariance / (std[:, None] * std)[..., None, None], np.float64)

    def lags(self, pixels: int) -> Array:
        """Return (C, 2) correlations of each channel at a lag down and across."""
        down, across = (REACH + pixels, REACH), (REACH, REACH + pixels)
        return np.stack([_own(self.correlation[..., y, x]) for y, x in (down, across)], -1)

    @property
    def channels(self) -> Array:
        """(C, C) correlation of the channels at one pixel."""
        return self.correlation[..., REACH, REACH]

    @property
    def kurtosis(self) -> Array:
        """(C,) excess kurtosis of standard noise; 0 for Gaussian noise."""
        variance, known = (_own(a[..., REACH, REACH]) for a in (self.covariance, self.known))
        return _ratio(self.fourth, known * variance**2) - 3

    @cached_property
    def spectrum(self) -> Array:
        """(C, B, B) power of standard noise, 1 for white noise."""
        return _ratio(self.power, np.broadcast_to(self.blocks[:, None, None], self.power.shape))

    @property
    def frequencies(self) -> Array:
        """(B/2,) frequencies of :attr:`rows` and :attr:`columns`, in cycles a pixel."""
        block = self.power.shape[-1]
        return np.asarray(np.arange(1, block // 2 + 1) / block, np.float64)

    @property
    def rows(self) -> Array:
        """(C, B/2) power of the means of rows, down the picture.

        The periodogram of a block's row means is the block's own at horizontal frequency 0; white
        noise has 1.
        """
        return self.spectrum[:, 1 : len(self.frequencies) + 1, 0]

    @property
    def columns(self) -> Array:
        """(C, B/2) power of the means of columns, across the picture."""
        return self.spectrum[:, 0, 1 : len(self.frequencies) + 1]

    @property
    def radial(self) -> Array:
        """(C, B/2) power at :attr:`frequencies` in all directions, mean over each ring."""
        block = self.power.shape[-1]
        f = fft.fftfreq(block) * block
        ring = np.rint(np.hypot(f[:, None], f)).astype(np.intp).ravel()
        sums = np.stack([np.bincount(ring, one.ravel()) for one in self.spectrum])
        return (sums / np.bincount(ring))[:, 1 : len(self.frequencies) + 1]


def measure(noise: Iterable[NoiseField], block: int = BLOCK) -> Measures:
    """Return the measures of at least one pair; one is held at a time."""
    return reduce(add, (of_field(one, block) for one in noise))


def of_field(one: NoiseField, block: int = BLOCK) -> Measures:
    """Return the measures of one pair, with periodograms of blocks of a size that fits in it."""
    z = one.standard.astype(np.float64)
    pixels = z[..., 0].size
    levels = zip(*(_by_level(one, c) for c in range(z.shape[2])), strict=True)
    count, level, noise, square, histogram, strengths = (
        np.stack(sums).astype(np.float64) for sums in levels
    )
    power, share = _periodograms(one, block)
    return Measures(
        pixels=count,
        share=count / pixels,
        level_sum=level / pixels,
        noise_sum=noise / pixels,
        square_sum=square / pixels,
        histogram=histogram / pixels,
        pooled=_pooled(one) / z.size,
        strengths=strengths / pixels,
        products=_products(z) / pixels,
        known=np.rint(_products(one.known.astype(np.float64))) / pixels,
        power=power,
        blocks=share,
        fourth=(z**4).mean((0, 1)),
    )


def level_bin(level: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Return the bins of levels."""
    return np.asarray(np.clip(level * (LEVELS / 256), 0, LEVELS - 1), np.intp)


def blocks(array: npt.NDArray[Any], block: int = BLOCK) -> npt.NDArray[Any]:
    """Return the whole blocks of an (H, W, C) array as (blocks, B, B, C)."""
    height, width, channels = array.shape
    down, across = height // block, width // block
    cut = array[: down * block, : across * block]
    apart = cut.reshape(down, block, across, block, channels).swapaxes(1, 2)
    return apart.reshape(down * across, block, block, channels)


def _by_level(one: NoiseField, channel: int) -> tuple[npt.NDArray[Any], ...]:
    """Return sums and histograms of one channel, level by level."""
    level = one.level[..., channel].ravel()
    noise = one.noise[..., channel].ravel().astype(np.float64)
    at = level_bin(level)
    value = np.clip(np.rint(noise) + VALUES // 2, 0, VALUES - 1).astype(np.intp)
    histogram = np.bincount(at * VALUES + value, minlength=LEVELS * VALUES)
    variance = np.log(local_variance(one.noise[..., channel] / 255).ravel() / LEAST_VARIANCE)
    strength = np.minimum(variance / STRENGTH_WIDTH, STRENGTHS - 1).astype(np.intp)
    strengths = np.bincount(at * STRENGTHS + strength, minlength=LEVELS * STRENGTHS)
    return (
        np.bincount(at, minlength=LEVELS),
        np.bincount(at, level, LEVELS),
        np.bincount(at, noise, LEVELS),
        np.bincount(at, one.centred[..., channel].ravel().astype(np.float64) ** 2, LEVELS),
        histogram.reshape(LEVELS, VALUES),
        strengths.reshape(LEVELS, STRENGTHS),
    )


def _pooled(one: NoiseField) -> npt.NDArray[np.intp]:
    """Count the values of all channels by their noise."""
    value = np.rint(one.noise.ravel()).astype(np.intp) + POOLED // 2
    return np.bincount(np.clip(value, 0, POOLED - 1), minlength=POOLED)


def _products(z: Array) -> Array:
    """Return the sums over x of z_c(x) z_c'(x + d), of all channels and small lags."""
    height, width, channels = z.shape
    size = [fft.next_fast_len(length + REACH, real=True) for length in (height, width)]
    spectra = fft.rfft2(z, size, axes=(0, 1))
    lags = np.ix_(*(np.arange(-REACH, REACH + 1) % length for length in size))
    out = np.empty((channels, channels, 2 * REACH + 1, 2 * REACH + 1))
    for a, b in combinations_with_replacement(range(channels), 2):
        out[a, b] = fft.irfft2(spectra[..., a].conj() * spectra[..., b], size)[lags]
        out[b, a] = out[a, b, ::-1, ::-1]
    return out


def _periodograms(one: NoiseField, block: int) -> tuple[Array, Array]:
    """Return the mean of the blocks' periodograms and the share of blocks that have one."""
    z, known = blocks(one.standard, block), blocks(one.known, block).sum((1, 2))
    power, share = np.zeros((z.shape[-1], block, block)), np.zeros(z.shape[-1])
    for c in range(len(share)):
        good = known[:, c] >= MIN_KNOWN * block**2
        spectra = np.abs(fft.fft2(z[good, ..., c].astype(np.float64))) ** 2
        power[c] = (spectra / known[good, c, None, None]).sum(0) / len(z)
        share[c] = good.mean()
    return power, share


def _own(matrix: Array) -> Array:
    """Return the diagonal of the first two axes, (C, …)."""
    return np.asarray(np.einsum("cc...->c...", matrix), np.float64)


def _ratio(sums: Array, count: Array) -> Array:
    """Divide; NaN where there is nothing to divide by."""
    out = np.full(sums.shape, np.nan)
    np.divide(sums, count, out=out, where=count > 0)
    return out
