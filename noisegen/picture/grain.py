"""From noisy/clean pairs to the correlations of their noise, and to a kernel that has them."""

from itertools import product

import numpy as np
import numpy.typing as npt

from noisegen.errors import InputError
from noisegen.picture.parameters import Floats, Kernel, Picture, PictureNoise

RADIUS = 5
"""Radius of the largest kernel that is fitted, in pixels."""

LAGS = 2 * RADIUS
"""Largest lag that is measured: a kernel correlates pixels up to twice its radius apart."""

TOLERANCE = 0.02
"""A kernel is large enough when no correlation is further off than this."""

CLEAR = 2.0
"""Standard deviations that a clean value must keep from black and white for its noise to count."""

TILE = 512
"""Pictures are measured in tiles of at most this size, each with its own mean and strength."""

FEWEST = 10_000
"""Pixels that a correlation needs: below, chance alone moves it by more than a hundredth."""

_GRID = 32  # of the spectra, in pixels: room for all lags on both sides
_LEAST_POWER = 1e-6  # of a spectrum whose measured part came out at or below zero


class Covariance:
    """Sums of products of level-normalised noise, by lag and pair of channels.

    The noise of a tile is divided by the fitted σ of its clean values, less its mean, and scaled to
    unit strength, so that strong noise counts no more than weak. Pixels that black or white may cut
    off are left out by their clean value, which knows nothing of their noise.

    Parameters
    ----------
    noise
        Strength by level; its grain and channels are not used.
    """

    def __init__(self, noise: PictureNoise) -> None:
        self.noise = noise
        size = 2 * LAGS + 1
        self.products = np.zeros((3, 3, size, size))
        self.pixels = np.zeros((3, 3, size, size))
        self.rounding = np.zeros(3)

    def add(self, clean: Picture, noisy: Picture, strength: float) -> None:
        """Measure a pair.

        Parameters
        ----------
        clean, noisy
            (H, W, 3) uint8 or uint16 each, of one size and type.
        strength
            Factor on σ in this picture.
        """
        height, width, _ = clean.shape
        for y, x in product(range(0, height, TILE), range(0, width, TILE)):
            window = np.s_[y : y + TILE, x : x + TILE]
            self._add(clean[window], noisy[window], strength)

    def correlation(self) -> Floats:
        """Return the correlations: (3, 3, 2 LAGS + 1, 2 LAGS + 1), channel k at a pixel with
        channel l at a lag, lag 0 in the middle; rounding is taken out.

        Raises
        ------
        InputError
            If too few pixels are left to say.
        """
        seen = self.pixels[..., LAGS, LAGS]
        if seen.min() < FEWEST:
            raise InputError(
                f"only {seen.min():.0f} pixels lie clear of black and white, and their noise above "
                f"rounding, in every channel; {FEWEST} are needed to fit a covariance: give more "
                "pairs, or fit heteroscedastic"
            )
        mean = self.products / np.maximum(self.pixels, 1)
        power = np.diagonal(mean[..., LAGS, LAGS]) - self.rounding / np.diagonal(seen)
        # What rounds most of its noise away has no measurable grain: power stays above a tenth.
        power = np.maximum(power, 0.1)
        mean /= np.sqrt(np.outer(power, power))[..., None, None]
        for k in range(3):
            mean[k, k, LAGS, LAGS] = 1
        return np.asarray((mean + mean.transpose(1, 0, 2, 3)[..., ::-1, ::-1]) / 2)

    def _add(self, clean: Picture, noisy: Picture, strength: float) -> None:
        from scipy.fft import irfft2, next_fast_len, rfft2

        white = np.iinfo(clean.dtype).max
        c = clean.transpose(2, 0, 1) / white
        n = noisy.transpose(2, 0, 1) / white - c
        std = strength * self.noise.std_at(c)
        clear = CLEAR * std
        counted = (c >= clear) & (c <= 1 - clear) & (std > 0.5 / white)
        n = np.where(counted, n / np.where(counted, std, 1), 0)
        pixels = np.maximum(counted.sum((1, 2)), 1)
        n -= counted * (n.sum((1, 2)) / pixels)[:, None, None]
        power = (n * n).sum((1, 2)) / pixels
        power[power == 0] = 1
        n /= np.sqrt(power)[:, None, None]
        per_pixel = np.where(counted, 1 / np.where(counted, std, 1) ** 2, 0).sum((1, 2))
        self.rounding += per_pixel / power / (12 * white**2)
        size = [next_fast_len(length + LAGS, real=True) for length in c.shape[1:]]
        values, masks = rfft2(n, size), rfft2(counted.astype(np.float64), size)
        for k, other in product(range(3), range(3)):
            for total, f in ((self.products, values), (self.pixels, masks)):
                total[k, other] += _around_zero(irfft2(f[k].conj() * f[other], size))


