"""Pictures filtered by kernels of their own for every pixel and channel, and the derivatives.

The nine taps of a kernel are sums over the channels of a feature. They are made for some pixels of
one channel at a time, stay in registers, and are used there. Pixels of a piece are counted through
its rows, so that narrow pictures take no longer; what a tap reads of a channel is laid out first.
"""

import llvmlite.binding
import numpy as np

from noisegen.kernels.lanes import fused, load, spread, store, total
from noisegen.kernels.philox import called, inlined, kernel, u8

WIDE = 32 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 8
"""Pixels at a time: nine values of as many are what the processor's registers hold."""

HALF = WIDE // 2
"""Pixels at a time where two channels of the feature are worked on."""

TAPS = 9

_H = u8(HALF)

BLOCK = 256
"""Pixels whose derivatives by kernels are kept at a time: they stay in the first-level cache."""


@kernel
def gather(weight, bias, feature, x, outputs, top, rows, channels, dilations):
    """Write the weighted sums of the nine pixels that each output pixel reads.

    Parameters
    ----------
    weight, bias
        (M, C, 9) and (M, 9); kernel ``[m, t]`` is the sum over c of ``weight[m, c, t] feature[c]``,
        and the bias.
    feature
        (C, P), of the piece's pixels, zero after them; P is a multiple of ``WIDE``.
    x
        (M, H, W), what is filtered; zero outside.
    outputs, dilations
        A tuple of (M, H, W), of which the piece is written, and for each the distance of the taps.
    top, rows
        First row of the piece, and their number.
    channels
        First and stop of the channels of ``x`` that are worked on.
    """
    C, P = feature.shape
    W, many = x.shape[2], len(dilations)
    read = np.zeros((many, 3, P + 2 * max(dilations) * W), x.dtype)
    written = np.empty((many, P), x.dtype)
    flat_weight, flat_bias, flat_feature = weight.reshape(-1), bias.reshape(-1), feature.reshape(-1)
    flat_read, flat_written = read.reshape(-1), written.reshape(-1)
    plane, each = u8(P), u8(read.shape[2])
    for m in range(channels[0], channels[1]):
        for b in range(many):
            _shift(x[m], top, rows, dilations[b], read[b])
        for p in range(u8(0), plane, u8(WIDE)):
            made = _made(flat_weight, flat_bias, u8(m), flat_feature, p, C, plane)
            k0, k1, k2, k3, k4, k5, k6, k7, k8 = made
            for b in range(many):
                down = u8(dilations[b] * W)
                i = u8(3 * b) * each + p
                j = i + each
                n = j + each
                value = k0 * load(flat_read, i, WIDE)
                value = fused(k1, load(flat_read, j, WIDE), value)
                value = fused(k2, load(flat_read, n, WIDE), value)
                i, j, n = i + down, j + down, n + down
                value = fused(k3, load(flat_read, i, WIDE), value)
                value = fused(k4, load(flat_read, j, WIDE), value)
                value = fused(k5, load(flat_read, n, WIDE), value)
                i, j, n = i + down, j + down, n + down
                value = fused(k6, load(flat_read, i, WIDE), value)
                value = fused(k7, load(flat_read, j, WIDE), value)
                value = fused(k8, load(flat_read, n, WIDE), value)
                store(flat_written, u8(b) * plane + p, value)
        for b in range(many):
            _copy(written[b], outputs[b][m, top : top + rows].reshape(-1))


