"""Bilinear samples of a picture at moved places, and their derivatives.

For deformable convolutions. The picture is channel last, its channels by deformable groups of four
or a multiple, so that a sample is four reads of neighbours. Places are worked out for some pixels
at a time in arrays (G K, BLOCK) that stay in the first-level cache.
"""

import numpy as np

from noisegen.kernels.lanes import (
    chosen,
    floor,
    fused,
    load,
    spread,
    store,
    strided,
    sums,
    whole,
)
from noisegen.kernels.philox import called, i4, inlined, kernel, u8

TAKEN = 64
"""Output pixels whose moves are read at a time: some cache lines of every channel."""

BLOCK = 16
"""Output pixels whose places are worked out at a time."""

QUAD = 4
"""Channels that are read and written at a time; those of a group are a multiple."""


@kernel
def sample(picture, offset, mask, planar, start, stop, taps, columns):
    """Fill the columns of a convolution for some rows of its output.

    Parameters
    ----------
    picture
        (H + 2, W + 2, C) with a rim of zeros.
    offset, mask
        (Ho, Wo, 2 G K) and (Ho, Wo, G K), or with channels first.
    planar
        Whether channels come first.
    start, stop
        The rows.
    taps
        Stride, padding and dilation of the convolution, width of its kernel, and G, the number of
        deformable groups.
    columns
        ((stop - start) Wo, K, C), filled.
    """
    wide, many = _sizes(mask, planar)
    H, W, C = picture.shape
    G = taps[4]
    K, per_group = u8(many // G), u8(C // G)
    right, down = u8(C), u8(W * C)
    flat, out = picture.reshape(-1), columns.reshape(-1)
    zero = spread(picture.dtype.type(0), QUAD)
    moves, scales, at, parts, corners = _buffers(many, picture)
    pixel = u8(0)
    for r in range(start, stop):
        for q in range(0, wide, BLOCK):
            if q % TAKEN == 0:
                taken = min(TAKEN, wide - q)
                _take(offset, planar, r, q, taken, moves)
                _take(mask, planar, r, q, taken, scales)
            _places(moves, scales, (H - 2, W - 2), r, q, taps, at, parts, corners)
            count = min(BLOCK, wide - q)
            for g in range(u8(G)):
                for p in range(u8(count)):
                    into = (pixel + p) * K * right + g * per_group
                    for k in range(g * K, (g + u8(1)) * K):
                        place = at[k * u8(BLOCK) + p]
                        if place < 0:
                            for c in range(u8(0), per_group, u8(QUAD)):
                                store(out, into + c, zero)
                        else:
                            w = k * u8(4 * BLOCK) + p
                            a, b = corners[w], corners[w + u8(BLOCK)]
                            d, e = corners[w + u8(2 * BLOCK)], corners[w + u8(3 * BLOCK)]
                            first = u8(place) * right + g * per_group
                            for c in range(u8(0), per_group, u8(QUAD)):
                                i = first + c
                                value = a * load(flat, i, QUAD)
                                value = fused(b, load(flat, i + right, QUAD), value)
                                value = fused(d, load(flat, i + down, QUAD), value)
                                value = fused(e, load(flat, i + down + right, QUAD), value)
                                store(out, into + c, value)
                        into += right
            pixel += u8(count)


@kernel
def derive(
    picture, offset, mask, planar, start, stop, taps, groups, columns, to_picture, to_offset,
    to_mask,
):  # fmt: skip
    """Turn derivatives by columns into those by the inputs, and replace them by the columns.

    Parameters
    ----------
    picture, offset, mask, planar, start, stop, taps
        As in :func:`sample`.
    groups
        First and stop of the deformable groups that are worked on.
    columns
        ((stop - start) Wo, K, C): derivatives by the columns, replaced by the columns.
    to_picture
        Of the shape of ``picture``, added to.
    to_offset, to_mask
        Like ``offset`` and ``mask``; the rows are filled.
    """
    wide, many = _sizes(mask, planar)
    H, W, C = picture.shape
    G = taps[4]
    K, per_group = u8(many // G), u8(C // G)
    right, down = u8(C), u8(W * C)
    flat, out, added = picture.reshape(-1), columns.reshape(-1), to_picture.reshape(-1)
    zero = spread(picture.dtype.type(0), QUAD)
    moves, scales, at, parts, corners = _buffers(many, picture)
    dots = np.zeros_like(corners)
    pixel = u8(0)
    for r in range(start, stop):
        for q in range(0, wide, BLOCK):
            if q % TAKEN == 0:
                taken = min(TAKEN, wide - q)
                _take(offset, planar, r, q, taken, moves)
                _take(mask, planar, r, q, taken, scales)
            _places(moves, scales, (H - 2, W - 2), r, q, taps, at, parts, corners)
            count = min(BLOCK, wide - q)
            for g in range(u8(groups[0]), u8(groups[1])):
                for p in range(u8(count)):
                    into = (pixel + p) * K * right + g * per_group
                    for k in range(g * K, (g + u8(1)) * K):
                        place = at[k * u8(BLOCK) + p]
                        dot_a, dot_b, dot_d, dot_e = zero, zero, zero, zero
                        if place < 0:
                            for c in range(u8(0), per_group, u8(QUAD)):
                                store(out, into + c, zero)
                        else:
                            w = k * u8(4 * BLOCK) + p
                            a, b = corners[w], corners[w + u8(BLOCK)]
                            d, e = corners[w + u8(2 * BLOCK)], corners[w + u8(3 * BLOCK)]
                            first = u8(place) * right + g * per_group
                            for c in range(u8(0), per_group, u8(QUAD)):
                                i = first + c
                                ir, below = i + right, i + down
                                br = below + right
                                v = load(out, into + c, QUAD)
                                va, vb = load(flat, i, QUAD), load(flat, ir, QUAD)
                                vd, ve = load(flat, below, QUAD), load(flat, br, QUAD)
                                dot_a, dot_b = fused(v, va, dot_a), fused(v, vb, dot_b)
                                dot_d, dot_e = fused(v, vd, dot_d), fused(v, ve, dot_e)
                                value = fused(e, ve, fused(d, vd, fused(b, vb, a * va)))
                                store(out, into + c, value)
                                store(added, i, fused(a, v, load(added, i, QUAD)))
                                store(added, ir, fused(b, v, load(added, ir, QUAD)))
                                store(added, below, fused(d, v, load(added, below, QUAD)))
                                store(added, br, fused(e, v, load(added, br, QUAD)))
                        store(dots, (k * u8(BLOCK) + p) * u8(4), sums(dot_a, dot_b, dot_d, dot_e))
                        into += right
            pixel += u8(count)
            _finish(dots, at, parts, moves, scales, q)
            if q + BLOCK >= wide or (q + BLOCK) % TAKEN == 0:
                begin, first, last = q // TAKEN * TAKEN, groups[0] * K, groups[1] * K
                _put(moves, 2 * first, 2 * last, planar, r, begin, taken, to_offset)
                _put(scales, first, last, planar, r, begin, taken, to_mask)


@inlined
def _sizes(mask, planar):
    """Return the width of the output, and G K."""
    return (mask.shape[2], mask.shape[0]) if planar else (mask.shape[1], mask.shape[2])


@inlined
def _buffers(many, picture):
    """Return what :func:`_places` reads and fills."""
    scales = np.zeros(many * TAKEN, picture.dtype)
    moves = np.zeros(2 * scales.size, picture.dtype)
    parts = np.zeros(2 * many * BLOCK, picture.dtype)
    corners = np.zeros(4 * many * BLOCK, picture.dtype)
    return moves, scales, np.zeros(many * BLOCK, np.int32), parts, corners


@called
def _take(source, planar, r, q, count, taken):
    """Copy the channels of some pixels of a row: to (channels, TAKEN), as one axis."""
    if planar:
        flat = source.reshape(-1)
        step, first = u8(source.shape[1] * source.shape[2]), u8(r * source.shape[2] + q)
        for k in range(u8(len(source))):
            at, to = first + k * step, k * u8(TAKEN)
            for p in range(u8(count)):
                taken[to + p] = flat[at + p]
    else:
        for p in range(u8(count)):
            row = source[r, q + p]
            for k in range(u8(len(row))):
                taken[k * u8(TAKEN) + p] = row[k]


@called
def _put(taken, start, stop, planar, r, q, count, target):
    """Write some of the channels that :func:`_take` reads."""
    if planar:
        flat = target.reshape(-1)
        step, first = u8(target.shape[1] * target.shape[2]), u8(r * target.shape[2] + q)
        for k in range(u8(start), u8(stop)):
            at, to = k * u8(TAKEN), first + k * step
            for p in range(u8(count)):
                flat[to + p] = taken[at + p]
    else:
        for p in range(u8(count)):
            to = target[r, q + p]
            for k in range(u8(start), u8(stop)):
                to[k] = taken[k * u8(TAKEN) + p]


@called
def _places(moves, scales, size, r, q, taps, at, parts, corners):
    """Work out where some pixels' taps read: the upper left pixel, and the four's weights.

    Parameters
    ----------
    moves, scales
        (2 G K, TAKEN) and (G K, TAKEN), as one axis, as all that follow.
    size
        Height and width of the picture without its rim.
    r, q
        Row and first column of the output.
    taps
        As in :func:`sample`.
    at
        Filled: (G K, BLOCK), numbers of pixels in the picture with its rim, -1 where nothing is.
    parts
        Filled: (G K, 2, BLOCK), how far below and to the right of that pixel.
    corners
        Filled: (G K, 4, BLOCK).
    """
    H, W = size
    number = moves.dtype.type
    many = len(scales) // TAKEN
    stride, padding, dilation, kw, G = taps
    K = many // G
    steps = np.arange(BLOCK).astype(moves.dtype) * number(stride)
    across = load(steps, 0, BLOCK)
    for tap in range(many):
        k, t = u8(tap), tap % K
        row = number(r * stride - padding + t // kw * dilation)
        column = number(q * stride - padding + t % kw * dilation)
        i = k * u8(TAKEN) + u8(q % TAKEN)
        y = load(moves, i + k * u8(TAKEN), BLOCK) + row
        z = load(moves, i + (k + u8(1)) * u8(TAKEN), BLOCK) + (across + column)
        m = load(scales, i, BLOCK)
        inside = (y > -1) & (z > -1) & (y < H) & (z < W)
        y, z = chosen(inside, y, 0), chosen(inside, z, 0)
        y0, z0 = floor(y), floor(z)
        ly, lz = y - y0, z - z0
        hy, hz = number(1) - ly, number(1) - lz
        i = k * u8(BLOCK)
        store(at, i, chosen(inside, whole(y0) * i4(W + 2) + whole(z0) + i4(W + 3), -1))
        store(parts, i + i, ly)
        store(parts, i + i + u8(BLOCK), lz)
        upper, lower = m * hy, m * ly
        i *= u8(4)
        store(corners, i, upper * hz)
        store(corners, i + u8(BLOCK), upper * lz)
        store(corners, i + u8(2 * BLOCK), lower * hz)
        store(corners, i + u8(3 * BLOCK), lower * lz)


@called
def _finish(dots, at, parts, moves, scales, q):
    """Turn products with the four pixels into derivatives by moves and scales, in their place."""
    one = moves.dtype.type(1)
    for k in range(u8(len(at) // BLOCK)):
        i = k * u8(BLOCK)
        j = i * u8(4)
        a, b = strided(dots, j, 0, 4, BLOCK), strided(dots, j, 1, 4, BLOCK)
        d, e = strided(dots, j, 2, 4, BLOCK), strided(dots, j, 3, 4, BLOCK)
        ly, lz = load(parts, i + i, BLOCK), load(parts, i + i + u8(BLOCK), BLOCK)
        hy, hz = one - ly, one - lz
        there = load(at, i, BLOCK) >= 0
        i = k * u8(TAKEN) + u8(q % TAKEN)
        m = load(scales, i, BLOCK)
        store(scales, i, hy * (hz * a + lz * b) + ly * (hz * d + lz * e))
        i += k * u8(TAKEN)
        store(moves, i, chosen(there, m * (hz * (d - a) + lz * (e - b)), 0))
        store(moves, i + u8(TAKEN), chosen(there, m * (hy * (b - a) + ly * (e - d)), 0))