def kernel_of(correlation: Floats) -> Kernel:
    """Return the smallest kernel whose noise has these correlations within the tolerance.

    The start is the Hermitian, zero-phase square root of the cross-power spectrum, windowed, and
    least squares bring its correlations as near as the size allows. Whatever the taps, these are
    correlations of real noise: the spectrum is a square.

    Parameters
    ----------
    correlation
        From :meth:`Covariance.correlation`.

    Returns
    -------
    tuple
        (3, 3, 2r + 1, 2r + 1) taps, r at most :data:`RADIUS`.
    """
    root = _square_root(correlation)
    for radius in range(RADIUS + 1):
        around = slice(_GRID // 2 - radius, _GRID // 2 + radius + 1)
        taps = _refined(root[..., around, around], correlation)
        if np.abs(correlations_of(taps) - correlation).max() <= TOLERANCE:
            break
    return tuple(
        tuple(tuple(tuple(row) for row in table) for table in fields) for fields in taps.tolist()
    )


def correlations_of(taps: Floats) -> Floats:
    """Return the correlations that a kernel gives, as :meth:`Covariance.correlation` has them.

    Parameters
    ----------
    taps
        (3, 3, 2r + 1, 2r + 1), as :class:`PictureNoise` has them.
    """
    spectrum = np.fft.rfft2(taps, (_GRID, _GRID))
    return _lags(np.einsum("kjyx,ljyx->klyx", spectrum, spectrum.conj()))


def _square_root(correlation: Floats) -> Floats:
    """Return the taps, over the whole grid, of the Hermitian square root of the spectrum."""
    # A triangle over the lags has a positive spectrum of its own: it smears and rings nowhere.
    taper = 1 - np.abs(np.arange(-LAGS, LAGS + 1)) / (LAGS + 1)
    spectrum = _spectrum(correlation * np.outer(taper, taper)).transpose(2, 3, 0, 1)
    power, axes = np.linalg.eigh(spectrum)
    power = np.sqrt(np.maximum(power, _LEAST_POWER))
    root = (axes * power[..., None, :]) @ axes.conj().swapaxes(-1, -2)
    taps = np.fft.irfft2(root.transpose(2, 3, 0, 1), (_GRID, _GRID))
    return np.fft.fftshift(taps, axes=(2, 3))


def _refined(taps: Floats, correlation: Floats) -> Floats:
    """Move the taps until their correlations are as near as the kernel's size allows."""
    from scipy.optimize import minimize

    size = taps.shape[-1]

    def misfit(flat: Floats) -> tuple[float, Floats]:
        taps = flat.reshape(3, 3, size, size)
        wrong = correlations_of(taps) - correlation
        # d/dH_kj(t) of Σ wrong² is 4 Σ_l Σ_d wrong_kl(d) H_lj(t - d): a convolution.
        spectrum = np.fft.rfft2(taps, (_GRID, _GRID))
        slope = np.einsum("klyx,ljyx->kjyx", _spectrum(wrong), spectrum)
        slope = 4 * np.fft.irfft2(slope, (_GRID, _GRID))[..., :size, :size]
        return float((wrong * wrong).sum()), slope.ravel()

    found = minimize(misfit, taps.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    taps = found.x.reshape(3, 3, size, size)
    return np.asarray(taps / np.sqrt((taps**2).sum((1, 2, 3), keepdims=True)))


def _spectrum(by_lag: Floats) -> npt.NDArray[np.complex128]:
    """Return the transform of what is given by lag, lag 0 in the middle."""
    padded = np.zeros((3, 3, _GRID, _GRID))
    padded[..., : 2 * LAGS + 1, : 2 * LAGS + 1] = by_lag
    return np.fft.rfft2(np.roll(padded, (-LAGS, -LAGS), (2, 3)))


def _lags(spectrum: npt.NDArray[np.complex128]) -> Floats:
    """Turn :func:`_spectrum` back."""
    return _around_zero(np.fft.irfft2(spectrum, (_GRID, _GRID)))


def _around_zero(by_lag: Floats) -> Floats:
    """Cut the lags that are kept, lag 0 in the middle, out of a transform's."""
    moved = np.roll(by_lag, (LAGS, LAGS), (-2, -1))
    return moved[..., : 2 * LAGS + 1, : 2 * LAGS + 1]
