"""Pictures filtered by kernels of their own for every pixel and channel, and the derivatives.

Kernels lie by tap: ``kernels[a, 3i + j, m]`` are those of tap (i, j) for the rows in question, to
which ``bias[3i + j, m]`` is added. The picture is zero outside. A channel's rows are worked on in a
window with room all round, so that all loops are as long as the picture is wide.
"""

import numpy as np

from noisegen.kernels.philox import called, kernel


@kernel
def gather(kernels, bias, x, out, first, top, channels, dilation):
    """Write the weighted sums of the nine pixels that each output pixel reads.

    Parameters
    ----------
    kernels
        (A, 9, M, R, W), of A samples and R rows.
    bias
        (9, M).
    x
        (N, M, H, W), what is filtered.
    out
        (N, M, H, W), of which samples from ``first`` and rows from ``top`` are written.
    channels
        First and stop of those that are worked on.
    dilation
        Distance of the taps.
    """
    A, _, _, R, W = kernels.shape
    window = np.zeros((R + 2 * dilation, W + 2 * dilation), x.dtype)
    for a in range(A):
        for m in range(channels[0], channels[1]):
            _read(window, x[first + a, m], top - dilation, dilation)
            for y in range(R):
                to = out[first + a, m, top + y]
                for i in range(3):
                    row = window[y + i * dilation]
                    left = row[:W]
                    middle = row[dilation : dilation + W]
                    right = row[2 * dilation : 2 * dilation + W]
                    k0, b0 = kernels[a, 3 * i, m, y], bias[3 * i, m]
                    k1, b1 = kernels[a, 3 * i + 1, m, y], bias[3 * i + 1, m]
                    k2, b2 = kernels[a, 3 * i + 2, m, y], bias[3 * i + 2, m]
                    if i == 0:
                        for q in range(W):
                            to[q] = (
                                (k0[q] + b0) * left[q]
                                + (k1[q] + b1) * middle[q]
                                + (k2[q] + b2) * right[q]
                            )
                    else:
                        for q in range(W):
                            to[q] += (
                                (k0[q] + b0) * left[q]
                                + (k1[q] + b1) * middle[q]
                                + (k2[q] + b2) * right[q]
                            )


@kernel
def scatter(kernels, bias, x, to_x, gradients, first, top, channels, dilations):
    """Add what gradients of outputs say of the filtered picture, and of the kernels.

    Parameters
    ----------
    kernels, bias, x
        As in :func:`gather`; each kernel is overwritten by its derivative.
    to_x
        Of the shape of ``x``; the derivative by it is added.
    gradients, dilations
        A tuple of (N, M, H, W), and for each the distance of the taps.
    first, top, channels
        As in :func:`gather`.
    """
    A, _, _, R, W = kernels.shape
    reach = max(dilations)
    last = len(dilations) - 1
    window = np.zeros((R + 2 * reach, W + 2 * reach), x.dtype)
    to_window = np.zeros_like(window)
    for a in range(A):
        for m in range(channels[0], channels[1]):
            _read(window, x[first + a, m], top - reach, reach)
            to_window[:] = 0
            for y in range(R):
                for t in range(9):
                    k, more = kernels[a, t, m, y], bias[t, m]
                    for b in range(last):
                        r = y + reach + (t // 3 - 1) * dilations[b]
                        c = reach + (t % 3 - 1) * dilations[b]
                        to = to_window[r, c : c + W]
                        g = gradients[b][first + a, m, top + y]
                        for q in range(W):
                            to[q] += (k[q] + more) * g[q]
                    # The last dilation's loop replaces the kernel as it goes.
                    r = y + reach + (t // 3 - 1) * dilations[last]
                    c = reach + (t % 3 - 1) * dilations[last]
                    to = to_window[r, c : c + W]
                    read = window[r, c : c + W]
                    g = gradients[last][first + a, m, top + y]
                    for q in range(W):
                        to[q] += (k[q] + more) * g[q]
                        k[q] = read[q] * g[q]
                    for b in range(last):
                        r = y + reach + (t // 3 - 1) * dilations[b]
                        c = reach + (t % 3 - 1) * dilations[b]
                        read = window[r, c : c + W]
                        g = gradients[b][first + a, m, top + y]
                        for q in range(W):
                            k[q] += read[q] * g[q]
            _add(to_window, to_x[first + a, m], top - reach, reach)


@called
def _read(window, picture, top, reach):
    """Copy rows of a picture, from ``top``, into the middle of a window that is zero beside it."""
    H, W = picture.shape
    for r in range(len(window)):
        to = window[r, reach : reach + W]
        if 0 <= top + r < H:
            row = picture[top + r]
            for q in range(W):
                to[q] = row[q]
        else:
            for q in range(W):
                to[q] = 0


@called
def _add(window, picture, top, reach):
    """Add the middle of a window to rows of a picture, from ``top``."""
    H, W = picture.shape
    for r in range(max(0, -top), min(len(window), H - top)):
        row, to = window[r, reach : reach + W], picture[top + r]
        for q in range(W):
            to[q] += row[q]
