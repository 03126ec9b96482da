"""How far the statistics of made noise are from those of real noise, as losses.

The critics of NeCA have to find out what makes noise real; what is known of it is given here. With
σ the standard deviation of noise at one of eight levels of a sample and channel, and z = n / σ,

* *level*: mean of ``(log σ²(v) - log σ²(n))²`` over samples, channels and levels, where σ(v) is
  the root mean square of the level map m: no draw of v is needed;
* *strength*: mean of ``‖log σ²(w) - log σ²(n)‖ + mean w mean w' / σ²(n)``: C neither strengthens
  nor shifts what P has right, but makes up for what a JPEG takes away;
* *covariance*: mean over samples of the sum of ``‖A(w) - A(n)‖`` over channels c, c' and lags d of
  ``A(c, c', d) = mean z_c(x) z_c'(x + d)``: v tells C how strong the noise is, and grain and
  colours may go with that;
* *spectrum*: mean of ``‖log S(w) - log S(n)‖`` over the cells of the frequency plane and three
  mixtures of the channels: powers S that are small hardly show in covariances;
* *texture*: mean of ``(log T(m) - log T(n))²`` over samples, channels and four bins of the slope of
  the clean picture, of as many pixels each: T is the mean of z², for m that of (m / σ(v))²: P has
  to see where noise is stronger than its level says;
* *tails*: mean of ``‖log K(w) - log K(n)‖ + ‖asinh s(w) - asinh s(n)‖`` over samples and
  channels, with K and s the means of z⁴ and z³.

``‖f(w) - f(n)‖`` stands for ``(f(w) - f(n)) (f(w') - f(n))`` with a second draw w' on the same
clean pictures. Its mean is that of ``(E f(w) - f(n))²``. A square's mean has the variance of f(w)
on top, which is larger for coloured noise and for heavy tails, so that noise learned by squares is
too white and too Gaussian.

All noises stand on the same clean pictures, so that their levels are the same pixels. S is a mean
over a batch, the others are of one sample. Real noise was cut at black and white and rounded, and
may have been in a JPEG; so is made noise (:func:`seen`) but in the mean of w and in *level* and
*texture*, which leave out levels of which much is cut off. Every term is 0 where the statistics are
equal; the chance of n's own keeps the mean of a term over batches above 0.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from denoisers.neca.jpeg import through_jpeg
from noisegen.jpeg import Setting

LEVELS = 8
"""Bins of the level from black to white, of equal width."""

REACH = 5
"""Lags of the covariance: from -5 to 5 pixels down and across."""

CELL = 8
"""Frequencies down and across of a cell of the spectrum."""

SLOPES = 4
"""Bins of the slope, from flat to steep."""

FEWEST = 64
"""Pixels of a sample's level that its standard deviation is taken of; fewer are left out."""

MOST_CUT = 0.25
"""Share of the values at black or white above which a level does not tell how strong v is."""

STEADY = 1e-3
"""Added to S, T and K: what rounding leaves of the weakest noise is above it."""

_MIXTURES = ((1 / 3, 1 / 3, 1 / 3), (1 / 2, -1 / 2, 0), (1 / 4, 1 / 4, -1 / 2))
"""Grey, and two differences of the channels."""


def seen(clean: Tensor, noise: Tensor, white: int, jpeg: Setting | None = None) -> Tensor:
    """Return noise as it is in a picture of codes, or a JPEG: cut at black and white, and rounded.

    The gradient of the rounding is taken for 1.

    Parameters
    ----------
    clean, noise
        x and w, (N, 3, H, W) in units of white.
    white
        The code of white.
    jpeg
        What the picture goes through, if anything.
    """
    cut = (clean + noise).clamp(0, 1)
    if jpeg is not None:
        return through_jpeg(cut, *jpeg) - clean
    rounded = (cut.detach() * white).round() / white
    return rounded - cut.detach() + cut - clean


