"""Channels of each pixel divided by their standard deviation, and the derivatives.

Some pixels are worked on at a time, a channel after the other; their means, deviations and sums
over the channels lie side by side.
"""

import numpy as np

from noisegen.kernels.philox import kernel, u8, unchecked

BLOCK = 128
"""Pixels at a time: with the usual numbers of channels they stay in the second-level cache."""

SUMS = 16
"""Pixels whose derivatives by a weight are summed side by side."""


@kernel
def normalise(x, weight, bias, eps, out, mean, scale, samples):
    """Divide by the standard deviation over the channels, and weight.

    Parameters
    ----------
    x, out
        (N, C, P).
    weight
        (C,).
    bias
        (C,), with which the mean is subtracted; or nothing (0,), and it is left.
    eps
        Added to the variance; of the type of ``x``.
    mean, scale
        (N, P), written: means over the channels, and one over the standard deviations.
    samples
        First and stop of the samples that are worked on.
    """
    _, C, P = x.shape
    for n in range(samples[0], samples[1]):
        for start in range(0, P, BLOCK):
            stop = min(start + BLOCK, P)
            part = x[n].reshape(-1), C, u8(P), u8(start)
            means, scales = mean[n, start:stop], scale[n, start:stop]
            _measure(*part, eps, means, scales)
            _apply(*part, weight, bias, means, scales, out[n].reshape(-1))


@kernel
def derive(x, weight, centred, mean, scale, gradient, to_x, to_weight, to_bias, samples):
    """Derive by the channels, the weights and the biases.

    Parameters
    ----------
    x, weight, mean, scale, samples
        As in :func:`normalise`.
    centred
        Whether the mean was subtracted.
    gradient
        (N, C, P), of what came out.
    to_x
        (N, C, P), written.
    to_weight, to_bias
        (C,), added to.
    """
    _, C, P = x.shape
    sums = np.zeros((2, C, SUMS), x.dtype)
    place = np.empty((2, BLOCK), x.dtype)
    for n in range(samples[0], samples[1]):
        for start in range(0, P, BLOCK):
            stop = min(start + BLOCK, P)
            _derive(
                x[n].reshape(-1), C, u8(P), u8(start), weight, centred,
                mean[n, start:stop], scale[n, start:stop],
                gradient[n].reshape(-1), to_x[n].reshape(-1), place[0], place[1], sums,
            )  # fmt: skip
    for c in range(C):
        for k in range(SUMS):
            to_weight[c] += sums[0, c, k]
            to_bias[c] += sums[1, c, k]


@unchecked
def _measure(x, C, P, start, eps, mean, scale):
    """Write the means, and one over the standard deviations, of some pixels."""
    many = u8(len(mean))
    share = x.dtype.type(1) / x.dtype.type(C)
    for p in range(many):
        mean[p] = 0
        scale[p] = 0
    for c in range(u8(C)):
        at = c * P + start
        for p in range(many):
            mean[p] += x[at + p]
    for p in range(many):
        mean[p] *= share
    for c in range(u8(C)):
        at = c * P + start
        for p in range(many):
            away = x[at + p] - mean[p]
            scale[p] += away * away
    for p in range(many):
        scale[p] = x.dtype.type(1) / np.sqrt(scale[p] * share + eps)


@unchecked
def _apply(x, C, P, start, weight, bias, mean, scale, out):
    many = u8(len(mean))
    for c in range(u8(C)):
        at, w = c * P + start, weight[c]
        if len(bias):
            b = bias[c]
            for p in range(many):
                out[at + p] = (x[at + p] - mean[p]) * scale[p] * w + b
        else:
            for p in range(many):
                out[at + p] = x[at + p] * scale[p] * w


@unchecked
def _derive(
    x, C, P, start, weight, centred, mean, scale, gradient, to_x, along, level, sums
):  # fmt: skip
    """Derive by some pixels, and add what they say of weights and biases.

    ``along`` and ``level`` are room for the sums over the channels of the weighted gradient's
    products with the channels, and of the weighted gradient.
    """
    many = u8(len(mean))
    share = x.dtype.type(1) / x.dtype.type(C)
    for p in range(many):
        along[p] = 0
        level[p] = 0
    for c in range(u8(C)):
        at, w = c * P + start, weight[c]
        for p in range(many):
            given = gradient[at + p] * w
            along[p] += given * x[at + p]
            level[p] += given
    for p in range(many):
        if centred:
            along[p] -= level[p] * mean[p]
        else:
            level[p] = 0
        along[p] *= share * scale[p] * scale[p]
        level[p] *= share
    whole = many // u8(SUMS) * u8(SUMS)
    for c in range(u8(C)):
        at, w = c * P + start, weight[c]
        for p in range(many):
            away = x[at + p] - mean[p]
            to_x[at + p] = scale[p] * (gradient[at + p] * w - along[p] * away - level[p])
        _sum(x, gradient, at, centred, mean, scale, whole, sums[0, c], sums[1, c])


@unchecked
def _sum(x, gradient, at, centred, mean, scale, whole, to_weight, to_bias):
    for p in range(u8(0), whole, u8(SUMS)):
        for k in range(u8(SUMS)):
            g = gradient[at + p + k]
            value = x[at + p + k]
            if centred:
                value -= mean[p + k]
            to_weight[k] += g * value * scale[p + k]
            to_bias[k] += g
    for p in range(whole, u8(len(mean))):
        g = gradient[at + p]
        value = x[at + p]
        if centred:
            value -= mean[p]
        to_weight[0] += g * value * scale[p]
        to_bias[0] += g