@kernel
def scatter(
    weight, bias, feature, x, gradients, top, rows, channels, dilations, to_weight, to_bias,
    to_feature, to_x,
):  # fmt: skip
    """Derive by the weights, the bias, the feature and the picture.

    Parameters
    ----------
    weight, bias, feature, x, top, rows, channels, dilations
        As in :func:`gather`; C is even.
    gradients
        A tuple of (M, H, W), of the outputs.
    to_weight, to_bias, to_x
        Of the shapes of the arguments; they are added to.
    to_feature
        (C, P), filled: of the channels that are worked on.
    """
    C, P = feature.shape
    W, many = x.shape[2], len(dilations)
    read = np.zeros((many, 3, P + 2 * max(dilations) * W), x.dtype)
    to_read, given = np.zeros_like(read), np.zeros((many, P), x.dtype)
    to_kernels = np.empty(TAPS * BLOCK, x.dtype)
    sums = np.empty((C + 1) * TAPS * HALF, x.dtype)
    flat_weight, flat_bias, flat_feature = weight.reshape(-1), bias.reshape(-1), feature.reshape(-1)
    flat_read, flat_to_read, flat_given = read.reshape(-1), to_read.reshape(-1), given.reshape(-1)
    flat_to_feature, plane, each = to_feature.reshape(-1), u8(P), u8(read.shape[2])
    row, arrays = u8(3 * BLOCK), (flat_read, flat_to_read, to_kernels)
    to_feature[:] = 0
    for m in range(channels[0], channels[1]):
        to_read[:] = 0
        sums[:] = 0
        for b in range(many):
            _shift(x[m], top, rows, dilations[b], read[b])
            _copy(gradients[b][m, top : top + rows].reshape(-1), given[b])
        for start in range(u8(0), plane, u8(BLOCK)):
            size = min(u8(BLOCK), plane - start)
            for q in range(u8(0), size, u8(WIDE)):
                p = start + q
                made = _made(flat_weight, flat_bias, u8(m), flat_feature, p, C, plane)
                for b in range(many):
                    g, down = load(flat_given, u8(b) * plane + p, WIDE), u8(dilations[b] * W)
                    i = u8(3 * b) * each + p
                    _derive(made[0], made[1], made[2], g, arrays, i, each, q, b)
                    i += down
                    _derive(made[3], made[4], made[5], g, arrays, i, each, q + row, b)
                    i += down
                    _derive(made[6], made[7], made[8], g, arrays, i, each, q + row + row, b)
                _add_feature(to_kernels, flat_weight, u8(m), q, p, C, plane, flat_to_feature)
            _add_weights(to_kernels, flat_feature, size, start, C, plane, sums)
        for b in range(many):
            _unshift(to_read[b], to_x[m], top, rows, dilations[b])
        _add_sums(sums, C, to_weight[m], to_bias[m])


@inlined
def _made(weight, bias, m, feature, p, C, plane):
    """Return the nine taps of the kernels of some pixels of channel m."""
    b = m * u8(TAPS)
    k0, k1, k2 = spread(bias[b], WIDE), spread(bias[b + u8(1)], WIDE), spread(bias[b + u8(2)], WIDE)
    b += u8(3)
    k3, k4, k5 = spread(bias[b], WIDE), spread(bias[b + u8(1)], WIDE), spread(bias[b + u8(2)], WIDE)
    b += u8(3)
    k6, k7, k8 = spread(bias[b], WIDE), spread(bias[b + u8(1)], WIDE), spread(bias[b + u8(2)], WIDE)
    w = m * u8(C) * u8(TAPS)
    for c in range(u8(C)):
        value = load(feature, c * plane + p, WIDE)
        k0, k1 = fused(weight[w], value, k0), fused(weight[w + u8(1)], value, k1)
        k2, k3 = fused(weight[w + u8(2)], value, k2), fused(weight[w + u8(3)], value, k3)
        k4, k5 = fused(weight[w + u8(4)], value, k4), fused(weight[w + u8(5)], value, k5)
        k6, k7 = fused(weight[w + u8(6)], value, k6), fused(weight[w + u8(7)], value, k7)
        k8 = fused(weight[w + u8(8)], value, k8)
        w += u8(TAPS)
    return k0, k1, k2, k3, k4, k5, k6, k7, k8


