"""Blocks of Poisson and Tukey-lambda numbers, made from words and normals by quantile functions.

Poisson, mean at least 16: Q(z) = λ + √λ z + (2 + z²)/6 - (2z + z³)/(72 √λ)
+ (-16 + 7z² + 3z⁴)/(810 λ), rounded down, of a standard normal z. Below 16: the distribution
function is summed up for a whole block at once. Both laws are right to 2e-5 in their distribution
function.

Poisson of mean λ plus a normal of variance σ², in electrons: with v = λ + σ² and r = λ/v,

    Q(z) = λ + √v z + r ((z² - 1)/6
           + ((z³ - 3z)/24 - r (2z³ - 5z)/36) / √v
           + ((z⁴ - 6z² + 3)/120 - r (z⁴ - 5z² + 2)/24 + r² (12z⁴ - 53z² + 17)/324) / v),

the Cornish-Fisher expansion, all of whose cumulants from the third on are λ. The distribution
function is wrong by the first term that is left out: by 0.0027 v^-3/2 at most without the last
line, by 0.0017 v^-2 with it. The steps of the count, which the expansion does not know, stand out
of the sum by 0.13 exp(-2π² σ² λ/v) v^-1/2. With σ² from 0.64 and v from 16 on, the last line up to
v = 32, this law is right to 2e-5 too.

Tukey-lambda: Q(p) = (p^λ - (1-p)^λ)/λ of a uniform p, with the logistic ln(p/(1-p)) at λ = 0.

References
----------
M. Giles, "Algorithm 955: Approximation of the inverse Poisson cumulative distribution function",
ACM TOMS 42(1), 2016, normal asymptotic expansion.
E. Cornish, R. Fisher, "Moments and cumulants in the specification of distributions", Revue de
l'Institut International de Statistique 5, 1938; further terms: G. Hill, A. Davis, "Generalized
asymptotic expansions of Cornish-Fisher type", Annals of Mathematical Statistics 39, 1968.
B. Joiner, J. Rosenblatt, "Some properties of the range in samples from Tukey's symmetric lambda
distributions", JASA 66, 1971.
"""

import numpy as np

from noisegen.kernels.philox import exp, f4, i4, inlined, log, u4

RATE_SPLIT = f4(16.0)
"""Mean from which on the expansion is used."""

THIRD_BELOW = f4(32.0)
"""Variance, electrons², from which on :func:`poisson_gaussian` does without its third term."""

LEAST_READ = 0.64
"""Variance of Gaussian read noise, electrons², that hides the steps of the electron count."""

_MAX_TERMS = 48
_RECIPROCAL = (1 / np.arange(1, _MAX_TERMS + 1)).astype(np.float32)

_A0, _A2 = f4(1 / 3), f4(1 / 6)
_B1, _B3 = f4(-1 / 36), f4(-1 / 72)
_C0, _C2, _C4 = f4(-8 / 405), f4(7 / 810), f4(1 / 270)
_ROOT_SIXTH, _SIX = f4(6**-0.5), f4(6.0)
_E1, _E3 = f4(-3 / 4 * 6**0.5), f4(1 / 4 * 6**0.5)
_F1, _F3 = f4(5 * 6**0.5), f4(-2 * 6**0.5)
_G0, _G2, _G4 = f4(9 / 10), f4(-9 / 5), f4(3 / 10)
_H0, _H2, _H4 = f4(-3.0), f4(15 / 2), f4(-3 / 2)
_I0, _I2, _I4 = f4(17 / 9), f4(-53 / 9), f4(4 / 3)
_ZERO, _HALF, _ONE = f4(0.0), f4(0.5), f4(1.0)
_SERIES = f4(1 / 6), f4(1 / 120), f4(1 / 5040)
_2_24, _2_32 = f4(2.0**-24), f4(2.0**-32)


@inlined
def poisson_bright(rate, z, count, n):
    """Write Poisson numbers of mean ``max(rate, 16)`` from standard normals."""
    for i in range(n):
        count[i] = poisson_quantile(rate[i], z[i])


@inlined
def poisson_quantile(rate, z):
    """Return the Poisson number of mean ``max(rate, 16)`` that a standard normal stands for."""
    mean = max(rate, RATE_SPLIT)
    root = np.sqrt(mean)
    inverse = _ONE / root
    z2 = z * z
    third = _C0 + z2 * (_C2 + z2 * _C4)
    second = z * (_B1 + z2 * _B3) + inverse * third
    quantile = mean + root * z + (_A0 + z2 * _A2) + inverse * second
    return np.floor(max(quantile, _ZERO))


