"""Dead leaves: endless made-up scenes with the statistics of natural ones; nothing to download.

A scene is what is seen from below when leaves fall on a glass table: shapes at random places that
hide each other, laid here from front to back until nothing shows through, which samples the model
exactly. Their radii follow a density proportional to r**-3 between a smallest and a largest one, so
that every octave of sizes covers the same area: the scene looks alike at every scale, and its power
spectrum falls about as the frequency to the power -2, as that of photographs does.

Leaves are discs, ellipses and polygons, filled flat, with a gradient, or with a sinusoid, stripes
or noise. Colours are log-distributed and mostly vary along a warm-cool axis, as natural ones do;
every scene has its own exposure, contrast, saturation and smallest leaf, and a few leaves are
bright enough to clip.

With a guide (near infrared or flash) the same leaves lie there once more, with a reflectance of
their own (:mod:`catalogs.sources.leaf_guide`).

The scene is a function of (seed, index, size, guide) alone. It is computed from uniform draws with
``+ - * /``, square roots and tables rounded well above the last bit, in strict floating point, and
averaged in integers: the same bytes on any x86-64 processor.

References
----------
A. B. Lee, D. Mumford, J. Huang, "Occlusion models for natural images: a statistical study of a
scale-invariant dead leaves model", IJCV 41, 2001.
W. S. Kendall, E. Thönnes, "Perfect simulation in stochastic geometry", Pattern Recognition 32, 1999
(from front to back).
R. Achddou, Y. Gousseau, S. Ladjal, "Synthetic images as a regularity prior for image restoration
neural networks", SSVM 2021.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalogs.sources.base import Guide, ImageRef, Option, Source, SourceEntry, SourceImage
from catalogs.sources.leaf_guide import Canvas, GuideLayer
from catalogs.sources.leaf_tables import Floats, bell, direction, power
from noisegen.errors import MissingDataError
from noisegen.random import Stream, generator

SMALLEST = (1.0, 1.5, 2.5, 4.0, 6.0)
"""Radii of the smallest leaves, in pixels; a scene has one of them."""
LARGEST = 0.5
"""Radius of the largest leaves, in lengths of the scene's longer side."""
LONGEST_STRETCH = 1.6
"""Greatest length of a leaf's long axis, in radii."""

_PREFIX = "scene-"
_BATCH = 1 << 15


@dataclass(frozen=True)
class DeadLeaves:
    """Generated scenes ``scene-000000``, ``scene-000001``, … of one seed.

    Parameters
    ----------
    count
        How many scenes :meth:`images` lists; :meth:`read` takes any.
    size
        Height and width of a scene in pixels.
    seed
        Seed of all scenes.
    guide
        Second picture of each scene; none: there is none.
    """

    count: int = 16
    size: int = 512
    seed: int = 0
    guide: Guide | None = None
    name: str = "deadleaves"
    licence: str = "none needed: generated"
    default_per_image: int = 16
    skipped: tuple[str, ...] = ()

    def images(self) -> tuple[ImageRef, ...]:
        """List the first ``count`` scenes."""
        return tuple(self.ref(index) for index in range(self.count))

    def ref(self, index: int) -> ImageRef:
        """Return the name of a scene; there is no last one."""
        name = f"{_PREFIX}{index:06d}"
        return ImageRef(name, name, (self.size, self.size))

    def read(self, ref: ImageRef) -> SourceImage:
        """Generate one scene, (size, size, 3) float32 linear sRGB in [0, 1].

        Raises
        ------
        MissingDataError
            If ``ref`` is not the name of a scene.
        """
        digits = ref.name.removeprefix(_PREFIX)
        if not (ref.name.startswith(_PREFIX) and digits.isascii() and digits.isdigit()):
            raise MissingDataError(
                f"deadleaves has no image '{ref.name}'; its scenes are {_PREFIX}000000, "
                f"{_PREFIX}000001 and so on"
            )
        pixels, guide = guided_scene(self.seed, int(digits), (self.size, self.size), self.guide)
        digest = hashlib.sha256(pixels.tobytes()).digest()
        return SourceImage("linear", pixels, digest, guide=guide)