@inlined
def _derive(k0, k1, k2, g, arrays, i, each, j, b):
    """Derive by three taps of a row, and by what they read.

    That by a tap is set by the first of the dilations, and added to by the others.
    """
    _derive_tap(k0, g, arrays, i, j, b)
    _derive_tap(k1, g, arrays, i + each, j + u8(BLOCK), b)
    _derive_tap(k2, g, arrays, i + each + each, j + u8(2 * BLOCK), b)


@inlined
def _derive_tap(k, g, arrays, i, j, b):
    read, to_read, to_kernels = arrays
    value = g * load(read, i, WIDE)
    if b > 0:
        value = value + load(to_kernels, j, WIDE)
    store(to_kernels, j, value)
    store(to_read, i, fused(k, g, load(to_read, i, WIDE)))


@inlined
def _add_feature(to_kernels, weight, m, q, p, C, plane, to_feature):
    """Add what the derivatives by the kernels of some pixels say of the feature."""
    k0, k1 = load(to_kernels, q, WIDE), load(to_kernels, q + u8(BLOCK), WIDE)
    k2, k3 = load(to_kernels, q + u8(2 * BLOCK), WIDE), load(to_kernels, q + u8(3 * BLOCK), WIDE)
    k4, k5 = load(to_kernels, q + u8(4 * BLOCK), WIDE), load(to_kernels, q + u8(5 * BLOCK), WIDE)
    k6, k7 = load(to_kernels, q + u8(6 * BLOCK), WIDE), load(to_kernels, q + u8(7 * BLOCK), WIDE)
    k8 = load(to_kernels, q + u8(8 * BLOCK), WIDE)
    w = m * u8(C) * u8(TAPS)
    for c in range(u8(C)):
        at = c * plane + p
        value = fused(weight[w], k0, load(to_feature, at, WIDE))
        value = fused(weight[w + u8(1)], k1, value)
        value = fused(weight[w + u8(2)], k2, value)
        value = fused(weight[w + u8(3)], k3, value)
        value = fused(weight[w + u8(4)], k4, value)
        value = fused(weight[w + u8(5)], k5, value)
        value = fused(weight[w + u8(6)], k6, value)
        value = fused(weight[w + u8(7)], k7, value)
        value = fused(weight[w + u8(8)], k8, value)
        store(to_feature, at, value)
        w += u8(TAPS)


@called
def _add_weights(to_kernels, feature, size, start, C, plane, sums):
    """Add the products of some pixels' derivatives by kernels with the feature, then themselves.

    Sums (C + 1, 9, ``HALF``) are of every ``HALF``-th pixel.
    """
    for c in range(0, C, 2):
        s = u8(c * TAPS * HALF)
        a0, a1, a2, a3, a4, a5, a6, a7, a8 = _nine(sums, s)
        b0, b1, b2, b3, b4, b5, b6, b7, b8 = _nine(sums, s + u8(TAPS * HALF))
        at = u8(c) * plane + start
        for q in range(u8(0), size, u8(HALF)):
            f, g = load(feature, at, HALF), load(feature, at + plane, HALF)
            at += u8(HALF)
            k = load(to_kernels, q, HALF)
            a0, b0 = fused(k, f, a0), fused(k, g, b0)
            k = load(to_kernels, q + u8(BLOCK), HALF)
            a1, b1 = fused(k, f, a1), fused(k, g, b1)
            k = load(to_kernels, q + u8(2 * BLOCK), HALF)
            a2, b2 = fused(k, f, a2), fused(k, g, b2)
            k = load(to_kernels, q + u8(3 * BLOCK), HALF)
            a3, b3 = fused(k, f, a3), fused(k, g, b3)
            k = load(to_kernels, q + u8(4 * BLOCK), HALF)
            a4, b4 = fused(k, f, a4), fused(k, g, b4)
            k = load(to_kernels, q + u8(5 * BLOCK), HALF)
            a5, b5 = fused(k, f, a5), fused(k, g, b5)
            k = load(to_kernels, q + u8(6 * BLOCK), HALF)
            a6, b6 = fused(k, f, a6), fused(k, g, b6)
            k = load(to_kernels, q + u8(7 * BLOCK), HALF)
            a7, b7 = fused(k, f, a7), fused(k, g, b7)
            k = load(to_kernels, q + u8(8 * BLOCK), HALF)
            a8, b8 = fused(k, f, a8), fused(k, g, b8)
        for value in (a0, a1, a2, a3, a4, a5, a6, a7, a8, b0, b1, b2, b3, b4, b5, b6, b7, b8):
            store(sums, s, value)
            s += u8(HALF)
    for t in range(TAPS):
        s = u8((C * TAPS + t) * HALF)
        value = load(sums, s, HALF)
        for q in range(u8(t * BLOCK), u8(t * BLOCK) + size, u8(HALF)):
            value = value + load(to_kernels, q, HALF)
        store(sums, s, value)