@inlined
def poisson_gaussian(light, shot, inverse_shot, read, z, third):
    """Return the noise, DN, of a Poisson number of electrons and a normal together.

    ``light`` is its mean in DN and ``shot`` DN an electron; ``read`` is the variance of the normal,
    DN², at least :data:`LEAST_READ` electrons², both variances together at least
    :data:`RATE_SPLIT` electrons². The standard normal ``z`` stands for both. ``third`` asks for the
    third term, which is left out from :data:`THIRD_BELOW` on.
    """
    variance = light * shot + read
    root = np.sqrt(variance)
    inverse = (shot * _ROOT_SIXTH) / root
    share = light * (inverse * inverse)
    z2 = z * z
    second = z * ((_E1 + share * (_F1 * inverse_shot)) + z2 * (_E3 + share * (_F3 * inverse_shot)))
    if third:
        r = share * (_SIX * inverse_shot)
        second += inverse * (
            (_G0 + r * (_H0 + r * _I0))
            + z2 * ((_G2 + r * (_H2 + r * _I2)) + z2 * (_G4 + r * (_H4 + r * _I4)))
        )
    return root * z + share * ((z2 - _ONE) + inverse * second)


@inlined
def poisson_dark(rate, word, top, count, p, total, n):
    """Write Poisson numbers of mean ``min(rate, 16)`` from words; ``top`` bounds the rates.

    ``p`` and ``total`` are float32 scratch of the block's length.
    """
    for i in range(n):
        p[i] = exp(-min(rate[i], RATE_SPLIT))
        total[i] = p[i]
        count[i] = _ZERO
    for k in range(0, min(int(_limit(min(top, RATE_SPLIT))), _MAX_TERMS), 4):
        r0, r1, r2, r3 = (
            _RECIPROCAL[k],
            _RECIPROCAL[k + 1],
            _RECIPROCAL[k + 2],
            _RECIPROCAL[k + 3],
        )
        unfinished = i4(0)
        for i in range(n):
            mean = min(rate[i], RATE_SPLIT)
            unit = (f4(i4(word[i] >> u4(8))) + _HALF) * _2_24
            term, sum_, c = p[i], total[i], count[i]
            c += _ONE if unit > sum_ else _ZERO
            term *= mean * r0
            sum_ += term
            c += _ONE if unit > sum_ else _ZERO
            term *= mean * r1
            sum_ += term
            c += _ONE if unit > sum_ else _ZERO
            term *= mean * r2
            sum_ += term
            c += _ONE if unit > sum_ else _ZERO
            term *= mean * r3
            sum_ += term
            p[i], total[i], count[i] = term, sum_, c
            unfinished |= i4(unit > sum_)
        # The sums only grow: where all have passed their uniforms, no later term counts.
        if unfinished == i4(0):
            break
    # A sum of float32 terms may stay a little below 1, so a uniform above it would go on counting
    # for as long as the block's brightest pixel asks: each pixel has a limit of its own instead.
    for i in range(n):
        count[i] = min(count[i], _limit(min(rate[i], RATE_SPLIT)))


@inlined
def tukey_lambda(u, shape, z, n):
    """Turn the words ``u[0:4, 0:n]`` into Tukey-lambda numbers of scale 1, ``z[0:4, 0:n]``."""
    inverse = _ZERO if shape == _ZERO else _ONE / shape
    for k in range(4):
        _tukey_row(u[k], shape, inverse, z[k], n)


@inlined
def _tukey_row(word, shape, inverse, z, n):
    for i in range(n):
        # One bit for the side, 31 for the probability of the tail: both tails equally fine.
        tail = (f4(i4(word[i] >> u4(1))) + _HALF) * _2_32
        low = log(tail)
        high = log(_ONE - tail)
        a = exp(shape * low)
        b = exp(shape * high)
        # Near λ = 0 the difference cancels: p^λ - q^λ = 2 √(p^λ q^λ) sinh(t), t = λ ln(p/q) / 2.
        logit = low - high
        t = _HALF * shape * logit
        t2 = t * t
        sinhc = _ONE + t2 * (_SERIES[0] + t2 * (_SERIES[1] + t2 * _SERIES[2]))
        near = np.sqrt(a * b) * logit * sinhc
        far = (a - b) * inverse
        value = near if t2 < _HALF else far
        z[i] = value if (word[i] & u4(1)) == u4(0) else -value


@inlined
def _limit(mean):
    """Return a count that a Poisson number of this mean exceeds with probability below 1e-6."""
    return np.floor(mean + f4(5.5) * np.sqrt(mean) + f4(5.0))
