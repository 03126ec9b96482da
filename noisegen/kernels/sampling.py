"""Bilinear samples of a picture at moved places, and their derivatives.

For deformable convolutions; pictures are channel last. Arrays are read as if they had one axis, by
unsigned places: that is what the compiler makes fast.
"""

import math

from noisegen.kernels.philox import kernel, u8


@kernel
def sample(x, offset, mask, start, stop, stride, padding, dilation, kw, groups, columns):
    """Fill the columns of a convolution for some rows of its output.

    Parameters
    ----------
    x
        (H + 2, W + 2, C) with a rim of zeros.
    offset, mask
        (Ho, Wo, 2 G K) and (Ho, Wo, G K).
    start, stop
        The rows.
    stride, padding, dilation, kw, groups
        Settings; the kernel is ``kw`` wide, and there are G deformable groups.
    columns
        ((stop - start) Wo, K, C), filled.
    """
    H, W, C = x.shape[0] - 2, x.shape[1] - 2, x.shape[2]
    taps, per_group = mask.shape[2] // groups, u8(C // groups)
    one = x.dtype.type(1)
    step_right, step_down = u8(C), u8((W + 2) * C)
    picture, out = x.reshape(-1), columns.reshape(-1)
    pixel = u8(0)
    for r in range(start, stop):
        top = r * stride - padding
        for q in range(mask.shape[1]):
            left = q * stride - padding
            end = left + kw * dilation
            moves, scales = offset[r, q], mask[r, q]
            for g in range(groups):
                row, column = top, left
                for t in range(taps):
                    k = u8(g * taps + t)
                    y = x.dtype.type(row) + moves[k + k]
                    z = x.dtype.type(column) + moves[k + k + u8(1)]
                    column += dilation
                    if column == end:
                        row, column = row + dilation, left
                    into = pixel + u8(t) * step_right + u8(g) * per_group
                    if not (y > -1 and z > -1 and y < H and z < W):
                        for c in range(per_group):
                            out[into + c] = 0
                        continue
                    y0, z0 = math.floor(y), math.floor(z)
                    ly, lz = y - x.dtype.type(y0), z - x.dtype.type(z0)
                    m = scales[k]
                    a, b = m * (one - ly) * (one - lz), m * (one - ly) * lz
                    d, e = m * ly * (one - lz), m * ly * lz
                    at = u8(y0 + 1) * step_down + u8(z0 + 1) * step_right + u8(g) * per_group
                    ar, below = at + step_right, at + step_down
                    br = below + step_right
                    for c in range(per_group):
                        out[into + c] = (
                            a * picture[at + c]
                            + b * picture[ar + c]
                            + d * picture[below + c]
                            + e * picture[br + c]
                        )
            pixel += u8(taps) * step_right


@kernel
def derive(
    x, offset, mask, start, stop, stride, padding, dilation, kw, groups, to_columns, columns, to_x,
    to_offset, to_mask,
):  # fmt: skip
    """Fill the columns again, and turn derivatives by them into derivatives by the inputs.

    Parameters
    ----------
    x, offset, mask, start, stop, stride, padding, dilation, kw, groups, columns
        As in :func:`sample`.
    to_columns
        ((stop - start) Wo, K, C) derivatives by the columns.
    to_x
        (H + 2, W + 2, C), added to.
    to_offset, to_mask
        Of the shapes of ``offset`` and ``mask``; the rows are filled.
    """
    H, W, C = x.shape[0] - 2, x.shape[1] - 2, x.shape[2]
    taps, per_group = mask.shape[2] // groups, u8(C // groups)
    one, zero = x.dtype.type(1), x.dtype.type(0)
    step_right, step_down = u8(C), u8((W + 2) * C)
    picture, out, to_picture = x.reshape(-1), columns.reshape(-1), to_x.reshape(-1)
    to_out = to_columns.reshape(-1)
    pixel = u8(0)
    for r in range(start, stop):
        top = r * stride - padding
        for q in range(mask.shape[1]):
            left = q * stride - padding
            end = left + kw * dilation
            moves, scales = offset[r, q], mask[r, q]
            to_moves, to_scales = to_offset[r, q], to_mask[r, q]
            for g in range(groups):
                row, column = top, left
                for t in range(taps):
                    k = u8(g * taps + t)
                    y = x.dtype.type(row) + moves[k + k]
                    z = x.dtype.type(column) + moves[k + k + u8(1)]
                    column += dilation
                    if column == end:
                        row, column = row + dilation, left
                    into = pixel + u8(t) * step_right + u8(g) * per_group
                    if not (y > -1 and z > -1 and y < H and z < W):
                        for c in range(per_group):
                            out[into + c] = 0
                        to_moves[k + k], to_moves[k + k + u8(1)], to_scales[k] = zero, zero, zero
                        continue
                    y0, z0 = math.floor(y), math.floor(z)
                    ly, lz = y - x.dtype.type(y0), z - x.dtype.type(z0)
                    hy, hz = one - ly, one - lz
                    m = scales[k]
                    a, b, d, e = m * hy * hz, m * hy * lz, m * ly * hz, m * ly * lz
                    at = u8(y0 + 1) * step_down + u8(z0 + 1) * step_right + u8(g) * per_group
                    ar, below = at + step_right, at + step_down
                    br = below + step_right
                    dot_a, dot_b, dot_d, dot_e = zero, zero, zero, zero
                    for c in range(per_group):
                        v = to_out[into + c]
                        dot_a += v * picture[at + c]
                        dot_b += v * picture[ar + c]
                        dot_d += v * picture[below + c]
                        dot_e += v * picture[br + c]
                    for c in range(per_group):
                        out[into + c] = (
                            a * picture[at + c]
                            + b * picture[ar + c]
                            + d * picture[below + c]
                            + e * picture[br + c]
                        )
                    for c in range(per_group):
                        to_picture[at + c] += a * to_out[into + c]
                    for c in range(per_group):
                        to_picture[ar + c] += b * to_out[into + c]
                    for c in range(per_group):
                        to_picture[below + c] += d * to_out[into + c]
                    for c in range(per_group):
                        to_picture[br + c] += e * to_out[into + c]
                    to_scales[k] = hy * (hz * dot_a + lz * dot_b) + ly * (hz * dot_d + lz * dot_e)
                    to_moves[k + k] = m * (hz * (dot_d - dot_a) + lz * (dot_e - dot_b))
                    to_moves[k + k + u8(1)] = m * (hy * (dot_b - dot_a) + ly * (dot_e - dot_d))
            pixel += u8(taps) * step_right
