"""3x3 convolutions of single planes, and their derivatives: stride 1, zero outside.

A plane is laid out with a rim of zeros, rows following upon each other. What a tap reads is then
the same run of values for all pixels, at another place; what is reckoned for the rim is not used.
"""

import numpy as np

from noisegen.kernels.filtering import WIDE
from noisegen.kernels.lanes import fused, load, spread, store, total
from noisegen.kernels.philox import called, inlined, kernel, u8


@kernel
def convolve(x, weight, bias, out, channels):
    """Convolve each plane with its own taps.

    Parameters
    ----------
    x, out
        (N, C, H, W).
    weight
        (C, 9), by rows.
    bias
        (C,), or nothing (0,).
    channels
        First and stop of the channels that are worked on.
    """
    N, _, H, W = x.shape
    pitch, size = W + 2, _size(H, W)
    plane = np.zeros(_room(H, W), x.dtype)
    made = np.empty(size, x.dtype)
    for c in range(channels[0], channels[1]):
        added = bias[c] if len(bias) else weight.dtype.type(0)
        for n in range(N):
            _lay_out(x[n, c], plane)
            _filter(plane, weight[c], added, made, u8(pitch))
            _cut_out(made, pitch, out[n, c])


@kernel
def derive(x, weight, gradient, to_x, to_weight, to_bias, channels):
    """Derive by the planes, the taps and the biases.

    Parameters
    ----------
    x, weight, channels
        As in :func:`convolve`.
    gradient
        (N, C, H, W), of what came out.
    to_x, to_weight, to_bias
        (N, C, H, W), (C, 9) and (C,), written.
    """
    N, _, H, W = x.shape
    pitch, size = W + 2, _size(H, W)
    plane, given = np.zeros(_room(H, W), x.dtype), np.zeros(_room(H, W), x.dtype)
    made = np.empty(size, x.dtype)
    sums = np.empty(10 * WIDE, x.dtype)
    for c in range(channels[0], channels[1]):
        turned = weight[c, ::-1].copy()
        sums[:] = 0
        for n in range(N):
            _lay_out(x[n, c], plane)
            _lay_out(gradient[n, c], given)
            _filter(given, turned, weight.dtype.type(0), made, u8(pitch))
            _cut_out(made, pitch, to_x[n, c])
            _correlate(plane, given, u8(size), u8(pitch), sums)
        for t in range(9):
            to_weight[c, t] = total(load(sums, u8(t * WIDE), WIDE))
        to_bias[c] = total(load(sums, u8(9 * WIDE), WIDE))


@inlined
def _size(H, W):
    """Return the number of values from the first pixel of a plane to its last, made whole."""
    return -(-H * (W + 2) // WIDE) * WIDE


@inlined
def _room(H, W):
    """Return the number of values that taps may read of a plane."""
    return _size(H, W) + 2 * (W + 2) + 2


@called
def _lay_out(x, plane):
    """Write a plane within its rim."""
    H, W = x.shape
    for y in range(H):
        at = u8((y + 1) * (W + 2) + 1)
        for q in range(W):
            plane[at + u8(q)] = x[y, q]


@called
def _cut_out(made, pitch, out):
    H, W = out.shape
    for y in range(H):
        at = u8(y * pitch)
        for q in range(W):
            out[y, q] = made[at + u8(q)]


@called
def _filter(plane, taps, added, made, pitch):
    """Write the weighted sums of the nine values around each pixel."""
    w0, w1, w2, w3, w4, w5, w6, w7, w8 = (
        taps[0], taps[1], taps[2], taps[3], taps[4], taps[5], taps[6], taps[7], taps[8],
    )  # fmt: skip
    for p in range(u8(0), u8(len(made)), u8(WIDE)):
        i = p
        value = fused(w0, load(plane, i, WIDE), spread(added, WIDE))
        value = fused(w1, load(plane, i + u8(1), WIDE), value)
        value = fused(w2, load(plane, i + u8(2), WIDE), value)
        i += pitch
        value = fused(w3, load(plane, i, WIDE), value)
        value = fused(w4, load(plane, i + u8(1), WIDE), value)
        value = fused(w5, load(plane, i + u8(2), WIDE), value)
        i += pitch
        value = fused(w6, load(plane, i, WIDE), value)
        value = fused(w7, load(plane, i + u8(1), WIDE), value)
        value = fused(w8, load(plane, i + u8(2), WIDE), value)
        store(made, p, value)


@called
def _correlate(plane, given, size, pitch, sums):
    """Add the products of a gradient with what each tap reads, then the gradient itself."""
    s0, s1, s2 = load(sums, u8(0), WIDE), load(sums, u8(WIDE), WIDE), load(sums, u8(2 * WIDE), WIDE)
    s3, s4 = load(sums, u8(3 * WIDE), WIDE), load(sums, u8(4 * WIDE), WIDE)
    s5, s6 = load(sums, u8(5 * WIDE), WIDE), load(sums, u8(6 * WIDE), WIDE)
    s7, s8 = load(sums, u8(7 * WIDE), WIDE), load(sums, u8(8 * WIDE), WIDE)
    s9 = load(sums, u8(9 * WIDE), WIDE)
    for p in range(u8(0), size, u8(WIDE)):
        i = p
        g = load(given, p + pitch + u8(1), WIDE)
        s0 = fused(g, load(plane, i, WIDE), s0)
        s1 = fused(g, load(plane, i + u8(1), WIDE), s1)
        s2 = fused(g, load(plane, i + u8(2), WIDE), s2)
        i += pitch
        s3 = fused(g, load(plane, i, WIDE), s3)
        s4 = fused(g, load(plane, i + u8(1), WIDE), s4)
        s5 = fused(g, load(plane, i + u8(2), WIDE), s5)
        i += pitch
        s6 = fused(g, load(plane, i, WIDE), s6)
        s7 = fused(g, load(plane, i + u8(1), WIDE), s7)
        s8 = fused(g, load(plane, i + u8(2), WIDE), s8)
        s9 = s9 + g
    at = u8(0)
    for value in (s0, s1, s2, s3, s4, s5, s6, s7, s8, s9):
        store(sums, at, value)
        at += u8(WIDE)