def scene(seed: int, index: int, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return a dead leaves scene without a guide; see :func:`guided_scene`."""
    return guided_scene(seed, index, shape, None)[0]


def guided_scene(
    seed: int, index: int, shape: tuple[int, int], guide: Guide | None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
    """Return a dead leaves scene, and its guide if one is wanted.

    Parameters
    ----------
    seed, index
        Non-negative integers: which scene.
    shape
        (height, width) in pixels.
    guide
        Which one, or none.

    Returns
    -------
    picture : (height, width, 3) float32
        Linear sRGB in [0, 1], multiples of 2**-24.
    guide : (height, width, G) float32, or None
        Likewise.
    """
    from noisegen.kernels import leaves as kernel

    rng = generator(seed, Stream.SCENE, index)
    style = _Style.draw(rng)
    # Twice the resolution, and a margin for the filter that halves it.
    height, width = 2 * shape[0] + 2, 2 * shape[1] + 2
    smallest, largest = 2 * style.smallest, max(height, width) * LARGEST
    picture = Canvas(height, width, 3)
    second = GuideLayer.begin(guide, seed, index, (height, width)) if guide else None
    while picture.remaining or (second is not None and second.canvas.remaining):
        leaves = _fallen(rng, smallest, largest, (height, width), kernel.COLUMNS)
        sides = _dress(rng, style, leaves)
        picture.lay(leaves, sides)
        if second is not None:
            second.lay(leaves, sides, style.exposure)
    if second is None:
        return picture.halved(), None
    second.shade(picture)
    return picture.halved(), second.canvas.halved()


def radii(u: Floats, smallest: float, largest: float) -> Floats:
    """Return radii of density proportional to r**-3 on [smallest, largest] from uniforms u."""
    high, low = smallest**-2, largest**-2
    radius: Floats = 1 / np.sqrt(high - u * (high - low))
    return radius


@dataclass(frozen=True)
class _Style:
    """What the leaves of one scene have in common; brightness in stops (log2) below 1."""

    smallest: float
    exposure: float
    contrast: float
    warmth: float
    saturation: float
    textured: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "_Style":
        u = rng.random(6)
        return cls(
            smallest=SMALLEST[int(u[0] * len(SMALLEST))],
            exposure=-1.6 - 3.2 * float(u[1]),
            contrast=0.7 + 0.9 * float(u[2]),
            warmth=0.8 * (float(u[3]) - 0.5),
            saturation=0.15 + 0.45 * float(u[4]),
            textured=0.2 + 0.6 * float(u[5]),
        )


def _fallen(
    rng: np.random.Generator,
    smallest: float,
    largest: float,
    shape: tuple[int, int],
    columns: int,
) -> Floats:
    """Return the next leaves that may touch the canvas: place and radius, the rest still zero.

    They fall on all places from which the largest leaf can reach the canvas, which makes the
    picture stationary up to its border.
    """
    height, width = shape
    reach = largest * LONGEST_STRETCH
    u = rng.random((_BATCH, 3))
    radius = radii(u[:, 2], smallest, largest)
    x = u[:, 0] * (width + 2 * reach) - reach
    y = u[:, 1] * (height + 2 * reach) - reach
    own = radius * LONGEST_STRETCH
    near = (x > -own) & (x < width + own) & (y > -own) & (y < height + own)
    leaves = np.zeros((int(near.sum()), columns))
    leaves[:, 0], leaves[:, 1], leaves[:, 2] = x[near], y[near], radius[near]
    return leaves


def _dress(rng: np.random.Generator, style: _Style, leaves: Floats) -> Floats:
    """Draw shape, colours and texture of the leaves in place; return their straight sides."""
    from noisegen.kernels import leaves as kernel

    def draw() -> Floats:
        return rng.random(len(leaves))

    leaves[:, kernel.COS], leaves[:, kernel.SIN] = direction(draw())
    leaves[:, kernel.SHADE_COS], leaves[:, kernel.SHADE_SIN] = direction(draw())
    leaves[:, kernel.TEXTURE_COS], leaves[:, kernel.TEXTURE_SIN] = direction(draw())
    # A third are discs, a third ellipses, a third polygons (stretched or not).
    shape = draw()
    stretch = 1 + (LONGEST_STRETCH - 1) * draw()
    leaves[:, kernel.STRETCH] = np.where((shape > 1 / 3) & (shape < 5 / 6), stretch, 1.0)
    count = np.where(shape > 2 / 3, 3 + np.floor(draw() * (kernel.MAX_SIDES - 2)), 0)
    leaves[:, kernel.SIDES] = count
    sides = np.empty((len(leaves), kernel.MAX_SIDES, 3))
    sides[..., 2] = 0.45 + 0.4 * draw()[:, None]
    for k in range(kernel.MAX_SIDES):
        turns = (k + 0.5 * draw()) / np.maximum(count, 1)
        sides[:, k, 0], sides[:, k, 1] = direction(turns)

    near = _colours(draw, style)
    tone = power(2.4 * (draw() - 0.5))  # the far end of a gradient is up to 1.2 stops away
    far = np.where(draw() < 0.75, near * tone, near)
    leaves[:, kernel.NEAR : kernel.NEAR + 3] = near.T
    leaves[:, kernel.FAR : kernel.FAR + 3] = far.T

    kind = np.floor(draw() / style.textured * 4) + 1
    # Noise is twice as frequent as sinusoids and stripes.
    leaves[:, kernel.TEXTURE] = np.where(kind > 4, 0, np.minimum(kind, 3))
    # From three pixels of the scene to a few times the leaf's radius, evenly in octaves.
    period = np.minimum(6 * power(6 * draw()), 3 * leaves[:, kernel.RADIUS] + 6)
    leaves[:, kernel.FREQUENCY] = 1 / period
    strength = draw()
    leaves[:, kernel.DEPTH] = 0.05 + 0.45 * strength * strength
    leaves[:, kernel.MIXING] = 0.5 * (1 - strength)
    leaves[:, kernel.KEY] = np.floor(draw() * 2**32)
    return sides


def _colours(draw: Callable[[], Floats], style: _Style) -> Floats:
    """Return (3, n) linear RGB from the next uniforms; highlights exceed 1."""
    lightness = bell(draw) * style.contrast + style.exposure
    lightness = np.where(draw() < 0.02, lightness + 3, lightness)
    vivid = np.where(draw() < 0.15, 3.0, 1.0) * style.saturation
    warm = bell(draw) * vivid + style.warmth
    tint = 0.4 * bell(draw) * vivid
    return np.stack([power(lightness + step) for step in (warm, tint, -warm)])


def _make(root: str, *, count: int, size: int, seed: int, guide: Guide | None) -> Source:
    return DeadLeaves(count, size, seed, guide)


ENTRY = SourceEntry(
    name="deadleaves",
    title="Dead leaves: endless generated scenes of leaves that hide each other, scene-linear",
    licence="none needed: generated",
    url="nowhere: computed when asked for",
    size="nothing to download",
    layout="no root",
    make=_make,
    needs_root=False,
    options={
        "count": Option(16, "how many scenes", minimum=1),
        "size": Option(512, "height and width of a scene in pixels", minimum=16),
        "seed": Option(0, "seed of all scenes"),
    },
    guides=("nir", "flash"),
)