@inlined
def _nine(sums, s):
    """Return the sums of nine taps."""
    s0, s1, s2 = load(sums, s, HALF), load(sums, s + _H, HALF), load(sums, s + _H + _H, HALF)
    s += u8(3 * HALF)
    s3, s4, s5 = load(sums, s, HALF), load(sums, s + _H, HALF), load(sums, s + _H + _H, HALF)
    s += u8(3 * HALF)
    s6, s7, s8 = load(sums, s, HALF), load(sums, s + _H, HALF), load(sums, s + _H + _H, HALF)
    return s0, s1, s2, s3, s4, s5, s6, s7, s8


@called
def _add_sums(sums, C, to_weight, to_bias):
    """Add what a piece's pixels say of a channel's weights and biases."""
    s = u8(0)
    for c in range(C):
        for t in range(TAPS):
            to_weight[c, t] += total(load(sums, s, HALF))
            s += u8(HALF)
    for t in range(TAPS):
        to_bias[t] += total(load(sums, s, HALF))
        s += u8(HALF)


@called
def _shift(x, top, rows, dilation, read):
    """Lay out some rows with ``dilation`` more above and below, as the three columns of taps read.

    What the first, second and third column of taps read follows upon each other: tap (i, j) of
    pixel p reads at ``read[j, p + i dilation W]``.
    """
    H, W = x.shape
    flat, to = x.reshape(-1), read.reshape(-1)
    for j in range(3):
        across = (j - 1) * dilation
        left, right = min(W, max(0, -across)), min(W, max(0, across))
        there = u8(W - left - right) if left + right < W else u8(0)
        for y in range(-dilation, rows + dilation):
            i = u8(j * read.shape[1] + (y + dilation) * W)
            if there and 0 <= top + y < H:
                _fill(to, i, u8(left))
                k = u8((top + y) * W + right)
                i += u8(left)
                for q in range(there):
                    to[i + q] = flat[k + q]
                _fill(to, i + there, u8(right))
            else:
                _fill(to, i, u8(W))


@inlined
def _fill(to, i, count):
    """Write zeros."""
    for q in range(count):
        to[i + q] = 0


@called
def _unshift(read, x, top, rows, dilation):
    """Add to the pixels that :func:`_shift` reads."""
    H, W = x.shape
    to, flat = x.reshape(-1), read.reshape(-1)
    for j in range(3):
        across = (j - 1) * dilation
        left, right = min(W, max(0, -across)), min(W, max(0, across))
        there = u8(W - left - right) if left + right < W else u8(0)
        for y in range(max(-dilation, -top), min(rows + dilation, H - top)):
            i = u8(j * read.shape[1] + (y + dilation) * W + left)
            k = u8((top + y) * W + right)
            for q in range(there):
                to[k + q] += flat[i + q]


@called
def _copy(source, target):
    """Copy as many values as both have."""
    for p in range(u8(min(len(source), len(target)))):
        target[p] = source[p]
