"""Dark frames in the place of a model's read, row and bias noise: drawn, recorded, cut.

What a sensor adds without light, its pattern, its rows and columns and how they hang together, is
taken from frames that the camera took with the lens covered; the model draws shot noise alone. A
sample gets the part of one frame at an even or odd place, as its CFA phase asks, with all that its
rendering needs around it: so a patch is the crop of a larger one.

References
----------
Y. Zhang et al., "Rethinking Noise Synthesis and Modeling in Raw Denoising", ICCV 2021: noise from
dark frames, cut on the pattern of the sensor.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from catalogs.sources.folder import read_file
from catalogs.sources.roots import Root
from noisegen import cfa, random
from noisegen.errors import InputError, UnreadableFileError

Planes = tuple[float, float, float, float]

CACHE_BYTES = 1 << 30
"""Decoded frames that a process keeps."""

SAME_ISO = 1e-3
"""Relative difference of ISOs that are one."""


@dataclass(frozen=True)
class DarkFrame:
    """What is known of a frame; its place among the names of the recipe is its number.

    Attributes
    ----------
    name, sha256
        Path in the folder, and hash of the file.
    iso
        ISO speed.
    height, width, phase
        Size in pixels, and CFA phase at the first one.
    black
        Its own black level a plane, DN.
    read, bias
        Variance of its codes, DN², and how far their mean is from black, DN; by plane.
    """

    name: str
    sha256: str
    iso: float
    height: int
    width: int
    phase: cfa.Phase
    black: Planes
    read: Planes
    bias: Planes

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "DarkFrame":
        """Turn ``vars`` of a frame, as JSON gives it back, into the frame."""
        values = {field.name: data[field.name] for field in fields(cls)}
        for name in ("black", "read", "bias"):
            values[name] = tuple(values[name])
        return cls(**values)


class DarkFrames:
    """Frames to draw from.

    Parameters
    ----------
    root
        Path or URL of the folder.
    frames
        All frames of the recipe, in the order of their names.
    isos
        Lowest and highest ISO that samples may have; None: any.
    """

    def __init__(
        self, root: str, frames: Sequence[DarkFrame], isos: tuple[float, float] | None
    ) -> None:
        self.root, self.frames, self.isos = root, tuple(frames), isos
        self._mosaics: OrderedDict[int, npt.NDArray[np.uint16]] = OrderedDict()

    @cached_property
    def usable(self) -> tuple[int, ...]:
        """Numbers of the frames whose ISO samples may have."""
        if self.isos is None:
            return tuple(range(len(self.frames)))
        low, high = self.isos[0] * (1 - SAME_ISO), self.isos[1] * (1 + SAME_ISO)
        return tuple(i for i, frame in enumerate(self.frames) if low <= frame.iso <= high)

    def at(self, iso: float) -> tuple[int, ...]:
        """Return the numbers of the frames of one ISO.

        Raises
        ------
        InputError
            If there is none.
        """
        found = tuple(
            i
            for i, frame in enumerate(self.frames)
            if math.isclose(frame.iso, iso, rel_tol=SAME_ISO)
        )
        if not found:
            raise self.missing(f"ISO {iso:g}")
        return found

    def missing(self, wanted: str) -> InputError:
        """Return the error of a setting that no frame was taken at."""
        known = ", ".join(f"{iso:g}" for iso in sorted({frame.iso for frame in self.frames}))
        return InputError(
            f"dark_frames: none in {self.root} was taken at {wanted}, only at ISO {known}; take "
            "some, or give an --iso that is there"
        )

    def draw_isos(self, seed: int, image: int, numbers: range) -> list[float]:
        """Draw the ISO of each patch of an image: that of any usable frame."""
        u = random.uniforms(seed, random.Stream.DARK_FRAME, image, 0, items=numbers, each=1)[:, 0]
        return [self.frames[self.usable[int(share * len(self.usable))]].iso for share in u.tolist()]

    def draw(self, seed: int, rows: npt.NDArray[np.void], core: int, halo: int) -> None:
        """Draw frame and place of each sample, and write down what the frame stands for.

        Parameters
        ----------
        seed
            The recipe's.
        rows
            (patches, draws) rows of consecutive patches of one image, whose ISO is known, written.
        core, halo
            Edge of what a sample covers, and of what its rendering needs around it, in pixels.
        """
        image, first = (int(rows[0, 0][name]) for name in ("image", "index"))
        numbers = range(first, first + len(rows))
        for draw, samples in enumerate(rows.T, start=1):
            uniforms = random.uniforms(
                seed, random.Stream.DARK_FRAME, image, draw, items=numbers, each=3
            )
            for row, u in zip(samples, uniforms.tolist(), strict=True):
                self._place(row, u, core, halo)
        rows["row"] = 0
        rows["tukey_lambda"] = rows["tukey_scale"] = np.nan

    def _place(self, row: np.void, uniforms: Sequence[float], core: int, halo: int) -> None:
        """Choose frame and place of one sample by three uniform numbers."""
        numbers = self.at(float(row["iso"]))
        number = numbers[int(uniforms[0] * len(numbers))]
        frame, phase = self.frames[number], cfa.PHASES[int(row["cfa"])]
        parity = next(
            (y, x) for y in (0, 1) for x in (0, 1) if cfa.shift(frame.phase, y, x) == phase
        )
        for name, odd, length, u in zip(
            ("dark_y", "dark_x"), parity, (frame.height, frame.width), uniforms[1:], strict=True
        ):
            first = halo + (halo + odd) % 2
            places = (length - halo - core - first) // 2 + 1
            row[name] = first + 2 * int(u * places)
        row["dark_frame"] = number + 1
        span = row["white"] - row["black"]
        row["read"], row["bias"] = np.array(frame.read) / span**2, np.array(frame.bias) / span

    def tiles(self, rows: npt.NDArray[np.void], halo: int, size: int) -> npt.NDArray[np.float32]:
        """Return the (N, size, size) parts of the frames that samples get, DN above black."""
        out = np.empty((len(rows), size, size), np.float32)
        for row, tile in zip(rows, out, strict=True):
            number = int(row["dark_frame"]) - 1
            top, left = int(row["dark_y"]) - halo, int(row["dark_x"]) - halo
            frame = self.frames[number]
            tile[:] = self._mosaic(number)[top : top + size, left : left + size]
            phase = cfa.shift(frame.phase, top, left)
            for (y, x), black in np.ndenumerate(cfa.by_position(frame.black, phase)):
                tile[y::2, x::2] -= np.float32(black)
        return out

    def _mosaic(self, number: int) -> npt.NDArray[np.uint16]:
        """Return the codes of a frame, kept while there is room.

        Raises
        ------
        UnreadableFileError
            If the file is gone, or not the one that the corpus was begun with.
        """
        kept = self._mosaics
        if number not in kept:
            frame = self.frames[number]
            image = read_file(Root(self.root), frame.name)
            if image.sha256.hex() != frame.sha256:
                raise UnreadableFileError(
                    f"{Root(self.root).locate(frame.name)}: not the dark frame that the corpus was "
                    "begun with (its SHA-256 is another); bring that back"
                )
            kept[number] = image.pixels.astype(np.uint16, copy=False)
            while len(kept) > 1 and sum(m.nbytes for m in kept.values()) > CACHE_BYTES:
                kept.popitem(last=False)
        kept.move_to_end(number)
        return kept[number]
