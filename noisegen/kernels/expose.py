"""Exposures with camera bodies: uint16 mosaics in, noisy uint16 mosaics out, a few rows at a time.

First it is worked out what every pixel of the rows is expected to collect, d times its response
plus its dark charge, and the offset of every pixel; the noise of that is drawn by the kernel of
:func:`noisegen.kernels.noise.separate`; the pixels that are stuck are overwritten last.
"""

import numpy as np
import numpy.typing as npt

from noisegen.kernels.body import (
    Bodies,
    Column,
    add_charges,
    add_frame,
    add_offsets,
    column_offsets,
    responses,
    spline_weights,
    stick,
)
from noisegen.kernels.noise import (
    Batch,
    Mosaics,
    Read,
    Shot,
    Terms,
    frozen,
    key_words,
    one_normal,
    packed,
    row_offsets,
    separate_part,
)
from noisegen.kernels.philox import BLOCK, called, kernel, tagged
from noisegen.kernels.rows import BLACK, GAIN, along, at, signal
from noisegen.kernels.tiles import reflect
from noisegen.random import Field

STRIP = 16
"""Rows that are worked on at a time: their maps are in cache when noise is drawn."""

_LEVEL, _RATIO = int(Column.LEVEL), int(Column.RATIO)


def expose(
    mosaics: Mosaics,
    out: Mosaics,
    terms: Terms,
    batch: Batch,
    key: tuple[int, int],
    bodies: Bodies,
    *,
    shot: Shot,
    read: Read,
    shape: npt.NDArray[np.float32],
) -> None:
    """Add the terms of camera bodies, and shot and read noise from fields of their own.

    Parameters
    ----------
    mosaics, out, terms, batch, key, shot, read, shape
        As in :func:`noisegen.kernels.noise.separate`.
    bodies
        The bodies.
    """
    fields = np.array([Field.READ, Field.SHOT, Field.SHOT_DARK, Field.ROW], np.int64)
    # Which readout a pixel is taken from depends on its electrons.
    together = one_normal(shot, read) & (bodies.figures[:, _RATIO] == 1)
    _expose_batch(
        *(frozen(mosaics), out, packed(terms, by_column=True, together=together)),
        *(*batch, *key_words(key)),
        *(fields, int(shot), int(read), shape, bodies),
    )


@kernel
def _expose_batch(
    x, out, terms, source, place, sample, draw, white, row, key0, key1, fields, shot, read, shape,
    bodies,
):  # fmt: skip
    for i in range(out.shape[0]):
        here, figures, limits = place[i], bodies.figures[i], bodies.limits[i]
        camera, body = bodies.camera[i], bodies.body[i]
        own0, own1 = bodies.key[0], bodies.key[1]
        first, height, width, top, left = here[0], here[2], here[3], here[4], here[5]
        rows = row_offsets(here, row[i], key0, key1, tagged(fields[3], draw[i]), sample[i])
        words = (
            tagged(fields[0], draw[i]), tagged(fields[1], draw[i]), tagged(fields[2], draw[i]),
        )  # fmt: skip
        columns = column_offsets(figures, here, camera, body, own0, own1)
        add_frame(columns, figures, here, sample[i], draw[i], key0, key1)
        weights = spline_weights(left, width)
        dual = figures[_LEVEL], figures[_RATIO]
        lights = np.empty((STRIP, width), np.float32)
        offsets = np.empty((STRIP, width), np.float32)
        begin = 0
        while begin < height:
            # Strips begin at even rows of the part, where its CFA does, and where they can at the
            # words of a block.
            end = min(height, begin + STRIP - ((top + begin) & 2))
            strip = here.copy()
            strip[0], strip[2], strip[4] = first + begin, end - begin, top + begin
            light, offset = lights[: end - begin], offsets[: end - begin]
            responses(light, figures, strip, weights, camera, body, own0, own1)
            _collect(x[source[i]], light, terms[i], strip)
            add_charges(light, figures, limits, strip, camera, body, own0, own1)
            for r in range(end - begin):
                _plus_row(offset[r], columns, rows[begin + r], width)
            add_offsets(offset, figures, strip, weights, camera, body, own0, own1)
            if bodies.dark.size:
                _plus_dark(offset, bodies.dark[i], strip)
            separate_part(
                light, out[i], terms[i], white[i], offset,
                key0, key1, sample[i], words, strip, shot, read, shape[i], dual,
            )  # fmt: skip
            high = np.uint16(white[i])
            stick(out[i], limits, bodies.low[i], high, strip, camera, body, own0, own1)
            begin = end
        reflect(out[i], here)


@called
def _collect(x, response, terms, place):
    """Turn the responses of a part's pixels into the light that they are expected to collect."""
    begin, start, width = place[0], place[1], place[3]
    t = along(terms)
    for r in range(place[2]):
        for c in range(0, width, BLOCK):
            n = min(BLOCK, width - c)
            source = x[begin + r, start + c : start + c + n]
            _collect_row(source, response[r, c : c + n], n, t[r & 1])


@called
def _collect_row(source, response, n, a):
    black = a[BLACK]
    gain = a[GAIN]
    for i in range(n):
        response[i] = signal(source[i], at(black, i), at(gain, i)) * response[i]


@called
def _plus_row(out, columns, row, n):
    for i in range(n):
        out[i] = row + columns[i]


@called
def _plus_dark(offset, dark, place):
    begin, start = place[0], place[1]
    for r in range(place[2]):
        for c in range(place[3]):
            offset[r, c] = offset[r, c] + dark[begin + r, start + c]