def distances(
    clean: Tensor,
    level: Tensor,
    made: tuple[Tensor, Tensor],
    real: Tensor,
    white: int,
    jpeg: Setting | None = None,
) -> dict[str, Tensor]:
    """Return the six terms by name.

    Parameters
    ----------
    clean
        x, (N, 3, H, W) in [0, 1], at least 16 pixels high and wide.
    level
        m, like it.
    made
        w and w', two draws, neither cut nor rounded.
    real
        n, noisy minus clean codes over `white`.
    white
        The code of white. Variances are raised by that of the rounding to codes, that of m, which
        is not rounded, twice.
    jpeg
        What noisy pictures were in, if anything.
    """
    at = (clean * LEVELS).long().clamp_(0, LEVELS - 1)
    count = _sums(torch.ones_like(clean), at)
    some = count.clamp_min(1)
    floor = 1 / (12 * white**2)
    drawn = [_standard(seen(clean, one, white, jpeg), at, some, floor) for one in made]
    variances, zs = zip(*drawn, strict=True)
    real_variance, real_z = _standard(real, at, some, floor)
    own = _sums(level.square(), at) / some + 2 * floor
    first, second = (_sums(one, at) / some for one in made)

    noisy = clean + real
    is_cut = ((noisy <= 0.25 / white) | (noisy >= 1 - 0.25 / white)).to(clean.dtype)
    weight = count * (count >= FEWEST)
    whole = weight * (_sums(is_cut, at) / some <= MOST_CUT)

    def product(f: Callable[[Tensor], Tensor]) -> Tensor:
        one, other, true = (f(z) for z in (*zs, real_z))
        return (one - true) * (other - true)

    logs, again, own_logs = (v.log() - real_variance.log() for v in (*variances, own))
    relative = (level.square() + floor) / own.gather(2, at.flatten(2)).view_as(level)
    told = (whole > 0).gather(2, at.flatten(2)).view_as(level)
    textures, real_textures = (by_slope(v, clean, told) for v in (relative, real_z.square()))
    return {
        "level": _mean(own_logs.square(), whole),
        "strength": _mean(logs * again + first * second / real_variance, weight),
        "covariance": product(covariance).flatten(1).sum(1).mean(),
        "spectrum": product(lambda z: spectrum(z).log()).mean(),
        "texture": (textures.log() - real_textures.log()).square().mean(),
        "tails": product(tails).sum(0).mean(),
    }


def covariance(z: Tensor) -> Tensor:
    """Return A, (N, 3, 3, 11, 11): sample, channel, other channel, lag down and across.

    Means are over all pixels of a sample, and products with pixels beyond its border count as 0.
    """
    height, width = z.shape[-2:]
    size = [height + REACH, width + REACH]
    waves = torch.fft.rfft2(z, size)
    power = torch.einsum("nchw,ndhw->ncdhw", waves.conj(), waves) / (height * width)
    lags: Tensor = torch.fft.irfft2(power, size)
    return lags.roll((REACH, REACH), (-2, -1))[..., : 2 * REACH + 1, : 2 * REACH + 1]


def spectrum(z: Tensor) -> Tensor:
    """Return S, (3, cells down, cells across): power of the mixtures, about 1 for white noise."""
    mixtures = z.new_tensor(_MIXTURES)
    mixed = torch.einsum("mc,nchw->nmhw", mixtures, z)
    pixels = z.shape[-2] * z.shape[-1]
    power = torch.fft.rfft2(mixed).abs().square().mean(0) / pixels
    strength = mixtures.square().sum(1)[:, None, None]
    cells: Tensor = functional.avg_pool2d(power, CELL, ceil_mode=True)
    return cells / strength + STEADY


def by_slope(values: Tensor, clean: Tensor, told: Tensor) -> Tensor:
    """Return T, (N, 3, SLOPES): means of values from where x is flat to its edges.

    Parameters
    ----------
    values, clean
        (N, 3, H, W).
    told
        Which of them count, like them.
    """
    across, down = torch.gradient(clean, dim=(-1, -2))
    order = torch.hypot(across, down).flatten(2).sort(dim=2, stable=True).indices
    sums, counts = (
        torch.stack([part.sum(2) for part in one.gather(2, order).tensor_split(SLOPES, 2)], 2)
        for one in ((values * told).flatten(2), told.to(values.dtype).flatten(2))
    )
    return sums / counts.clamp_min(1) + STEADY


def tails(z: Tensor) -> Tensor:
    """Return log K and asinh s, (2, N, 3)."""
    fourth, third = (z.pow(order).mean((2, 3)) for order in (4, 3))
    return torch.stack([(fourth + STEADY).log(), third.asinh()])


def _standard(noise: Tensor, at: Tensor, count: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    """Return the variances of (N, 3, LEVELS) levels, and z."""
    flat, where = noise.flatten(2), at.flatten(2)
    centred = flat - (_sums(noise, at) / count).gather(2, where)
    variance = _sums(centred.square(), at) / count + floor
    z = centred / variance.gather(2, where).sqrt()
    return variance, z.view_as(noise)


def _sums(values: Tensor, at: Tensor) -> Tensor:
    """Return (N, 3, LEVELS) sums of values at each level."""
    zeros = values.new_zeros((*values.shape[:2], LEVELS))
    return zeros.scatter_add(2, at.flatten(2), values.flatten(2))


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (weight * values).sum() / weight.sum().clamp_min(1)
