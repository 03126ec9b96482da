"""Digests of every kernel's output, for comparison between processors (run in a subprocess too)."""

import hashlib
import itertools

import numpy as np

from noisegen.kernels import noise, normals, words
from noisegen.random import Field, counter

SHAPES = {"awkward": (-5, 1001), "aligned": (8, 256)}


def everything():
    """Return one digest of words, normals and all noise terms, planes alike and not."""
    hasher = hashlib.sha256()
    where = counter(2024, 7, 3)
    shape = (37, 300)
    # Levels from black to white, so that dark, split and bright electrons all occur in a block.
    mosaic = (np.arange(37 * 300) * 977 % 16384).reshape(shape).astype(np.uint16)
    mosaic[:8] = 500 + mosaic[:8] % 200
    one = np.ones((1, 2, 2))
    alike = noise.Terms(512 * one, one, 4 * one, 10 * one, 512.5 * one, 0 * one)
    unlike = noise.Terms(*(term * (1 + np.arange(4).reshape(2, 2) / 64) for term in alike))
    # The read noise of one plane is too small to be drawn with its shot noise.
    mixed = unlike._replace(read=np.array([[[10, 1], [10, 20.0]]]))
    out = np.empty_like(mosaic)
    for y, x in SHAPES.values():
        hasher.update(words(shape, where, Field.SHOT, y, x).tobytes())
        hasher.update(normals(shape, where, Field.READ, y, x).tobytes())
        for terms in (alike, unlike, mixed):
            batch = noise.Batch(
                source=np.zeros(1, np.int64),
                place=np.array([[0, 0, *shape, y, x]]),
                sample=np.array([where.sample], np.uint32),
                draw=np.array([where.draw], np.uint32),
                white=np.array([16383], np.float32),
                row=np.array([1.5], np.float32),
            )
            key = (where.key0, where.key1)
            noise.joint(mosaic[None], out[None], terms, batch, key)
            hasher.update(out.tobytes())
            for shot, read in itertools.product(noise.Shot, noise.Read):
                noise.separate(
                    *(mosaic[None], out[None], terms, batch, key),
                    shot=shot,
                    read=read,
                    shape=np.array([-0.1], np.float32),
                )
                hasher.update(out.tobytes())
    return hasher.hexdigest()
