"""The guide of dead leaves: the same leaves seen in near infrared, or by flash.

Every leaf has a second reflectance: what its brightness in the picture says of it, less or more so
from scene to scene, and a part of its own. What makes guides hard to use is there: a share of the
leaves does not show in the guide (what lies below shows instead), a share is bright where the
picture is dark and the other way round, textures are weaker or gone, and shadows fall in one of
the two alone.

Near infrared is one value a leaf. A flash photo has the picture's colours under another light,
which falls off from leaf to leaf as if they lay at different distances.

The guide is a function of (seed, index, size, kind); leaves and colours of the picture are those of
the scene without a guide, but for its shadows.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from catalogs.sources.base import GUIDE_CHANNELS, Guide
from catalogs.sources.leaf_tables import Floats, bell, direction, power, stops
from noisegen.random import Stream, generator

INVISIBLE = 0.2
REVERSED = 0.2
"""Largest share of the leaves of a scene."""

SHADOWS = 3
"""Most shadows in one of the two pictures."""

SHADOW_COLUMNS = 7


class Canvas:
    """What leaves are laid on, at twice the resolution."""

    def __init__(self, height: int, width: int, channels: int) -> None:
        self.values = np.zeros((height, width, channels), np.int32)
        self._free = np.ones((height, width), np.uint8)
        self.remaining = self._free.size

    def lay(self, leaves: Floats, sides: Floats) -> None:
        """Lay leaves under what is there already."""
        from noisegen.kernels import leaves as kernel

        if self.remaining:
            painted = kernel.paint(leaves, sides, self.values, self._free, kernel.SINE)
            self.remaining -= painted

    def halved(self) -> npt.NDArray[np.float32]:
        """Return the picture at half the resolution, in [0, 1]."""
        from noisegen.kernels import leaves as kernel

        height, width, channels = self.values.shape
        out = np.empty(((height - 2) // 2, (width - 2) // 2, channels), np.float32)
        kernel.reduce_by_two(self.values, out)
        return out


@dataclass(frozen=True)
class GuideStyle:
    """What the leaves of one scene's guide have in common; brightness in stops (log2) below 1.

    Attributes
    ----------
    exposure
        Middle of their brightness.
    likeness
        How much of a leaf's brightness in the picture, relative to its middle, goes into the guide.
    own
        Deviation of what is the guide's own.
    invisible, reversed
        Shares of the leaves.
    texture
        How strong textures are, relative to the picture's.
    tint
        (3,) stops by which a flash's light differs from the picture's in R, G, B.
    """

    exposure: float
    likeness: float
    own: float
    invisible: float
    reversed: float
    texture: float
    tint: tuple[float, float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Draw a style."""
        u = rng.random(8).tolist()
        return cls(
            exposure=-1.2 - 1.8 * u[0],
            likeness=0.4 + 0.6 * u[1],
            own=0.2 + 0.8 * u[2],
            invisible=INVISIBLE * u[3],
            reversed=REVERSED * u[4],
            texture=1.2 * u[5],
            tint=(0.6 * (u[6] - 0.7), 0.0, 0.8 * (u[7] - 0.3)),
        )


@dataclass(frozen=True)
class GuideLayer:
    """The guide of a scene that is being laid.

    Attributes
    ----------
    kind
        Near infrared or flash.
    canvas
        What it is laid on.
    style, rng
        What is drawn of.
    """

    kind: Guide
    canvas: Canvas
    style: GuideStyle
    rng: np.random.Generator

    @classmethod
    def begin(cls, kind: Guide, seed: int, index: int, shape: tuple[int, int]) -> Self:
        """Return an empty one; numbers are of a stream of its own."""
        rng = generator(seed, Stream.GUIDE, index)
        return cls(kind, Canvas(*shape, GUIDE_CHANNELS[kind]), GuideStyle.draw(rng), rng)

    def lay(self, leaves: Floats, sides: Floats, exposure: float) -> None:
        """Lay the picture's next leaves, whose brightness is about ``exposure``, in the guide."""
        from noisegen.kernels import leaves as kernel

        def draw() -> Floats:
            return self.rng.random(len(leaves))

        style = self.style
        seen = draw() >= style.invisible
        sign = np.where(draw() < style.reversed, -1.0, 1.0)
        own = bell(draw) * style.own
        texture = style.texture * draw()
        second = leaves.copy()
        for first in (kernel.NEAR, kernel.FAR):
            colour = leaves[:, first : first + 3]
            if self.kind == "nir":
                # One brightness of three colours, and what of it goes into the guide.
                grey = stops((colour[:, 0] + 2 * colour[:, 1] + colour[:, 2]) / 4)
                told = sign * style.likeness * (grey - exposure)
                second[:, first] = power(style.exposure + told + own)
            else:
                fall = sign * style.likeness * (stops(colour[:, 1]) - exposure)
                green = style.exposure + fall + own
                for c, tint in enumerate(style.tint):
                    hue = stops(colour[:, c]) - stops(colour[:, 1])
                    second[:, first + c] = power(green + hue + tint)
        second[:, kernel.DEPTH] *= texture
        second[:, kernel.MIXING] *= texture
        self.canvas.lay(second[seen], sides[seen])

    def shade(self, picture: Canvas) -> None:
        """Lay shadows on both, each on one alone; their light has another direction."""
        from noisegen.kernels import leaves as kernel

        height, width = self.canvas.values.shape[:2]
        for canvas in (picture, self.canvas):
            count = int(self.rng.random() * (SHADOWS + 1))
            u = self.rng.random((SHADOWS, SHADOW_COLUMNS - 1))[:count]
            shadows = np.empty((count, SHADOW_COLUMNS))
            shadows[:, 0], shadows[:, 1] = u[:, 0] * width, u[:, 1] * height
            shadows[:, 2] = (0.05 + 0.25 * u[:, 2]) * max(height, width)
            shadows[:, 3] = shadows[:, 2] * (0.2 + 0.8 * u[:, 3])
            shadows[:, 4], shadows[:, 5] = direction(u[:, 4])
            shadows[:, 6] = 0.2 + 0.5 * u[:, 5]
            kernel.shade(canvas.values, shadows)
